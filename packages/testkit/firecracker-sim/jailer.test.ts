/** The jailer (jailer/src): its texts, what it leaves in the jail, and who runs there in the end. */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { othersCanReach } from '../others.ts';
import { RawConnection, requestOf } from './client.ts';
import { jailerAt, simulatorAt } from './executables.ts';
import { Bench, type Running } from './run.ts';
import type { SimVersion } from './versions.ts';

let bench: Bench;
const pids: number[] = [];
beforeEach(() => {
  bench = new Bench();
  chmodSync(bench.folder, 0o755);
  mkdirSync(bench.path('base'));
});
afterEach(async () => {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself, which some of the tests want.
    }
  }
  await bench.done();
});

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const isRoot = own.uid === 0;
const othersCanRead = isRoot && othersCanReach(import.meta.dirname);

function jail(version: SimVersion, args: readonly string[], name = 'firecracker'): Running {
  simulatorAt(bench.folder, version, { name });
  return bench.run(jailerAt(bench.folder, version), args);
}
const usual = (more: readonly string[] = [], { uid, gid } = own): string[] => [
  '--id',
  'vm1',
  '--exec-file',
  'firecracker',
  '--uid',
  String(uid),
  '--gid',
  String(gid),
  '--chroot-base-dir',
  'base',
  ...more,
];
const root = (name = 'firecracker'): string => bench.path(join('base', name, 'vm1', 'root'));

async function pidOf(): Promise<number> {
  const pid = Number(
    await eventually(() => (existsSync(join(root(), 'firecracker.pid')) ? readFileSync(join(root(), 'firecracker.pid'), 'utf8') : '')),
  );
  pids.push(pid);
  return pid;
}
const alive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
async function listens(): Promise<RawConnection> {
  const path = join(root(), 'run/firecracker.socket');
  // The file is there a moment before anybody listens at it.
  return (await eventually(async () => {
    const connection = new RawConnection(path);
    return (await connection.connected()) ? connection : null;
  }))!;
}

