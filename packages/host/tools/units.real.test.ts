import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeId, type BootId } from '@linstock/contract';
import { eventually, othersCanReach } from '@linstock/testkit';
import { cgroup2Mount, pidsBearing, stateOfPid } from './procs.ts';
import { connectTo } from './sockets.ts';
import { describeExit, Units } from './units.ts';

const never = new AbortController().signal;
const root = process.getuid?.() === 0;
const mount = cgroup2Mount();
const newBoot = (): BootId => makeId('boot', Date.now(), randomBytes(10));

/** Runs until it is killed, and says in a file that it was run. */
const lasting = ['/bin/sh', '-c', 'echo run >>runs; exec sleep 100000'];

const kinds: readonly { kind: string; skip: string | false; cgroup: (mark: string) => string | null }[] = [
  {
    kind: 'cgroup',
    skip: !root ? 'needs root' : mount === null ? 'no writable cgroup v2 mount' : false,
    cgroup: (mark) => join(mount ?? '', `linstock-${mark}`),
  },
  { kind: 'environment mark', skip: false, cgroup: () => null },
];

for (const { kind, skip, cgroup } of kinds) {
  describe.skipIf(skip !== false)(`units by ${kind}${skip === false ? '' : ` (skipped: ${skip})`}`, () => {
    let state: string;
    let units: Units;
    let mark: string;
    const folderOf = (boot: BootId): string => {
      const folder = join(state, 'boots', boot);
      mkdirSync(folder, { recursive: true });
      return folder;
    };
    const again = (): Units => new Units({ mark, ends: join(state, 'ends'), cgroup: cgroup(mark) });
    const runs = (folder: string): number =>
      existsSync(join(folder, 'runs')) ? readFileSync(join(folder, 'runs'), 'utf8').split('\n').length - 1 : 0;
    const keeperOf = (folder: string): number => Number(readFileSync(join(folder, 'ran'), 'utf8'));
    const programOf = (boot: BootId, folder: string): Promise<number> =>
      eventually(() => pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`).filter((pid) => pid !== keeperOf(folder))[0] ?? 0);

    /** Another process that launches the boot and stays; it was itself started with a file open that it never asked for. */
    const launcher = async (boot: BootId, env: Record<string, string> = {}): Promise<ChildProcess> => {
      const argv = [join(import.meta.dirname, 'launch-a-unit.fixture.ts'), mark, state, boot, cgroup(mark) ?? '-'];
      const stray = openSync(process.execPath, 'r');
      // fd 40: Node itself lets go of the first few that it inherits, and only of those
      const stdio = ['ignore', 'pipe', 'inherit', ...Array.from({ length: 37 }, () => 'ignore' as const), stray] as const;
      const child = spawn(process.execPath, argv, { stdio: [...stdio], env: { ...process.env, ...env } });
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      closeSync(stray);
      return child;
    };

    beforeEach(() => {
      state = mkdtempSync(join(tmpdir(), 'linstock-units-'));
      mark = randomBytes(3).toString('hex');
      units = again();
    });
    afterEach(async () => {
      for (const boot of units.names()) await units.end(boot, join(state, 'boots', boot), never);
      expect(units.names()).toEqual([]);
      if (units.cgroup !== null && existsSync(units.cgroup)) rmdirSync(units.cgroup);
      rmSync(state, { recursive: true, force: true });
    });

    test('a launch makes it alive, and a second one adopts it', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      expect(await units.look(boot, folder)).toEqual({ is: 'absent' });
      expect(await units.launch({ boot, folder, netns: null, argv: lasting }, never)).toEqual({ is: 'done' });
      expect(await units.look(boot, folder)).toMatchObject({ is: 'alive', ran: true });
      expect(await again().launch({ boot, folder, netns: null, argv: lasting }, never)).toEqual({ is: 'done' });
      expect(await again().look(boot, folder)).toMatchObject({ is: 'alive' });
      await eventually(() => runs(folder) === 1);
      expect(again().names()).toEqual([boot]);
    });

    test('of many launches at once one runs', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      // each from an object of its own: as if daemons had been killed right after starting a keeper
      await Promise.allSettled(Array.from({ length: 8 }, () => again().launch({ boot, folder, netns: null, argv: lasting }, never)));
      await programOf(boot, folder);
      await eventually(() => runs(folder) === 1);
      await eventually(async () => pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`).length === 2);
      expect(runs(folder)).toBe(1);
    });

    test('an end is over when the last socket is closed, not when the last memory is free', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      // a process that dies gives its memory back first, which takes a while when there is much of it
      const program = `globalThis.held = Buffer.alloc(400e6, 1); require('node:net').createServer().listen('s')`;
      await units.launch({ boot, folder, netns: null, argv: [process.execPath, '-e', program] }, never);
      await eventually(() => existsSync(join(folder, 's')));
      expect(await units.end(boot, folder, never)).toEqual({ is: 'done' });
      await expect(connectTo({ folder, name: 's' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    });

    test.each([
      ['exit 3', { code: 3, signal: null, onRequest: false }, 'with exit code 3'],
      ['exit 0', { code: 0, signal: null, onRequest: false }, 'with exit code 0'],
      ['kill -SEGV $$', { code: null, signal: 'SIGSEGV', onRequest: false }, 'by signal SIGSEGV'],
    ])('a program that does `%s` has ended, is never run again, and its end is announced', async (script, exit, words) => {
      const boot = newBoot();
      const folder = folderOf(boot);
      const order = { boot, folder, netns: null, argv: ['/bin/sh', '-c', `echo run >>runs; ${script}`] };
      await units.launch(order, never);
      const sight = await eventually(
        () => units.look(boot, folder),
        (seen) => seen.is === 'ended',
      );
      expect(sight).toMatchObject({ is: 'ended', exit });
      expect(describeExit(sight.is === 'ended' ? sight.exit : null)).toBe(words);
      await eventually(() => existsSync(join(state, 'ends', boot)));
      expect(await again().launch(order, never)).toEqual({ is: 'done' });
      expect(await again().look(boot, folder)).toMatchObject({ is: 'ended', exit });
      expect(runs(folder)).toBe(1);
    });

    test('a program that does not exist: its keeper says so', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      await units.launch({ boot, folder, netns: null, argv: ['/no/such/vmm'] }, never);
      expect(
        await eventually(
          () => units.look(boot, folder),
          (seen) => seen.is === 'ended',
        ),
      ).toMatchObject({ exit: { code: 127 } });
      expect(readFileSync(join(folder, 'vmm.log'), 'utf8')).toContain('/no/such/vmm');
    });

    test('kill -9 of the program is named; kill -9 of the keeper loses nobody', async () => {
      const [one, two] = [newBoot(), newBoot()];
      for (const boot of [one, two]) await units.launch({ boot, folder: folderOf(boot), netns: null, argv: lasting }, never);
      process.kill(await programOf(one, folderOf(one)), 'SIGKILL');
      expect(
        await eventually(
          () => units.look(one, folderOf(one)),
          (seen) => seen.is === 'ended',
        ),
      ).toMatchObject({ exit: { signal: 'SIGKILL', onRequest: false } });

      const program = await programOf(two, folderOf(two));
      process.kill(keeperOf(folderOf(two)), 'SIGKILL');
      expect(await units.look(two, folderOf(two))).toMatchObject({ is: 'alive' });
      process.kill(program, 'SIGKILL');
      expect(
        await eventually(
          () => units.look(two, folderOf(two)),
          (seen) => seen.is === 'ended',
        ),
      ).toEqual({ is: 'ended', exit: null });
    });

    test('an end leaves nobody, may be repeated, and shuts the door', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      const order = {
        boot,
        folder,
        netns: null,
        argv: ['/bin/sh', '-c', 'echo run >>runs; sleep 100000 & (trap "" TERM HUP INT; sleep 100000) & wait'],
      };
      await units.launch(order, never);
      await eventually(() => pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`).length >= 4);
      expect(await again().end(boot, folder, never)).toEqual({ is: 'done' });
      expect(pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`)).toEqual([]);
      expect(units.names()).toEqual([]);
      expect(await units.end(boot, folder, never)).toEqual({ is: 'done' });
      expect(await units.look(boot, folder)).toMatchObject({ is: 'ended', exit: { onRequest: true } });
      await units.launch(order, never);
      expect(runs(folder)).toBe(1);
      expect(pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`)).toEqual([]);
    });

    test('what was ended before its keeper came is never run', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      expect(await units.end(boot, folder, never)).toEqual({ is: 'done' });
      await again().launch({ boot, folder, netns: null, argv: lasting }, never);
      expect(runs(folder)).toBe(0);
      expect(units.names()).toEqual([]);
    });

    test('an end where there is not even a folder', async () => {
      const boot = newBoot();
      expect(await units.end(boot, join(state, 'nowhere'), never)).toEqual({ is: 'done' });
      expect(await units.look(boot, join(state, 'nowhere'))).toEqual({ is: 'absent' });
    });

    test('a launch into a folder that is missing fails with the reason and leaves no process', async () => {
      const boot = newBoot();
      await expect(units.launch({ boot, folder: join(state, 'nowhere'), netns: null, argv: lasting }, never)).rejects.toThrow(/nowhere/);
      expect(await units.look(boot, join(state, 'nowhere'))).toEqual({ is: 'absent' });
    });

    test('words reach the program as they are', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      const words = ['', ' ', '$(touch gotcha)', '`touch gotcha`', "it's", '"', '\\', 'a\nb', '-n', '*', '; exit 3', 'ñ漢'];
      await units.launch(
        { boot, folder, netns: null, argv: ['/bin/sh', '-c', 'for word; do printf "%s\\0" "$word"; done >words', 'sh', ...words] },
        never,
      );
      await eventually(
        () => units.look(boot, folder),
        (seen) => seen.is === 'ended',
      );
      expect(readFileSync(join(folder, 'words'), 'utf8').split('\0').slice(0, -1)).toEqual(words);
      expect(existsSync(join(folder, 'gotcha'))).toBe(false);
    });

    test('the keeper is alone: no file of ours open, nothing of our environment, a session of its own, deaf to a terminal', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      const daemon = await launcher(boot, { LINSTOCK_SECRET: 'token' });
      daemon.kill('SIGKILL');
      const keeper = keeperOf(folder);
      const program = await programOf(boot, folder);
      await eventually(() => readFileSync(`/proc/${program}/comm`, 'utf8').trim() === 'sleep');
      for (const pid of [keeper, program]) {
        const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
        expect(open.filter((path) => path !== '/dev/null' && path !== join(folder, 'vmm.log') && !path.endsWith('/vmm/keep'))).toEqual([]);
        expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('token');
        expect(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3]).toBe(String(keeper));
      }
      for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGQUIT'] as const) process.kill(keeper, signal);
      process.kill(program, 'SIGTERM');
      expect(
        await eventually(
          () => units.look(boot, folder),
          (seen) => seen.is === 'ended',
        ),
      ).toMatchObject({ exit: { signal: 'SIGTERM' } });
    });

    test('a unit outlives the process that launched it, killed as hard as can be', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      const daemon = await launcher(boot);
      const gone = new Promise((resolve) => daemon.once('exit', resolve));
      daemon.kill('SIGKILL');
      await gone;
      expect(await units.look(boot, folder)).toMatchObject({ is: 'alive' });
      const program = await programOf(boot, folder);
      expect(await units.end(boot, folder, never)).toEqual({ is: 'done' });
      await eventually(() => (stateOfPid(program) ?? 'Z') === 'Z');
    });

    test.runIf(kind === 'cgroup')('an empty unit without a trace is absent, and launched', async () => {
      const boot = newBoot();
      const folder = folderOf(boot);
      mkdirSync(join(units.cgroup ?? '', boot), { recursive: true });
      expect(units.names()).toEqual([boot]);
      expect(await units.look(boot, folder)).toEqual({ is: 'absent' });
      expect(await units.launch({ boot, folder, netns: null, argv: lasting }, never)).toEqual({ is: 'done' });
      expect(await units.look(boot, folder)).toMatchObject({ is: 'alive' });
    });
  });
}

const noNamespaces = root && spawnSync('ip', ['netns', 'list']).status === 0 ? false : 'needs root and iproute2';
describe.skipIf(noNamespaces !== false)(`network namespaces${noNamespaces === false ? '' : ` (skipped: ${noNamespaces})`}`, () => {
  test('the program runs in the named one, and one that is missing is said', async () => {
    const state = mkdtempSync(join(tmpdir(), 'linstock-units-'));
    const mark = randomBytes(3).toString('hex');
    const netns = `lsu${mark}`;
    const units = new Units({ mark, ends: join(state, 'ends'), cgroup: null });
    const [one, two] = [newBoot(), newBoot()];
    const folders = [join(state, 'one'), join(state, 'two')] as const;
    for (const folder of folders) mkdirSync(folder);
    spawnSync('ip', ['netns', 'add', netns]);
    try {
      const argv = ['/bin/sh', '-c', 'readlink /proc/self/ns/net >ns; exec sleep 100000'];
      await units.launch({ boot: one, folder: folders[0], netns, argv }, never);
      const inode = statSync(`/run/netns/${netns}`).ino;
      await eventually(
        () => existsSync(join(folders[0], 'ns')) && readFileSync(join(folders[0], 'ns'), 'utf8').trim() === `net:[${inode}]`,
      );
      await units.launch({ boot: two, folder: folders[1], netns: `${netns}x`, argv }, never);
      await eventually(
        () => units.look(two, folders[1]),
        (seen) => seen.is === 'ended',
      );
      expect(readFileSync(join(folders[1], 'vmm.log'), 'utf8')).toContain(`${netns}x`);
      expect(existsSync(join(folders[1], 'ns'))).toBe(false);
    } finally {
      await units.end(one, folders[0], never);
      spawnSync('ip', ['netns', 'delete', netns]);
      rmSync(state, { recursive: true, force: true });
    }
  });
});

describe.skipIf(!root || !othersCanReach(import.meta.dirname))(
  'an ordinary user (skipped unless root can become one who can read this clone)',
  () => {
    test('launches, finds and ends units, and does not touch those of others', async () => {
      const state = mkdtempSync(join(tmpdir(), 'linstock-nobody-'));
      const boot = newBoot();
      mkdirSync(join(state, 'boots', boot), { recursive: true });
      for (const path of [state, join(state, 'boots'), join(state, 'boots', boot)]) {
        chownSync(path, 65_534, 65_534);
        chmodSync(path, 0o755);
      }
      writeFileSync(join(state, 'note'), '');
      const argv = [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        process.execPath,
        join(import.meta.dirname, 'launch-a-unit.fixture.ts'),
      ];
      const mark = randomBytes(3).toString('hex');
      const launched = spawnSync('setpriv', [...argv, mark, state, boot, '-'], { encoding: 'utf8' });
      expect(launched.stderr).toBe('');
      expect(JSON.parse(launched.stdout)).toMatchObject({ is: 'alive' });
      const pids = pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`);
      expect(pids.length).toBeGreaterThan(0);
      const ended = spawnSync('setpriv', [...argv, mark, state, boot, '-', 'end'], { encoding: 'utf8' });
      expect(ended.stderr).toBe('');
      expect(JSON.parse(ended.stdout)).toMatchObject({ is: 'ended' });
      expect(pidsBearing(`LINSTOCK_UNIT=${mark}/${boot}`)).toEqual([]);
      rmSync(state, { recursive: true });
    });
  },
);
