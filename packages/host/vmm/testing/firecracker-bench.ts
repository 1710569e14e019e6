/** What the tests of the Firecracker driver share: real units, and for a VMM the simulator or a real binary. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { makeId, type BootId } from '@linstock/contract';
import { jailerAt, simulatorAt, type SimulatorOptions, type SimVersion } from '@linstock/testkit/firecracker-sim';
import type { VmmBench } from '@linstock/testkit/vmm-suite';
import { Units } from '../../tools/units.ts';
import { FirecrackerVmm } from '../firecracker/driver.ts';
import { parseVersion } from '@linstock/core';
import { versionIn } from '../firecracker/versions.ts';
import type { LaunchOrder, LaunchPlan } from '../vmm.ts';
import { bench, noCgroups } from './benches.ts';

export type Way = { jailed: boolean; by: 'cgroup' | 'mark'; pidNamespace?: boolean; bootArgs?: readonly string[] };
export type Binaries = { firecracker: string; jailer: string | null; version: string };
/** By this another process makes a driver that sees the same boots. */
export type Setup = { binaries: Binaries; way: Way; state: string; mark: string; cgroup: string | null };
export type FirecrackerBench = VmmBench & { vmm(): FirecrackerVmm; setup: Setup; jails: string };

function unitsOf({ state, mark, cgroup }: Setup): Units {
  return new Units({ mark, ends: join(state, 'ends'), cgroup });
}

export function driverOf(setup: Setup, units = unitsOf(setup)): FirecrackerVmm {
  const { binaries, way, state, cgroup } = setup;
  const version = parseVersion(binaries.version);
  if (version === null) throw new Error(`${binaries.firecracker} is of version ${binaries.version}`);
  const host = {
    firecracker: realpathSync(binaries.firecracker),
    version,
    jailer:
      way.jailed && binaries.jailer !== null
        ? {
            path: binaries.jailer,
            base: join(state, 'jails'),
            ids: { first: 700_000, count: 1_024 },
            cgroup: basename(cgroup ?? ''),
            pidNamespace: way.pidNamespace === true,
          }
        : null,
    userNetwork: 'no-interface' as const,
  };
  return new FirecrackerVmm({ host, units });
}

/** A bench on these binaries; whatever else lies in `tools` goes with it. */
export function firecrackerBench(binaries: Binaries, way: Way, tools: string | null): FirecrackerBench {
  let setup: Setup | null = null;
  const driver = (units?: Units): FirecrackerVmm => {
    if (setup === null) throw new Error('a driver before there is a bench'); // programmer error
    return driverOf(setup, units);
  };
  const made = bench({
    by: way.by,
    driver,
    disk: (path) => writeFileSync(path, Buffer.alloc(1024 * 1024)),
    bad: { kernel: 'this is not a kernel\n'.repeat(1_000), refusal: /Elf|ELF|magic|kernel/ },
  });
  const { state, mark, cgroup } = made;
  setup = { binaries, way, state, mark, cgroup };
  const jails = join(state, 'jails');
  chmodSync(state, 0o711); // the simulated jailer changes its user and not its root
  mkdirSync(jails, { mode: 0o711 });
  return {
    ...made,
    setup,
    jails,
    vmm: () => driver(),
    // the simulated guest is a kernel: it writes to the console that it is told
    order: (boot, folder, kernel) => {
      const order = made.order(boot, folder, kernel);
      return { ...order, bootArgs: ['console=ttyS0', ...(way.bootArgs ?? []), ...order.bootArgs] };
    },
    done: async () => {
      const left = jailsLeft(jails);
      await made.done();
      if (tools !== null) rmSync(tools, { recursive: true, force: true });
      if (left !== '') throw new Error(`left in the jails: ${left}`);
    },
  };
}

export type Launched = { bench: FirecrackerBench; vmm: FirecrackerVmm; boot: BootId; folder: string; plan: LaunchPlan };

export type Changes = {
  order?: (order: LaunchOrder) => LaunchOrder;
  plan?: (plan: LaunchPlan) => LaunchPlan;
  at?: { boot: BootId; folder: string };
};

/** One boot of the good kernel, or of what the changes make of it. */
export async function launched(bench: FirecrackerBench, changes: Changes = {}): Promise<Launched> {
  const { order = (same) => same, plan: changed = (same) => same, at = aBoot(bench) } = changes;
  const { boot, folder } = at;
  const vmm = bench.vmm();
  const plan = changed(vmm.plan(order(bench.order(boot, folder, 'good'))));
  const outcome = await vmm.launch(plan, folder, new AbortController().signal);
  if (outcome.is !== 'done') throw new Error(`the launch is ${outcome.is}`);
  return { bench, vmm, boot, folder, plan };
}

export function aBoot({ state }: { state: string }, boot = makeId('boot', Date.now(), randomBytes(10))): { boot: BootId; folder: string } {
  const folder = join(state, 'boots', boot);
  mkdirSync(folder, { recursive: true });
  return { boot, folder };
}

/** Ends what is there and takes the bench down; also after a failure, because a guest left behind would idle for ever. */
export async function closeBench(bench: FirecrackerBench): Promise<void> {
  const vmm = bench.vmm();
  for (const { owner } of await vmm.inventory()) {
    await vmm.end(owner as BootId, join(bench.state, 'boots', owner), new AbortController().signal);
  }
  await bench.done();
}

/** Everything below the folders of the binaries. */
export function jailsLeft(jails: string): string {
  return execFileSync('find', [jails, '-mindepth', '2'], { encoding: 'utf8' });
}

export function simulated(version: SimVersion, way: Way, options: SimulatorOptions = {}): FirecrackerBench {
  const tools = mkdtempSync(join(tmpdir(), 'linstock-fcbin-'));
  chmodSync(tools, 0o755);
  return firecrackerBench({ firecracker: simulatorAt(tools, version, options), jailer: jailerAt(tools, version), version }, way, tools);
}

export const noRoot: string | false = process.getuid?.() === 0 ? false : 'a jail needs root';
const noUnshare: string | false = spawnSync('unshare', ['--pid', '--fork', '--', 'true']).status === 0 ? false : 'no pid namespaces here';
export const skipped = (why: string | false): string => (why === false ? '' : ` (skipped: ${why})`);
export const bare: Way = { jailed: false, by: 'mark' };
export const ways: readonly (readonly [name: string, way: Way, why: string | false])[] = [
  ['by mark', bare, false],
  ['by cgroup', { jailed: false, by: 'cgroup' }, noCgroups()],
  ['jailed', { jailed: true, by: 'cgroup' }, noRoot || noCgroups()],
  ['jailed, in a pid namespace', { jailed: true, by: 'cgroup', pidNamespace: true }, noRoot || noCgroups() || noUnshare],
];

/** `LINSTOCK_FIRECRACKER` names them, `path[:path…]`, each with a `jailer` beside it or none. */
export function realBinaries(): readonly Binaries[] {
  const named = (process.env['LINSTOCK_FIRECRACKER'] ?? '').split(':').filter((path) => path !== '');
  return named.map((path) => {
    const firecracker = realpathSync(path);
    const jailer = join(dirname(firecracker), basename(firecracker).replace('firecracker', 'jailer'));
    const version = versionIn(spawnSync(firecracker, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.text ?? '';
    return { firecracker, jailer: existsSync(jailer) ? jailer : null, version };
  });
}
