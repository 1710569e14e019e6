/** What every Vmm means by its words. Runs on each driver, with real processes; nothing of it knows how a driver does it. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeId, type BootId } from '@linstock/contract';
import type { LaunchOrder, Vmm, VmmSight } from '@linstock/host';
import { eventually } from './eventually.ts';

export type VmmBench = {
  /** state folder: boots lie in `boots/` of it */
  state: string;
  /** A driver that has seen nothing: as after a restart of the daemon. */
  driver(): Vmm;
  /** `good` writes something to its console and then runs until it is ended; `bad` is a file that is no kernel. */
  order(boot: BootId, folder: string, kernel: 'good' | 'bad'): LaunchOrder;
  /** part of the VMM's own words about the bad kernel */
  refusal: RegExp;
  /** Makes the empty unit that a crash between making and filling it leaves; null when units of this kind cannot be empty. */
  emptyUnit: ((boot: BootId) => void) | null;
  /** Called at the end; nothing may be left by then. */
  done(): Promise<void>;
};

const never = new AbortController().signal;

export function testVmm(name: string, make: () => Promise<VmmBench>): void {
  describe(`Vmm: ${name}`, () => {
    let bench: VmmBench;
    beforeEach(async () => {
      bench = await make();
    });
    afterEach(async () => {
      const vmm = bench.driver();
      for (const { owner } of await vmm.inventory()) await vmm.end(owner as BootId, join(bench.state, 'boots', owner), never);
      expect(await vmm.inventory()).toEqual([]);
      await bench.done();
    });

    const aBoot = (): { boot: BootId; folder: string } => {
      const boot = makeId('boot', Date.now(), randomBytes(10));
      const folder = join(bench.state, 'boots', boot);
      mkdirSync(folder, { recursive: true });
      return { boot, folder };
    };
    const launch = async (vmm: Vmm, boot: BootId, folder: string, kernel: 'good' | 'bad' = 'good'): Promise<void> => {
      expect(await vmm.launch(vmm.plan(bench.order(boot, folder, kernel)), folder, never)).toEqual({ is: 'done' });
    };
    const running = async (vmm: Vmm, boot: BootId, folder: string): Promise<number> => {
      await eventually(() => consoleOf(folder) !== '');
      return await eventually(async () => (await vmm.ask(boot, folder))?.pid ?? 0);
    };
    const sees = (boot: BootId, folder: string, is: VmmSight['is']): Promise<VmmSight> =>
      eventually(
        () => bench.driver().look(boot, folder),
        (sight) => sight.is === is,
      );

    test('what was never launched is absent', async () => {
      const { boot, folder } = aBoot();
      expect(await bench.driver().look(boot, folder)).toEqual({ is: 'absent' });
      expect(await bench.driver().look(boot, join(folder, 'nowhere'))).toEqual({ is: 'absent' });
      expect(await bench.driver().ask(boot, folder)).toBeNull();
      expect(await bench.driver().inventory()).toEqual([]);
    });

    test('a plan is pure', () => {
      const { boot, folder } = aBoot();
      const order = bench.order(boot, folder, 'good');
      expect(bench.driver().plan(order)).toEqual(bench.driver().plan(order));
      expect(bench.driver().plan(order).commandLine.given).toEqual(order.bootArgs);
      expect(existsSync(join(folder, 'ran'))).toBe(false);
    });

    test('a launch makes it alive at once; a second one, from another driver, adopts the same process', async () => {
      const { boot, folder } = aBoot();
      const vmm = bench.driver();
      await launch(vmm, boot, folder);
      expect(await vmm.look(boot, folder)).toEqual({ is: 'alive', paused: false });
      const pid = await running(vmm, boot, folder);
      const trace = readFileSync(join(folder, 'ran'), 'utf8');
      await launch(vmm, boot, folder);
      await launch(bench.driver(), boot, folder);
      expect((await bench.driver().ask(boot, folder))?.pid).toBe(pid);
      expect(readFileSync(join(folder, 'ran'), 'utf8')).toBe(trace);
      expect(await bench.driver().look(boot, folder)).toEqual({ is: 'alive', paused: false });
      expect((await bench.driver().ask(boot, folder))?.version).toBe(vmm.version);
    });

    test('of launches at the same moment one runs', async () => {
      const { boot, folder } = aBoot();
      await Promise.allSettled(
        Array.from({ length: 4 }, () => {
          const vmm = bench.driver();
          return vmm.launch(vmm.plan(bench.order(boot, folder, 'good')), folder, never);
        }),
      );
      const pid = await running(bench.driver(), boot, folder);
      const trace = Number(readFileSync(join(folder, 'ran'), 'utf8'));
      expect(Number.isInteger(trace) && trace > 0 && trace !== pid).toBe(true);
      process.kill(pid, 'SIGKILL');
      // a second process, had there been one, would keep the unit alive
      await sees(boot, folder, 'ended');
      await eventually(async () => (await bench.driver().ask(boot, folder)) === null);
    });

    test('kill -9 of the process is an end with the signal named, and a boot that ran is never launched again', async () => {
      const { boot, folder } = aBoot();
      await launch(bench.driver(), boot, folder);
      process.kill(await running(bench.driver(), boot, folder), 'SIGKILL');
      expect(await sees(boot, folder, 'ended')).toMatchObject({ hint: expect.stringContaining('SIGKILL') as string, refused: false });
      const before = consoleOf(folder);
      await launch(bench.driver(), boot, folder);
      expect(await bench.driver().look(boot, folder)).toMatchObject({ is: 'ended' });
      expect(await bench.driver().ask(boot, folder)).toBeNull();
      expect(consoleOf(folder)).toBe(before);
    });

    test('kill -9 of the keeper leaves it alive, and to be ended', async () => {
      const { boot, folder } = aBoot();
      await launch(bench.driver(), boot, folder);
      const pid = await running(bench.driver(), boot, folder);
      process.kill(Number(readFileSync(join(folder, 'ran'), 'utf8')), 'SIGKILL');
      expect(await bench.driver().look(boot, folder)).toEqual({ is: 'alive', paused: false });
      expect(await bench.driver().inventory()).toEqual([{ kind: 'vmm', name: boot, owner: boot }]);
      expect(await bench.driver().end(boot, folder, never)).toEqual({ is: 'done' });
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
      expect(await bench.driver().look(boot, folder)).toMatchObject({ is: 'ended', refused: false });
    });

    test('end leaves nothing, may be repeated, is fine when there is nothing, and is final', async () => {
      const { boot, folder } = aBoot();
      await launch(bench.driver(), boot, folder);
      const pid = await running(bench.driver(), boot, folder);
      expect(await bench.driver().end(boot, folder, never)).toEqual({ is: 'done' });
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
      expect(await bench.driver().inventory()).toEqual([]);
      expect(await bench.driver().end(boot, folder, never)).toEqual({ is: 'done' });
      expect(await bench.driver().look(boot, folder)).toMatchObject({ is: 'ended', hint: expect.stringContaining('on request') as string });
      expect(consoleOf(folder)).not.toBe(''); // the folder is kept

      const other = aBoot();
      expect(await bench.driver().end(other.boot, other.folder, never)).toEqual({ is: 'done' });
      expect(await bench.driver().end(other.boot, join(other.folder, 'nowhere'), never)).toEqual({ is: 'done' });
      // a keeper that was on its way when it was ended must not run anything either
      await launch(bench.driver(), other.boot, other.folder);
      expect(await bench.driver().ask(other.boot, other.folder)).toBeNull();
    });

    test('what is not a kernel is refused, in the words of the VMM', async () => {
      const { boot, folder } = aBoot();
      await launch(bench.driver(), boot, folder, 'bad');
      expect(await sees(boot, folder, 'ended')).toMatchObject({ refused: true, hint: expect.stringMatching(bench.refusal) as string });
    });

    test('pause and resume, each twice, seen by another driver', async () => {
      const vmm = bench.driver();
      if (!vmm.can.has('pause')) return;
      const { boot, folder } = aBoot();
      await launch(vmm, boot, folder);
      await running(vmm, boot, folder);
      for (const [command, paused] of [
        ['pause', true],
        ['pause', true],
        ['resume', false],
        ['resume', false],
        ['pause', true],
      ] as const) {
        expect(await vmm.command(boot, folder, command, never)).toEqual({ is: 'done' });
        await eventually(
          () => bench.driver().look(boot, folder),
          (sight) => sight.is === 'alive' && sight.paused === paused,
        );
      }
      expect(await vmm.end(boot, folder, never)).toEqual({ is: 'done' }); // paused ones end as well
      expect(await vmm.command(boot, folder, 'resume', never)).toEqual({ is: 'done' });
    });

    test('many questions at once are all answered', async () => {
      const vmm = bench.driver();
      const { boot, folder } = aBoot();
      await launch(vmm, boot, folder);
      const pid = await running(vmm, boot, folder);
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? vmm.look(boot, folder) : vmm.ask(boot, folder))),
      );
      expect(answers).toEqual(answers.map((_, i) => (i % 2 === 0 ? { is: 'alive', paused: false } : { version: vmm.version, pid })));
    });

    test('inventory lists exactly what is there', async () => {
      const boots = [aBoot(), aBoot()];
      for (const { boot, folder } of boots) await launch(bench.driver(), boot, folder);
      const names = boots.map(({ boot }) => boot).toSorted();
      expect((await bench.driver().inventory()).map(({ name }) => name)).toEqual(names);
      const [first] = boots;
      if (first) await bench.driver().end(first.boot, first.folder, never);
      expect((await bench.driver().inventory()).map(({ name }) => name)).toEqual(names.filter((boot) => boot !== first?.boot));
    });

    test('an empty unit without a trace is absent, and launched', async () => {
      if (bench.emptyUnit === null) return;
      const { boot, folder } = aBoot();
      bench.emptyUnit(boot);
      expect(await bench.driver().look(boot, folder)).toEqual({ is: 'absent' });
      expect((await bench.driver().inventory()).map(({ name }) => name)).toEqual([boot]);
      await launch(bench.driver(), boot, folder);
      await running(bench.driver(), boot, folder);
    });

    test('an abort before a launch runs nothing', async () => {
      const { boot, folder } = aBoot();
      const vmm = bench.driver();
      await expect(vmm.launch(vmm.plan(bench.order(boot, folder, 'good')), folder, AbortSignal.abort(new Error('no')))).rejects.toThrow(
        'no',
      );
      expect(await vmm.look(boot, folder)).toEqual({ is: 'absent' });
    });
  });
}

function consoleOf(folder: string): string {
  const path = join(folder, 'console.log');
  return existsSync(path) ? readFileSync(path, 'latin1') : '';
}
