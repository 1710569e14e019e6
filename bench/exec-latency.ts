/**
 * From the request to the execution of the VMM, in service mode with everything on: HTTP, idempotency key, SQLite with synchronous=FULL,
 * bridge network and namespace, private disk, cgroup. The request comes from another process over the loopback, as in production.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFile, execTime, realNow } from './parts/program.ts';
import { note, taken } from './parts/samples.ts';
import { settled, Stage, until } from './parts/stage.ts';

export type ExecLatency = {
  network: string;
  /** ms from request to exec, per round of so many at once */
  rounds: readonly { atOnce: number; accepted: readonly number[]; ms: readonly number[] }[];
};

const plan: readonly { atOnce: number; rounds: number }[] = [
  { atOnce: 1, rounds: 60 },
  { atOnce: 8, rounds: 12 },
  { atOnce: 32, rounds: 5 },
];
const calmMs = 400;

export async function execLatency(): Promise<void> {
  const stage = await Stage.start({ subnet: '10.78.4.0/24', stub: true });
  try {
    const { api, paths } = stage;
    const round = async (atOnce: number): Promise<ExecLatency['rounds'][number]> => {
      const boots = (): string[] => (existsSync(paths.boots) ? readdirSync(paths.boots) : []);
      const before = new Set(boots());
      const made = await Promise.all(
        Array.from({ length: atOnce }, async () => {
          const began = realNow();
          const { vm } = await api.vms.create({}, { idempotencyKey: randomUUID() });
          return { id: vm.id, began, accepted: realNow() - began };
        }),
      );
      // looked for in the folders: asking the controller would keep it busy with our questions
      await until(() =>
        boots().filter((boot) => !before.has(boot) && execTime(join(paths.boot(boot), execFile)) !== null).length === atOnce ? true : null,
      );
      const ms: number[] = [];
      for (const { id, began } of made) {
        const { boot } = await api.vms.show(id);
        ms.push((execTime(join(paths.boot(boot ?? ''), execFile)) ?? Number.NaN) - began);
      }
      for (const { id } of made) await api.vms.delete(id);
      await until(async () => ((await Array.fromAsync(api.vms.list())).length === 0 ? true : null), 50);
      await settled(calmMs);
      return { atOnce, accepted: made.map((m) => m.accepted), ms };
    };
    for (let i = 0; i < 3; i += 1) await round(1); // the first ones load code
    await taken('exec-latency', 'request to exec of the VMM, service mode, everything on', async (): Promise<ExecLatency> => {
      const rounds: ExecLatency['rounds'][number][] = [];
      const most = Math.max(...plan.map((p) => p.rounds));
      for (let i = 0; i < most; i += 1) {
        for (const { atOnce, rounds: n } of plan) if (i % Math.floor(most / n) === 0) rounds.push(await round(atOnce));
        if (i % 10 === 0) note(`  round ${i + 1} of ${most}`);
      }
      return { network: 'bridge', rounds };
    });
  } finally {
    await stage.close();
  }
}
