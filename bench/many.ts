/**
 * What a thousand live VMs cost the controller: memory, a list of all, one more create, and its own idling, at 10, 100 and 1,000.
 *
 * Each VM is alive: a keeper and a stub VMM in a cgroup of their own, a namespace with its bridge, TAP and port, a disk, a console that is
 * watched, rows and events. What is missing is the guest, so no agent channel is open and no guest is probed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootFile } from '@linstock/host';
import { execFile, execTime, realNow } from './parts/program.ts';
import { note, taken } from './parts/samples.ts';
import { settled, Stage, until } from './parts/stage.ts';

export type ManyAt = {
  vms: number;
  /** of the controller, KiB: resident, and its share (what it has alone and its part of what it shares) */
  rssKiB: number;
  pssKiB: number;
  /** of the keepers, one number each, KiB: their share */
  keeperPssKiB: readonly number[];
  /** ms for all pages of `vm list` */
  list: readonly number[];
  /** ms from request to exec of one more */
  exec: readonly number[];
  /** CPU seconds of the controller in so many seconds in which nobody asked for anything */
  idle: { seconds: number; cpu: number };
};
export type Many = {
  network: string;
  sizes: readonly ManyAt[];
  /** ms until this many were alive, from nothing */ createdIn: readonly { vms: number; ms: number }[];
};

const sizes = [10, 100, 1_000];
const atOnce = 8;
const more = 15;
const lists = 15;
const idleSeconds = 20;
const ticksPerSecond = 100; // USER_HZ

export async function many(): Promise<void> {
  const stage = await Stage.start({ subnet: '10.78.0.0/22', stub: true });
  try {
    const { api, paths, pid } = stage;
    const status = (of: number, field: string, file = 'smaps_rollup'): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${of}/${file}`, 'utf8'))?.[1] ?? Number.NaN);
    const cpuSeconds = (): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    };
    const boots = (): string[] => (existsSync(paths.boots) ? readdirSync(paths.boots) : []);
    const one = async (): Promise<number> => {
      const before = new Set(boots());
      const began = realNow();
      const { vm } = await api.vms.create({});
      const at = await until(
        () =>
          boots()
            .filter((boot) => !before.has(boot))
            .map((boot) => execTime(join(paths.boot(boot), execFile)))[0] ?? null,
      );
      await api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
      await settled(400);
      return at - began;
    };
    await one();

    await taken('many', 'the controller with 10, 100 and 1,000 live VMs', async (): Promise<Many> => {
      const measured: ManyAt[] = [];
      const createdIn: { vms: number; ms: number }[] = [];
      let alive = 0;
      let spent = 0;
      for (const size of sizes) {
        const began = realNow();
        while (alive < size) {
          const batch = Math.min(atOnce, size - alive);
          await Promise.all(Array.from({ length: batch }, () => api.vms.create({}, { until: 'running', withinMs: 120_000 })));
          alive += batch;
          if (alive % 200 < atOnce) note(`  ${alive} VMs`);
        }
        spent += realNow() - began;
        createdIn.push({ vms: size, ms: spent });
        // the stub proves nothing, which is known after the time limit of a proof
        await until(async () => ((await Array.fromAsync(api.vms.list())).every((vm) => vm.phase === 'up') ? true : null), 1_000);
        await settled(3_000);
        const cpu = cpuSeconds();
        await settled(idleSeconds * 1_000);
        const idle = { seconds: idleSeconds, cpu: cpuSeconds() - cpu };
        const list: number[] = [];
        for (let i = 0; i < lists; i += 1) {
          const from = realNow();
          const seen = await Array.fromAsync(api.vms.list());
          list.push(realNow() - from);
          if (seen.length !== size) throw new Error(`the list has ${seen.length} of ${size}`);
        }
        const exec: number[] = [];
        if (size + 1 <= 1_000) for (let i = 0; i < more; i += 1) exec.push(await one());
        else {
          // the bridge carries 1,000 ports: for one more, one has to go
          const [first] = await Array.fromAsync(api.vms.list());
          await api.vms.delete(first?.id ?? '', { until: 'deleted', withinMs: 60_000 });
          await settled(2_000);
          for (let i = 0; i < more; i += 1) exec.push(await one());
        }
        const keepers = boots().flatMap((boot) =>
          existsSync(join(paths.boot(boot), bootFile.exit)) ? [] : [Number(readFileSync(join(paths.boot(boot), bootFile.ran), 'utf8'))],
        );
        measured.push({
          vms: size,
          rssKiB: status(pid, 'VmRSS', 'status'),
          pssKiB: status(pid, 'Pss'),
          keeperPssKiB: keepers.map((keeper) => status(keeper, 'Pss')),
          list,
          exec,
          idle,
        });
        note(`  at ${size}: ${JSON.stringify({ rss: measured.at(-1)?.rssKiB, idle })}`);
      }
      return { network: 'bridge', sizes: measured, createdIn };
    });
  } finally {
    await stage.close();
  }
}
