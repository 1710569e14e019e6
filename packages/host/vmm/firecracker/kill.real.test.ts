/**
 * kill -9 of the controller between the calls of a launch, with real processes: whoever comes after can launch the boot or end it, at most one
 * VMM ever runs for it, and after its end nothing of it is left. The VMM is the simulator of the testkit.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { BootId } from '@linstock/contract';
import { eventually } from '@linstock/testkit';
import { pidsBearing, readKernelFile } from '../../tools/procs.ts';
import { connectTo } from '../../tools/sockets.ts';
import { aBoot, closeBench, jailsLeft, simulated, skipped, ways, type FirecrackerBench, type Way } from '../testing/firecracker-bench.ts';
import { firecrackerFile } from './config.ts';
import { instanceIdOf } from './plan.ts';

const never = new AbortController().signal;
const fixture = join(import.meta.dirname, '../testing/launch-a-firecracker.fixture.ts');
/** Node needs most of a second of a core for each controller. */
const atOnce = 4;
const open: FirecrackerBench[] = [];
afterAll(async () => {
  for (const bench of open.splice(0)) await closeBench(bench);
});

type Boot = { boot: BootId; folder: string };

/** The controller, killed before its n-th deed; 0: to its end, with the names of all. */
async function controller(bench: FirecrackerBench, { boot, folder }: Boot, killAt: number): Promise<string[]> {
  const args = [fixture, JSON.stringify(bench.setup), JSON.stringify(bench.order(boot, folder, 'good')), String(killAt)];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as string[];
  } catch (error) {
    expect((error as { signal?: string }).signal).toBe('SIGKILL');
    return [];
  }
}

type Point = { n: number; before: string; then: keyof typeof after };
/** Of each kind of deed the first and the last: all of them would take minutes, and differ in little but the name of a file. */
function pointsOf(deeds: readonly string[], { jailed }: Way): Point[] {
  return deeds.flatMap((before, at) => {
    const first = deeds.indexOf(before) === at;
    const point = { n: at + 1, before };
    return [
      // what lies in the folder of a bare boot stays there: an end has to do with what runs only
      ...(first && (jailed || before === 'spawn' || before === 'launched') ? [{ ...point, then: 'ended' as const }] : []),
      ...(first || deeds.lastIndexOf(before) === at ? [{ ...point, then: 'launched' as const }] : []),
    ];
  });
}

/** How often a Firecracker began, by its own log. */
const runs = ({ folder }: Boot): number =>
  (readKernelFile(join(folder, firecrackerFile.log))?.toString('latin1') ?? '').split('Running Firecracker v').length - 1;
const traceOf = ({ folder }: Boot): string | null => readKernelFile(join(folder, 'ran'))?.toString('latin1') ?? null;

/** Whoever comes after: ends it, and finds nothing left of it. */
async function endsWell(bench: FirecrackerBench, { boot, folder }: Boot): Promise<void> {
  const vmm = bench.vmm();
  await eventually(async () => (await vmm.end(boot, folder, never)).is === 'done');
  expect((await vmm.inventory()).map(({ owner }) => owner)).not.toContain(boot);
  expect(pidsBearing(`LINSTOCK_UNIT=${bench.setup.mark}/${boot}`)).toEqual([]);
  expect(jailsLeft(bench.jails)).not.toContain(instanceIdOf(boot));
  for (const which of ['api', 'vsock'] as const)
    await expect(connectTo(await vmm.socketOf(boot, folder, which), AbortSignal.timeout(5_000))).rejects.toThrow('ENOENT');
}

/** Whoever comes after launches it: a trace that is there stays as it is, because its keeper is the only one that ever ran a VMM. */
async function launchesAgain(bench: FirecrackerBench, at: Boot): Promise<void> {
  const vmm = bench.vmm();
  const trace = traceOf(at);
  // busy: the keeper of the one that was killed is on its way
  await eventually(async () => (await vmm.launch(vmm.plan(bench.order(at.boot, at.folder, 'good')), at.folder, never)).is === 'done');
  if (trace !== null) expect(traceOf(at)).toBe(trace);
}

const after = {
  launched: async (bench: FirecrackerBench, at: Boot): Promise<void> => {
    expect(['absent', 'alive']).toContain((await bench.vmm().look(at.boot, at.folder)).is);
    await launchesAgain(bench, at);
    await eventually(() => bench.vmm().ask(at.boot, at.folder));
    await endsWell(bench, at);
    expect(runs(at)).toBe(1);
  },
  ended: async (bench: FirecrackerBench, at: Boot): Promise<void> => {
    await endsWell(bench, at);
    const before = runs(at);
    await launchesAgain(bench, at);
    expect(await bench.vmm().look(at.boot, at.folder)).toMatchObject({ is: 'ended' });
    await endsWell(bench, at);
    expect([runs(at), before <= 1]).toEqual([before, true]);
  },
} as const;

for (const [name, way, why] of ways.filter(([which]) => which === 'by mark' || which === 'jailed')) {
  describe.skipIf(why !== false)(`${name}${skipped(why)}`, () => {
    test('the controller is killed between the calls of its launch', async () => {
      const bench = simulated('1.16.1', way);
      open.push(bench);
      const whole = aBoot(bench);
      const deeds = await controller(bench, whole, 0);
      expect(deeds).toEqual(expect.arrayContaining(['open', 'spawn', 'launched', ...(way.jailed ? ['link', 'chown'] : [])]));
      await endsWell(bench, whole);
      const points = pointsOf(deeds, way);
      const troubles: string[] = [];
      const lane = async (): Promise<void> => {
        for (let point = points.shift(); point !== undefined; point = points.shift()) {
          const { n, before, then } = point;
          const at = aBoot(bench);
          await controller(bench, at, n);
          await after[then](bench, at).catch((error: unknown) =>
            troubles.push(`${then} after a kill before ${before} (${n}): ${String(error)}`),
          );
        }
      };
      await Promise.all(Array.from({ length: atOnce }, lane));
      expect(troubles).toEqual([]);
    });
  });
}
