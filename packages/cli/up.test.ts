import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FaultError, type HostView, type VmView } from '@linstock/contract';
import { aBoot, aVm, smallServer } from '@linstock/sdk/testing';
import { downCommand } from './commands/down.ts';
import { serveCommand } from './commands/serve.ts';
import { upCommand } from './commands/up.ts';
import type { DaemonFace } from './daemon-face.ts';
import { hostPackages } from './host-packages.ts';
import { Interrupted, runCli } from './main.ts';
import { memorySink } from './testing/sink.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const aHost: HostView = {
  id: 'host_01',
  name: 'box',
  vms: 0,
  facts: {
    accelerator: 'tcg',
    probes: [],
    tscKhz: null,
    vmms: [],
    usualVmm: 'qemu',
    cores: 4,
    memoryMiB: 8000,
    freeDiskMiB: 9000,
    cgroup: 'v2',
    root: true,
    kernel: '6.1',
    advice: [],
    probedAt: 1,
  },
};

/** A host with every program, a controller in small that keeps its VMs, and what was done to both. */
async function stage(
  o: { running?: boolean; vms?: VmView[]; outcome?: 'proved' | 'refuted' | 'never' | 'interrupt'; aborter?: AbortController } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-up-'));
  open.push(() => rm(folder, { recursive: true }));
  const staticProgram = new Uint8Array(64 + 56);
  const view = new DataView(staticProgram.buffer);
  view.setUint32(0, 0x7f454c46);
  staticProgram.set([2, 1], 4);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  for (const tool of hostPackages.flatMap((one) => one.tools)) {
    await writeFile(join(folder, tool), staticProgram);
    await chmod(join(folder, tool), 0o755);
  }
  const vms = [...(o.vms ?? [])];
  const outcome = o.outcome ?? 'proved';
  const done: string[] = [];
  let running = o.running ?? false;
  const byId = (id: string | undefined): VmView => {
    const vm = vms.find((one) => one.id === id || one.name === id);
    if (vm === undefined) throw new FaultError('not-found', { noun: 'vm', id: id ?? '?' });
    return vm;
  };
  const server = await smallServer({
    'host.list': () => ({ items: [aHost] }),
    'vm.list': ({ query }) => ({ items: vms.filter((vm) => query['name'] === undefined || vm.name === query['name']), next: null, seq: 1 }),
    'vm.create': ({ body }) => {
      const { name } = body as { name: string };
      done.push(`create ${name}`);
      vms.push(aVm({ id: `vm_${name}`, name, state: 'starting', verified: 'unknown' }));
      return { vm: byId(name), operation: null };
    },
    'vm.start': ({ params }) => {
      done.push('start');
      return { vm: byId(params['id']), operation: null };
    },
    'vm.wait': ({ params, query }) => {
      const vm = byId(params['id']);
      if (query['until'] === 'deleted') return { reached: true, vm };
      if (outcome === 'interrupt') return o.aborter?.abort(new Interrupted(130));
      if (outcome === 'never') return { reached: false, vm };
      Object.assign(vm, { state: 'running', verified: outcome });
      if (outcome === 'refuted') throw new FaultError('goal-unreachable', { id: vm.id, goal: 'verified', why: 'net.address is refuted.' });
      return { reached: true, vm };
    },
    'vm.show': ({ params }) => byId(params['id']),
    'vm.delete': ({ params }) => {
      const vm = byId(params['id']);
      done.push('delete');
      return { vm, operation: null };
    },
    'boot.show': () => aBoot(),
  });
  open.push(() => server.close());
  const daemon: DaemonFace = {
    prepare: ({ progress }) => {
      progress({ name: 'probe boot' });
      return Promise.resolve({
        changed: !running,
        golden: { name: 'tiny', version: 1 },
        accelerator: 'tcg',
        root: true,
        advice: ['/dev/kvm would make boots ten times quicker'],
      });
    },
    startInBackground: async ({ stateFolder, port }) => {
      const already = running;
      if (!already) done.push(`start controller${port === 0 ? '' : ` on ${port}`}`);
      running = true;
      await writeFile(join(stateFolder, 'serving.json'), JSON.stringify({ url: server.url, pid: 7, token: null, startedAt: 1 }));
      return { url: server.url, pid: 7, already };
    },
    serve: ({ listen, signal }) => {
      done.push(`serve ${listen.host}:${listen.port}`);
      if (listen.port === 1) return Promise.reject(new FaultError('daemon-already-running', { pid: 7, folder: '/state' }));
      return new Promise((_, reject) =>
        signal.aborted ? reject(signal.reason as Error) : signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    },
    stop: () => {
      const stopped = running;
      if (stopped) done.push('stop controller');
      running = false;
      return Promise.resolve({ stopped });
    },
    purge: () => Promise.resolve({ removed: ['bridge lst0', 'the state folder'] }),
    doctor: () => Promise.reject(new Error('nobody asked for a check-up')),
    exec: () => Promise.reject(new Error('nothing is to be installed')),
    isStaticElf: () => true,
  };
  const load = (): Promise<DaemonFace> => Promise.resolve(daemon);
  const cli = async (...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const stdout = memorySink();
    const stderr = memorySink();
    const code = await runCli(argv, {
      environment: {
        clone: folder,
        stateFolder: folder,
        programFolders: [folder],
        noColor: false,
        dumbTerminal: false,
        self: './linstock',
        variables: {},
      },
      stdout,
      stderr,
      signal: (o.aborter ?? new AbortController()).signal,
      self: './linstock',
      chance: { now: () => 0, word: () => 'abcd1234' },
      commands: [upCommand(load), downCommand(load), serveCommand(load)],
    });
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  };
  return { cli, done, vms };
}

test('up: prepares, starts, boots, proves; a second one changes nothing', async () => {
  const { cli, done } = await stage();
  const first = await cli('up', '--port', '7420');
  expect(first.code).toBe(0);
  expect(done).toEqual(['start controller on 7420', 'create first']);
  expect(
    first.stdout
      .replaceAll(/took .*?\)/g, 'took T)')
      .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:N')
      .replace(/@\S+authorization/, '@STATE/authorization'),
  ).toMatchInlineSnapshot(`
    "Proof
      CONDITION    VERDICT    EXPECTED                     OBSERVED
    ✓ vmm.started  proved     qemu 7.2.19 answers          qemu 7.2.19 answers
    ✓ memory.size  proved     at least 100 MiB of 128 MiB  112984 KiB

    Boot
    vmm.started     ██                                                                120 ms     +120 ms
    kernel.started    █████████████████                                               900 ms     +780 ms
    init.finished                      ███████████████████████████████                2.40 s     +1.50 s
    verified                                                          ██████████      2.90 s     +500 ms

    ✓ proved  first: 2 of 2 conditions proved (all of it took T)

    api      http://127.0.0.1:N
             curl -H @STATE/authorization http://127.0.0.1:N/v1/vms
    vm       tiny@1 on tcg, as root, 192.168.100.2, ports 8080→192.168.100.2:8080
    advice   /dev/kvm would make boots ten times quicker
    look at  ./linstock vm list
             ./linstock vm proof first --evidence
             ./linstock vm console first
             ./linstock vm exec first -- uname -a
             ./linstock vm create --wait verified
    undo     ./linstock down            stops the controller; VMs go on
             ./linstock down --purge    ends every VM and removes all that was made
    "
  `);
  const second = await cli('up');
  expect(second.code).toBe(0);
  expect(second.stdout).toContain('(nothing had to change)');
  expect(done).toEqual(['start controller on 7420', 'create first']);
  expect(JSON.parse((await cli('up', '--json')).stdout)).toMatchObject({ verified: true, changed: false, vm: { name: 'first' } });
});