describe('refusals: exit 1, the reason on stderr', () => {
  test('up to 1.12 all but wrong arguments are a panic', async () => {
    const wrong = usual(['--resource-limit', 'cpu=1']);
    expect(await jail('1.12.1', wrong).ended()).toEqual({ code: null, signal: 'SIGABRT' });
    expect(bench.read('err')).toMatch(/^thread 'main' panicked at .*\nJailer error: Invalid resource argument: cpu\nnote: /);
    expect(await jail('1.12.1', ['--bogus']).ended()).toEqual({ code: 1, signal: null });
  });

  test.each([
    [['--id', 'vm1'], "Failed to parse arguments: Argument 'exec-file' required, but not found."],
    [usual(['--bogus']), "Failed to parse arguments: Found argument 'bogus' which wasn't expected, or isn't valid in this context."],
    [['--id', 'a_b', '--exec-file', 'firecracker', '--uid', '1', '--gid', '1'], 'Invalid instance ID: Invalid char (_) at position 1'],
    [
      ['--id', 'a', '--exec-file', 'nowhere', '--uid', '1', '--gid', '1'],
      'Failed to canonicalize path nowhere: No such file or directory (os error 2)',
    ],
    [['--id', 'a', '--exec-file', 'base', '--uid', '1', '--gid', '1'], 'is not a file'],
    [['--id', 'a', '--exec-file', 'firecracker', '--uid', '-1', '--gid', '1', '--chroot-base-dir', 'base'], 'Invalid uid: -1'],
    [usual(['--chroot-base-dir', 'base']), "The argument 'chroot-base-dir' was provided more than once."],
    [usual(['--resource-limit', 'fsize']), 'Invalid format for resources limits: fsize'],
    [usual(['--resource-limit', 'cpu=1']), 'Invalid resource argument: cpu'],
    [usual(['--resource-limit', 'fsize=x']), 'Invalid limit value for resource: x: invalid digit found in string'],
    [usual(['--parent-cgroup', '../x']), "Parent cgroup path is invalid. Path should not be absolute or contain '..' or '.'"],
    [usual(['--cgroup-version', 'x']), 'x is an invalid cgroup version specifier'],
    [usual(['--netns', '/proc/version']), 'Failed to join network namespace: netns: Invalid argument (os error 22)'],
    [usual(['--netns', '/nowhere']), 'Failed to open file /nowhere: No such file or directory (os error 2)'],
  ] as const)('%j', async (args, says) => {
    const jailer = jail('1.16.1', args);
    expect(await jailer.ended()).toEqual({ code: 1, signal: null });
    expect(bench.read('err').split('\n')[0]).toContain(says);
  });

  test('the name of the binary must hold firecracker up to 1.12', async () => {
    const args = usual().map((word) => (word === 'firecracker' ? 'vmm' : word));
    const old = jail('1.12.1', args, 'vmm');
    expect(await old.ended()).toMatchObject({ signal: 'SIGABRT' });
    expect(bench.read('err')).toContain('must contain "firecracker"');
    jail('1.13.1', args, 'vmm');
    await eventually(() => existsSync(join(root('vmm'), 'vmm.pid')));
  });

  test('the format of a cgroup setting, where there is a hierarchy', async () => {
    const version = readFileSync('/proc/mounts', 'utf8').includes(' cgroup2 ') ? '2' : '1';
    for (const [setting, says] of [
      ['pids.max', 'Invalid format for cgroups: pids.max'],
      ['io.max=8:0 rbps=1', 'Invalid format for cgroups: io.max=8:0 rbps=1'],
      ['../x=1', 'Cgroup invalid file: ../x=1'],
      ['nodot=1', 'Cgroup invalid file: nodot'],
      ['bogus.max=1', 'Controller bogus is unavailable'],
    ] as const) {
      const jailer = jail('1.16.1', usual(['--cgroup-version', version, '--cgroup', setting]));
      expect(await jailer.ended()).toEqual({ code: 1, signal: null });
      expect(bench.read('err')).toContain(says);
    }
  });
});

test('it becomes firecracker, in a jail that is laid out as the real one lays it out', async () => {
  const jailer = jail('1.16.1', usual(['--', '--http-api-max-payload-size', '100']));
  const connection = await listens();
  expect(await pidOf()).toBe(jailer.pid);
  connection.send(requestOf('GET', '/'));
  await eventually(() => connection.received.includes('"id":"vm1"'));
  for (const folder of ['', 'dev', 'dev/net', 'run'])
    expect([folder, statSync(join(root(), folder)).mode & 0o777]).toEqual([folder, 0o700]);
  for (const node of ['dev/kvm', 'dev/net/tun', 'dev/urandom']) {
    const path = join(root(), node);
    // Made when we may, written down when we may not.
    if (!statSync(path).isCharacterDevice()) expect(readFileSync(path, 'utf8')).toMatch(/^c \d+ \d+\n$/);
  }
  expect(readFileSync(join(root(), 'firecracker'), 'utf8')).toBe(bench.read('firecracker'));
  expect(statSync(join(root(), 'firecracker')).ino).not.toBe(statSync(bench.path('firecracker')).ino);
  expect(readFileSync(`/proc/${jailer.pid}/limits`, 'utf8')).toMatch(/Max open files\s+2048\s+2048/);
});

test('paths are those of the jail, and a socket name may be as long as it would be there', async () => {
  mkdirSync(root(), { recursive: true });
  for (const name of ['k', 'disk']) writeFileSync(join(root(), name), readFileSync(bench.path(name)));
  writeFileSync(
    join(root(), 'c.json'),
    JSON.stringify({
      'boot-source': { kernel_image_path: '/k', boot_args: 'console=ttyS0' },
      drives: [{ drive_id: 'root', path_on_host: '/../../disk', is_root_device: true }],
      vsock: { guest_cid: 3, uds_path: `/${'v'.repeat(90)}` },
    }),
  );
  jail('1.16.1', usual(['--', '--config-file', '/c.json']));
  await eventually(() => bench.read('out').includes('linstock-init: ready'));
  expect(existsSync(join(root(), 'v'.repeat(90)))).toBe(true);
  await pidOf();
});

