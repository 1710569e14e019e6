/** Every way to die or to misbehave that can be asked for (firecracker/src/main.rs, vmm/src/vstate/vcpu.rs), and the arguments. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { requestOf } from './client.ts';
import { Fates, type Fate } from './fates.ts';
import { simulatorAt } from './executables.ts';
import { Bench, closed, type Ended, type Running } from './run.ts';
import type { SimVersion } from './versions.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.done());

const line = 'console=ttyS0 reboot=k panic=-1';
function boot(version: SimVersion, fates: readonly Fate[], args = line): Running {
  bench.write('c.json', {
    'boot-source': { kernel_image_path: 'k', boot_args: args },
    drives: [{ drive_id: 'root', path_on_host: 'disk', is_root_device: true }],
  });
  bench.write('log', '');
  bench.write('met', '');
  const more = ['--log-path', 'log', '--metrics-path', 'met'];
  return bench.run(bench.simulator(version, { fates }), ['--api-sock', 'api', '--config-file', 'c.json', ...more]);
}
const lastMetrics = (): Record<string, Record<string, number>> =>
  JSON.parse(bench.read('met').trimEnd().split('\n').at(-1) ?? '{}') as Record<string, Record<string, number>>;
const exit = (code: number): Ended => ({ code, signal: null });

describe('how a guest ends the process', () => {
  test.each([
    ['1.9.1', 'guest-reboots', line, 0],
    ['1.16.1', 'guest-reboots', line, 0],
    ['1.14.4', 'guest-reboots', 'console=ttyS0 reboot=t', 0],
    ['1.15.0', 'guest-reboots', 'console=ttyS0 reboot=t', 1],
    ['1.16.1', 'guest-panics', line, 0],
    ['1.16.1', 'guest-without-root', line, 0],
    ['1.14.4', 'guest-triple-faults', line, 0],
    ['1.15.0', 'guest-triple-faults', line, 1],
    ['1.16.1', 'vcpu-fails', line, 1],
    ['1.16.1', 'seccomp=57', line, 148],
    ['1.16.1', 'sigbus', line, 149],
    ['1.16.1', 'sigxfsz', line, 151],
  ] as const)('%s %s with %j: exit %i', async (version, fate, args, code) => {
    expect(await boot(version, [fate], args).ended()).toEqual(exit(code));
  });

  test('what can be seen of a panic is the text on the console', async () => {
    expect(await boot('1.16.1', ['guest-panics']).ended()).toEqual(exit(0));
    expect(bench.read('out')).toContain('Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n');
    expect(bench.read('log')).toContain('Vmm is stopping.\n');
    expect(bench.read('log')).toMatch(/Firecracker exiting successfully\. exit_code=0\n$/);
  });

  test('a root that is not there', async () => {
    expect(await boot('1.9.1', ['guest-without-root']).ended()).toEqual(exit(0));
    expect(bench.read('out')).toContain('VFS: Cannot open root device "vda" or unknown-block(0,0): error -6\r\n');
    expect(bench.read('out')).toContain('Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n');
  });

  test.each([
    ['guest-panics', 'console=ttyS0 reboot=k', 'end Kernel panic'],
    ['guest-powers-off', line, 'reboot: System halted'],
    ['guest-hangs', line, 'Linux version'],
  ] as const)('%s with %j leaves the process alive', async (fate, args, says) => {
    const sim = boot('1.16.1', [fate], args);
    await eventually(() => bench.read('out').includes(says));
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Running' });
  });

  test('the lines of a triple fault, of seccomp and of a signal', async () => {
    await boot('1.14.4', ['guest-triple-faults']).ended();
    expect(bench.read('log')).toContain('Received KVM_EXIT_SHUTDOWN signal');
    await bench.done();
    bench = new Bench();
    await boot('1.16.1', ['seccomp=57']).ended();
    expect(bench.read('log')).toContain('Shutting down VM after intercepting signal 31, code 1.');
    expect(bench.read('log')).toContain('Shutting down VM after intercepting a bad syscall (57).');
    expect(lastMetrics()['seccomp']).toEqual({ num_faults: 1 });
    await bench.done();
    bench = new Bench();
    await boot('1.16.1', ['sigbus']).ended();
    expect(bench.read('log')).toContain('Shutting down VM after intercepting signal 7, code 2.');
    expect(lastMetrics()['signals']).toMatchObject({ sigbus: 1 });
  });

  test('a panic of the VMM is SIGABRT with words in the log; killed is SIGKILL', async () => {
    expect(await boot('1.16.1', ['panics']).ended()).toEqual({ code: null, signal: 'SIGABRT' });
    expect(bench.read('log')).toContain('Firecracker panicked at');
    expect(lastMetrics()['vmm']).toEqual({ panic_count: 1 });
    await bench.done();
    bench = new Bench();
    expect(await boot('1.16.1', ['killed']).ended()).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('Ctrl-Alt-Del ends a guest that hears it, and not one that does not', async () => {
    const sim = boot('1.16.1', []);
    await eventually(() => bench.read('out').includes('ready'));
    expect(await sim.call('PUT', '/actions', { action_type: 'SendCtrlAltDel' })).toMatchObject({ status: 204 });
    expect(await sim.ended()).toEqual(exit(0));
    expect(lastMetrics()['i8042']).toMatchObject({ reset_count: 1 });
    for (const [fates, args] of [
      [['guest-ignores-keys'], line],
      [[], `${line} i8042.nopnp`],
    ] as const) {
      await bench.done();
      bench = new Bench();
      const deaf = boot('1.11.0', fates, args);
      await eventually(() => bench.read('out').includes('ready'));
      expect(await deaf.call('PUT', '/actions', { action_type: 'SendCtrlAltDel' })).toMatchObject({ status: 204 });
      expect(await deaf.call('GET', '/')).toMatchObject({ status: 200 });
    }
  });
});

describe('signals', () => {
  test('SIGTERM ends at once and says nothing; SIGHUP is caught', async () => {
    const sim = boot('1.16.1', []);
    await eventually(() => bench.read('out').includes('ready'));
    sim.child.kill('SIGTERM');
    expect(await sim.ended()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(bench.read('log')).not.toContain('exiting');
    await bench.done();
    bench = new Bench();
    const other = boot('1.16.1', []);
    await eventually(() => bench.read('out').includes('ready'));
    other.child.kill('SIGHUP');
    expect(await other.ended()).toEqual(exit(156));
    expect(lastMetrics()['signals']).toMatchObject({ sighup: 1 });
  });

  test('as pid 1 of a namespace it takes no notice of SIGTERM', async () => {
    const sim = boot('1.16.1', ['ignores-sigterm']);
    await eventually(() => bench.read('out').includes('ready'));
    sim.child.kill('SIGTERM');
    sim.child.kill('SIGINT');
    expect(await sim.call('GET', '/')).toMatchObject({ status: 200 });
    sim.child.kill('SIGKILL');
    expect(await sim.ended()).toEqual({ code: null, signal: 'SIGKILL' });
  });
});

describe('KVM', () => {
  test.each([
    [
      '1.9.1',
      'kvm-missing',
      'Internal error while starting microVM: Vm error: Error creating KVM object: No such file or directory (os error 2)',
    ],
    [
      '1.12.1',
      'kvm-denied',
      'Internal error while starting microVM: Kvm error: Error creating KVM object: Permission denied (os error 13)',
    ],
    ['1.13.1', 'kvm-denied', 'Kvm error: Error creating KVM object: Permission denied (os error 13)'],
    ['1.16.1', 'kvm-busy', 'Error with the KvmVm object: Failed to create VM: Resource busy (os error 16)'],
    ['1.16.1', 'kvm-unable', 'Error with the KvmVm object: Failed to create VM: Operation not supported (os error 95)'],
  ] as const)('%s %s: 400 over the API, exit 1 with a file', async (version, fate, says) => {
    const sim = await bench.withApi(version, fate);
    await sim.call('PUT', '/boot-source', { kernel_image_path: 'k' });
    expect(await sim.refusal('PUT', '/actions', { action_type: 'InstanceStart' })).toContain(`Start microvm error: ${says}`);
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Not started' });
    await bench.done();
    bench = new Bench();
    expect(await boot(version, [fate]).ended()).toEqual(exit(1));
    expect(bench.read('log')).toContain(`Could not Start MicroVM from one single json: ${says}`);
  });
});

describe('an API that is no API', () => {
  const get = requestOf('GET', '/version');
  test('mute, garbage, torn, dying, hanging', async () => {
    const mute = await bench.withApi('1.16.1', 'api-mute');
    const silent = mute.connect();
    silent.send(get);
    await eventually(() => bench.read('out').includes('API server started'));
    expect([silent.received, silent.closed]).toEqual(['', false]);
    await bench.done();

    bench = new Bench();
    const garbage = await bench.withApi('1.16.1', 'api-garbage');
    const read = garbage.connect();
    read.send(get);
    await eventually(() => read.received.includes('SSH-2.0'));
    await bench.done();

    bench = new Bench();
    const torn = await bench.withApi('1.16.1', 'api-torn=2');
    expect(await torn.call('GET', '/version')).toMatchObject({ status: 200 });
    const half = torn.connect();
    half.send(get);
    await eventually(() => half.closed);
    expect(half.received).toMatch(/^HTTP\/1\.1 200 \r\nServer/);
    expect(half.received).not.toContain('firecracker_version');
    expect(await torn.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await bench.done();

    bench = new Bench();
    const dying = await bench.withApi('1.16.1', 'api-dies-after=2');
    expect(await dying.call('GET', '/version')).toMatchObject({ status: 200 });
    expect(await dying.call('GET', '/version')).toMatchObject({ status: 200 });
    expect(await dying.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await bench.done();

    bench = new Bench();
    const hanging = await bench.withApi('1.16.1', 'start-hangs');
    await hanging.call('PUT', '/boot-source', { kernel_image_path: 'k' });
    const waits = hanging.connect();
    waits.send(requestOf('PUT', '/actions', { action_type: 'InstanceStart' }));
    await eventually(() => bench.read('out').includes('InstanceStart'));
    const behind = hanging.connect();
    behind.send(get);
    expect([waits.received, behind.received]).toEqual(['', '']);
  });

  test('a request that waits for a VM which cannot be made ends it with 148, and without the reason', async () => {
    for (const asked of [false, true]) {
      const sim = boot('1.16.1', ['builds-slowly=300', 'start-fails']);
      await eventually(() => bench.read('log').includes('API server started'));
      if (asked) sim.connect().send(get);
      expect(await sim.ended()).toEqual(exit(asked ? 148 : 1));
      expect(bench.read('log').includes('Out of memory')).toBe(!asked);
      expect(bench.read('log').includes('VMM disconnected: RecvError')).toBe(asked);
      await bench.done();
      bench = new Bench();
    }
  });

  test('a start that is refused for want of memory may be tried again', async () => {
    const sim = await bench.withApi('1.16.1', 'start-fails');
    await sim.call('PUT', '/boot-source', { kernel_image_path: 'k' });
    expect(await sim.refusal('PUT', '/actions', { action_type: 'InstanceStart' })).toContain('Out of memory (os error 12)');
  });

  test('a socket that never appears', async () => {
    const sim = bench.run(bench.simulator('1.16.1', 'api-never-binds'), ['--api-sock', 'api']);
    await eventually(() => bench.read('out').includes('Running Firecracker v1.16.1'));
    expect(bench.read('out')).not.toContain('Listening');
    expect(sim.child.exitCode).toBeNull();
  });
});

test('floods do not keep it from answering', async () => {
  const sim = boot('1.16.1', ['floods-console', 'floods-log']);
  await eventually(() => bench.read('out').length > 1_000_000);
  expect(await sim.call('PATCH', '/vm', { state: 'Paused' })).toMatchObject({ status: 204 });
  expect(bench.read('log').length).toBeGreaterThan(10_000);
});

test('a fate that does not exist is an error of the test', () => {
  expect(() => new Fates(['guest-reboot'])).toThrow('there is no fate guest-reboot');
  expect(() => simulatorAt(bench.folder, '1.16.1', 'nothing' as Fate)).toThrow('there is no fate nothing');
});

describe('arguments', () => {
  const parse = (what: string): string => `Arguments parsing error: ${what} \\n\\nFor more information try --help.\n`;
  test.each([
    [['--bogus'], '1.16.1', 153, parse("Found argument 'bogus' which wasn't expected, or isn't valid in this context.")],
    [['word'], '1.16.1', 153, parse("Found argument 'word' which wasn't expected, or isn't valid in this context.")],
    [['--api-sock=x'], '1.16.1', 153, parse("Found argument 'api-sock=x' which wasn't expected, or isn't valid in this context.")],
    [['--id'], '1.16.1', 153, parse("The argument 'id' requires a value, but none was supplied.")],
    [['--id', 'a', '--id', 'b'], '1.16.1', 153, parse("The argument 'id' was provided more than once.")],
    [['--no-api'], '1.16.1', 153, parse("Argument 'config-file' required, but not found.")],
    [
      ['--no-seccomp', '--seccomp-filter', 'f'],
      '1.16.1',
      153,
      parse("Argument 'seccomp-filter' cannot be used together with argument 'no-seccomp'."),
    ],
    [['--enable-pci'], '1.12.1', 153, parse("Found argument 'enable-pci' which wasn't expected, or isn't valid in this context.")],
    [
      ['--level', 'loud'],
      '1.16.1',
      152,
      'Invalid value for logger level: Failed to parse string to level filter: loud.Possible values: [Error, Warning, Info, Debug]\n',
    ],
    [
      ['--log-path', 'nowhere'],
      '1.13.2',
      1,
      'Could not initialize logger: Failed to open target file: No such file or directory (os error 2)\n',
    ],
    [
      ['--metrics-path', 'nowhere'],
      '1.9.1',
      1,
      'Could not initialize metrics: Cannot initialize the metrics system due to bad user input: No such file or directory (os error 2)\n',
    ],
    [['--describe-snapshot', 'disk'], '1.16.1', 1, 'When printing Snapshot Data format: Invalid data format version of snapshot file: '],
    [['--api-sock', `/${'x'.repeat(120)}`], '1.16.1', 1, 'Failed to bind and run the HTTP server: '],
  ] as const)('%j of %s: exit %i', async (args, version, code, says) => {
    const sim = bench.run(bench.simulator(version), args);
    expect(await sim.ended()).toEqual(exit(code));
    expect(bench.read('out')).toContain(says);
    expect(bench.read('out')).toMatch(new RegExp(`Firecracker exiting with error\\. exit_code=${code}\\n$`));
    expect(bench.read('err')).toMatch(/^Error: [A-Z]/);
  });

  test.each([
    ['a_b', "InvalidChar('_', 1)"],
    ['', 'InvalidLen(0, 1, 64)'],
    ['x'.repeat(65), 'InvalidLen(65, 1, 64)'],
  ])('the id %j is a panic', async (id, says) => {
    expect(await bench.run(bench.simulator('1.9.1'), ['--id', id]).ended()).toEqual({ code: null, signal: 'SIGABRT' });
    expect(bench.read('out')).toContain(`Invalid instance ID: ${says}`);
  });

  test('--version, --snapshot-version and --help, each with a line of the log behind', async () => {
    for (const [args, says] of [
      [['--version', '--bogus'], 'Firecracker v1.9.1\n\n'],
      [['--snapshot-version'], 'v3.0.0\n'],
      [['--help'], 'Firecracker v1.9.1\n\noptional arguments:\n'],
    ] as const) {
      expect(await bench.run(bench.simulator('1.9.1'), args).ended()).toEqual(exit(0));
      expect(bench.read('out').startsWith(says)).toBe(true);
      expect(bench.read('out')).toMatch(/\n\d{4}-.* \[anonymous-instance:main\] Firecracker exiting successfully\. exit_code=0\n$/);
    }
    expect(bench.read('out')).not.toContain('enable-pci');
  });
});

test('a connection that ends without an answer is told as such', () => {
  expect(closed.status).toBe(0);
});