test('up: a first VM that was stopped is started', async () => {
  const { cli, done } = await stage({
    running: true,
    vms: [aVm({ id: 'vm_first', state: 'stopped', verified: 'unknown', allowed: ['start', 'delete'] })],
  });
  expect((await cli('up')).code).toBe(0);
  expect(done).toEqual(['start']);
});

test('up: a boot that is not proved is shown all the same, with exit code 1', async () => {
  const { cli } = await stage({ outcome: 'refuted' });
  const run = await cli('up');
  expect(run.code).toBe(1);
  expect(run.stdout).toContain('vmm.started');
  expect(run.stderr).toContain('net.address is refuted.');
});

test('up: time is up: 3, the boot goes on', async () => {
  const { cli, vms } = await stage({ outcome: 'never' });
  expect((await cli('up', '--timeout', '0')).code).toBe(3);
  expect(vms).toHaveLength(1);
});

test('up --once: one document, and nothing is left that was not there', async () => {
  const { cli, done } = await stage();
  const run = await cli('up', '--once', '--json');
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout)).toMatchObject({
    verified: true,
    vm: { verified: 'proved' },
    boot: { id: 'boot_01', timeline: [{}, {}, {}, {}] },
    host: { id: 'host_01' },
    took: expect.any(Number) as number,
  });
  expect(done).toEqual(['start controller', 'create once-abcd1234', 'delete', 'stop controller']);
});