test('an id is not used twice: the nodes of the last time are in the way', async () => {
  jail('1.16.1', usual());
  process.kill(await pidOf(), 'SIGKILL');
  const again = jail('1.16.1', usual());
  expect(await again.ended()).toEqual({ code: 1, signal: null });
  expect(bench.read('err')).toContain('Failed to create /dev/net/tun via mknod inside the jail: File exists (os error 17)');
});

test.each([
  ['1.12.1', { code: null, signal: 'SIGABRT' }],
  ['1.16.1', { code: 1, signal: null }],
] as const)('%s: nor with the pid file of the last time, which is looked at behind the nodes', async (version, end) => {
  mkdirSync(root(), { recursive: true });
  writeFileSync(join(root(), 'firecracker.pid'), '1');
  expect(await jail(version, usual()).ended()).toEqual(end);
  expect(bench.read('err')).toContain('Failed to open file /firecracker.pid: File exists (os error 17)');
  expect(existsSync(join(root(), 'dev/kvm'))).toBe(true);
});

test('--daemonize: 0 at once, another process, nothing on the outputs', async () => {
  const jailer = jail('1.16.1', usual(['--daemonize']));
  expect(await jailer.ended()).toEqual({ code: 0, signal: null });
  const pid = await pidOf();
  const connection = await listens();
  connection.send(requestOf('GET', '/'));
  await eventually(() => connection.received.includes('"id":"vm1"'));
  expect(pid).not.toBe(jailer.pid);
  expect(alive(pid)).toBe(true);
  expect([bench.read('out'), bench.read('err')]).toEqual(['', '']);
  process.kill(pid, 'SIGTERM');
  await eventually(() => !alive(pid));
});

test('--new-pid-ns: 0 at once, and SIGTERM does not end it', async () => {
  const jailer = jail('1.16.1', usual(['--new-pid-ns']));
  expect(await jailer.ended()).toEqual({ code: 0, signal: null });
  const pid = await pidOf();
  expect(pid).not.toBe(jailer.pid);
  const connection = await listens();
  process.kill(pid, 'SIGTERM');
  connection.send(requestOf('GET', '/'));
  await eventually(() => connection.received.includes('"id":"vm1"'));
  process.kill(pid, 'SIGKILL');
  await eventually(() => !alive(pid));
});

test.skipIf(!othersCanRead)(
  'it drops to the given user, who owns the jail (skipped unless root, in a clone that others can read)',
  async () => {
    const jailer = jail(
      '1.16.1',
      usual(['--resource-limit', 'no-file=512', '--resource-limit', 'fsize=1000000'], { uid: 12_345, gid: 12_346 }),
    );
    await listens();
    await pidOf();
    const status = readFileSync(`/proc/${jailer.pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t12345\t12345\t12345\t12345$/m);
    expect(status).toMatch(/^Gid:\t12346\t12346\t12346\t12346$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    const limits = readFileSync(`/proc/${jailer.pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max open files\s+512\s+512/);
    expect(limits).toMatch(/Max file size\s+1000000\s+1000000/);
    expect(statSync(join(root(), 'run'))).toMatchObject({ uid: 12_345, gid: 12_346 });
  },
);

test.skipIf(isRoot)('without the right to change it says so', async () => {
  const jailer = jail('1.16.1', usual([], { uid: own.uid + 1, gid: own.gid }));
  expect(await jailer.ended()).toMatchObject({ code: 1 });
});

test('--version', async () => {
  const jailer = jail('1.9.1', ['--version']);
  expect(await jailer.ended()).toEqual({ code: 0, signal: null });
  expect(bench.read('out')).toBe('Jailer v1.9.1\n\n');
});
