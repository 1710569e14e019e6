/** The command line by version and devices (vmm/src/builder.rs), and a whole boot from a configuration file. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { afterPanic, afterReboot, commandLine, defaultBootArgs, hasSerial } from './boot.ts';
import { Resources } from './resources.ts';
import { Bench, type Running } from './run.ts';
import { oneOfEachMinor, type SimVersion } from './versions.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.done());

const none = {
  ports: new Map<number, string>(),
  resets: false,
  guestListens: () => false,
  standsStill: () => false,
  hangs: () => false,
  made: () => {},
};
const given = 'console=ttyS0 reboot=k panic=1';

async function lineOf(version: SimVersion, args: string | null, options = { pci: false, timer: false }): Promise<string> {
  const resources = new Resources(version, none);
  resources.setBootSource({ kernel_image_path: bench.path('k'), ...(args === null ? {} : { boot_args: args }) });
  resources.setBalloon({ amount_mib: 1, deflate_on_oom: false });
  resources.setDrive({ drive_id: 'data', path_on_host: bench.path('disk'), is_root_device: false });
  resources.setDrive({ drive_id: 'root', path_on_host: bench.path('disk'), is_root_device: true, is_read_only: true });
  resources.setEntropy({});
  return commandLine(version, resources, options);
}

describe('what is appended', () => {
  const lines = (base: number, irq: number): string => {
    const device = (n: number): string => `virtio_mmio.device=4K@0x${(base + n * 0x1000).toString(16)}:${irq + n}`;
    return `${device(0)} root=/dev/vda ro ${device(1)} ${device(2)} ${device(3)}`;
  };
  test.each(oneOfEachMinor)('%s', async (version) => {
    const old = ['1.9.1', '1.10.1', '1.11.0', '1.12.1'].includes(version);
    const appended = old ? lines(0xd000_0000, 5) : `pci=off ${lines(0xc000_1000, version === '1.14.4' ? 6 : 5)}`;
    expect(await lineOf(version, given)).toBe(`${given} ${appended}`);
    expect(await lineOf(version, null)).toBe(`${defaultBootArgs(version)} ${appended}`);
    expect(await lineOf(version, '')).toBe(appended);
    expect(await lineOf(version, `${given} -- one two`)).toBe(`${given} ${appended} -- one two`);
  });

  test('over PCI no pci=off and no devices', async () => {
    expect(await lineOf('1.16.1', given, { pci: true, timer: false })).toBe(`${given} root=/dev/vda ro`);
  });

  test('the boot timer takes the first address of the old layout', async () => {
    expect(await lineOf('1.9.1', '', { pci: false, timer: true })).toMatch(/^virtio_mmio\.device=4K@0xd0001000:5 /);
    expect(await lineOf('1.13.1', '', { pci: false, timer: true })).toMatch(/^pci=off virtio_mmio\.device=4K@0xc0001000:5 /);
  });

  test('the line that is too long only with what is added is refused at the start', async () => {
    await expect(lineOf('1.16.1', 'x'.repeat(2040))).rejects.toThrow('Invalid kernel command line');
  });

  test.each([
    ['1.14.4', 18],
    ['1.15.1', 17],
  ] as const)('%s has room for %i devices', (version, most) => {
    const resources = new Resources(version, none);
    resources.setBootSource({ kernel_image_path: bench.path('k'), boot_args: '' });
    const add = (i: number): void => resources.setDrive({ drive_id: `d${i}`, path_on_host: bench.path('disk'), is_root_device: false });
    for (let i = 0; i < most; i += 1) add(i);
    expect(commandLine(version, resources, { pci: false, timer: false })).toContain(`:${most + 4}`);
    add(most);
    expect(() => commandLine(version, resources, { pci: false, timer: false })).toThrow('The requested resource is not available');
  });
});

test('the defaults by version, and that they leave no console', () => {
  expect(defaultBootArgs('1.11.0')).toBe(
    'reboot=k panic=1 pci=off nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd',
  );
  expect(defaultBootArgs('1.12.1')).toBe('reboot=k panic=1 pci=off nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd');
  expect(defaultBootArgs('1.13.0')).toBe('reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce');
  expect(hasSerial(defaultBootArgs('1.16.1'))).toBe(false);
  expect(hasSerial('console=ttyS0 8250.nr_uarts=0')).toBe(false);
  expect(hasSerial(given)).toBe(true);
});

test('how a reset ends, by reboot= and panic=', () => {
  expect(['reboot=k', '', 'reboot=t', 'reboot=k reboot=t', 'reboot=e'].map(afterReboot)).toEqual([
    'resets',
    'resets',
    'triple-faults',
    'triple-faults',
    'spins',
  ]);
  expect(afterPanic('reboot=k panic=1')).toEqual({ secondsMs: 1000, end: 'resets' });
  expect(afterPanic('reboot=k panic=-1')).toEqual({ secondsMs: 0, end: 'resets' });
  expect(afterPanic('reboot=k panic=0').end).toBe('spins');
  expect(afterPanic('reboot=k').end).toBe('spins');
});

describe('--config-file', () => {
  const config = {
    'boot-source': { kernel_image_path: 'k', boot_args: given },
    drives: [{ drive_id: 'root', path_on_host: 'disk', is_root_device: true, is_read_only: false }],
    'machine-config': { vcpu_count: 2, mem_size_mib: 256 },
  };
  const run = (version: SimVersion, content: unknown, more: readonly string[] = []): Running =>
    bench.run(bench.simulator(version), [
      '--api-sock',
      'api',
      '--config-file',
      bench.write('c.json', content),
      '--log-path',
      bench.write('log', ''),
      ...more,
    ]);

  test.each(oneOfEachMinor)('%s boots at once, ignores what it does not know at the top, and answers as after a start', async (version) => {
    const sim = run(version, { ...config, network_interfaces: [{ nonsense: 1 }], serial: 5 });
    await eventually(() => bench.read('out').endsWith('linstock-init: ready\r\n'));
    const appended = ['1.9.1', '1.10.1', '1.11.0', '1.12.1'].includes(version) ? '' : 'pci=off ';
    const first = ['1.9.1', '1.10.1', '1.11.0', '1.12.1'].includes(version)
      ? '0xd0000000:5'
      : version === '1.14.4'
        ? '0xc0001000:6'
        : '0xc0001000:5';
    expect(bench.read('out')).toMatch(/^\[ {4}0\.000000\] Linux version [^\r\n]+\r\n/);
    expect(bench.read('out')).toContain(`Command line: ${given} ${appended}root=/dev/vda rw virtio_mmio.device=4K@${first}\r\n`);
    expect(bench.read('out')).toContain('Run /sbin/init as init process\r\n');
    expect(JSON.parse((await sim.call('GET', '/')).body)).toMatchObject({ state: 'Running' });
    expect(JSON.parse((await sim.call('GET', '/vm/config')).body)).toMatchObject({
      'boot-source': { kernel_image_path: 'k', initrd_path: null, boot_args: given },
      'machine-config': { vcpu_count: 2, mem_size_mib: 256 },
      drives: [{ drive_id: 'root', cache_type: 'Unsafe', io_engine: 'Sync', partuuid: null }],
      logger: null,
    });
    expect(await sim.refusal('PUT', '/boot-source', config['boot-source'])).toContain('after starting the microVM');
  });

  test('without an API there is no socket', async () => {
    run('1.16.1', config, ['--no-api']);
    await eventually(() => bench.read('out').includes('linstock-init: ready'));
    expect(bench.read('log')).not.toContain('API socket');
  });

  test.each([
    ['{', 'Configuration for VMM from one single json failed: Invalid JSON: EOF while parsing an object at line 1 column 1'],
    ['{}', 'Configuration for VMM from one single json failed: Invalid JSON: missing field `drives` at line 1 column 2'],
    [{ drives: [] }, 'Configuration for VMM from one single json failed: Invalid JSON: missing field `boot-source` at line 1 column 13'],
    [
      { ...config, drives: [{ ...config.drives[0], bogus: 1 }] },
      /^Configuration for VMM from one single json failed: Invalid JSON: unknown field `bogus`, expected one of `drive_id`, /,
    ],
    [
      { ...config, 'boot-source': { kernel_image_path: 'x' } },
      'Configuration for VMM from one single json failed: Boot source error: The kernel file cannot be opened: No such file or directory (os error 2)',
    ],
    [
      { ...config, drives: [...config.drives, { ...config.drives[0], drive_id: 'b' }] },
      'Configuration for VMM from one single json failed: Block device error: A root block device already exists!',
    ],
    [
      { ...config, 'machine-config': { vcpu_count: 33, mem_size_mib: 1 } },
      'Configuration for VMM from one single json failed: VM config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.',
    ],
    [
      { ...config, 'boot-source': { kernel_image_path: 'text' } },
      /^Could not Start MicroVM from one single json: System configuration error: Cannot load kernel /,
    ],
  ] as const)('%j ends with 1 and says why', async (content, says) => {
    const sim = run('1.16.1', content);
    expect(await sim.ended()).toEqual({ code: 1, signal: null });
    const prefix = 'RunWithApiError error: Failed to build MicroVM from Json: ';
    const said = bench.read('log').split(prefix)[1]?.split('\n')[0] ?? '';
    if (typeof says === 'string') expect(said).toBe(says);
    else expect(said).toMatch(says);
    expect(bench.read('err')).toMatch(/^Error: RunWithApi\(BuildFromJson\(/);
    expect(bench.read('log')).toContain('Firecracker exiting with error. exit_code=1\n');
  });

  test('a file that is not there is a panic', async () => {
    const sim = bench.run(bench.simulator('1.16.1'), ['--config-file', 'nowhere', '--api-sock', 'api']);
    expect(await sim.ended()).toEqual({ code: null, signal: 'SIGABRT' });
    expect(bench.read('out')).toContain('Unable to open or read from the configuration file: Os { code: 2, kind: NotFound');
  });
});