test('up --once keeps a controller that was running', async () => {
  const { cli, done } = await stage({ running: true });
  expect((await cli('up', '--once', '--json')).code).toBe(0);
  expect(done).toEqual(['create once-abcd1234', 'delete']);
});

test('up --once: not proved is exit code 1, and is cleaned up too', async () => {
  const { cli, done } = await stage({ outcome: 'refuted' });
  const run = await cli('up', '--once', '--json');
  expect(run.code).toBe(1);
  expect(JSON.parse(run.stdout)).toMatchObject({
    verified: false,
    vm: { verified: 'refuted' },
    boot: { id: 'boot_01' },
    fault: { code: 'goal-unreachable' },
  });
  expect(done.slice(-2)).toEqual(['delete', 'stop controller']);
});

test('up --once: an interrupt leaves nothing behind', async () => {
  const { cli, done } = await stage({ outcome: 'interrupt', aborter: new AbortController() });
  expect((await cli('up', '--once')).code).toBe(130);
  expect(done).toEqual(['start controller', 'create once-abcd1234', 'delete', 'stop controller']);
});

test('down says what goes on, --purge what went', async () => {
  const { cli } = await stage({ running: true });
  expect((await cli('down')).stdout).toBe(
    'The controller is stopped.\nVMs that run go on, and the next `./linstock up` takes them over. `./linstock down --purge` ends and removes everything.\n',
  );
  expect((await cli('down', '--purge')).stdout).toBe('No controller was running.\nRemoved:\n  bridge lst0\n  the state folder\n');
  expect(JSON.parse((await cli('down', '--json')).stdout)).toEqual({ stopped: false, purged: false, removed: [] });
});

test('serve ends well when it is asked to end', async () => {
  const aborter = new AbortController();
  aborter.abort(new Interrupted(130));
  const { cli, done } = await stage({ aborter });
  expect((await cli('serve', '--port', '7420')).code).toBe(0);
  expect(done).toEqual(['serve 127.0.0.1:7420']);
});

test('serve that cannot: the sentence on stderr, and where it was asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-serve-'));
  open.push(() => rm(folder, { recursive: true }));
  const { cli } = await stage();
  const run = await cli('serve', '--port', '1', '--errors-to', join(folder, 'errors'));
  expect(run.code).toBe(1);
  expect(await readFile(join(folder, 'errors'), 'utf8')).toBe(
    'A controller (pid 7) already serves /state; use it, or stop it with `linstock down`.\n',
  );
});
