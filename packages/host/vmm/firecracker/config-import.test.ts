import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resolveArgs } from '@linstock/core';
import { firecrackerSettingsSchema } from '@linstock/contract';
import { importConfig, type Import } from './config-import.ts';
import { good, plusArgs, twoDrives, twoNets, v, withArgs, withEntry, withIn, type Sections } from './lint/testing/tables.ts';

type Ok = Extract<Import, { is: 'ok' }>;
const read = (config: object | string, onFirecracker = false): Import =>
  importConfig(typeof config === 'string' ? config : JSON.stringify(config), v('1.16.1'), onFirecracker);
function taken(config: object): Ok {
  const result = read(config);
  if (result.is === 'refused') throw new Error(result.says.join(' '));
  return result;
}
const changesAt = (config: object, at: string): string[] =>
  taken(config)
    .changes.filter((one) => one.at === at)
    .map(({ says }) => says);
const args = '/boot-source/boot_args';

test('what is taken, and every change named', () => {
  const config = {
    ...plusArgs('ip=172.16.0.2::172.16.0.1:255.255.255.252::eth0:off a="b c" -- single'),
    balloon: { amount_mib: 0, deflate_on_oom: true },
  };
  const { vm, changes } = taken(config);
  expect(vm).toEqual({
    memoryMiB: 256,
    vcpus: 2,
    kernel: '/k/vmlinux',
    initrd: null,
    firecracker: null,
    disk: { path: '/d/root.ext4', readOnly: false },
    bootArgs: ['console=ttyS0', 'reboot=k', 'panic=1', 'ip={ip}', 'a="b c"', 'root=/dev/vda', 'rw', '--', 'single'],
  });
  expect(changes.map(({ at, says }) => `${at}: ${says}`)).toMatchInlineSnapshot(`
    [
      "/drives/0/path_on_host: Each VM gets a copy of this file: the file itself is never written to.",
      "/network-interfaces/0/host_dev_name: Linstock wires the interface itself: tap0 is neither used nor changed.",
      "/network-interfaces/0/guest_mac: The MAC address is that of the lease.",
      "/vsock: The vsock device is left out: what listens on it in the guest is not reached.",
      "/balloon: The balloon is left out; a VM on Firecracker would have it.",
      "/boot-source/boot_args: root=/dev/vda rw is written out, which Firecracker appends by itself.",
      "/boot-source/boot_args: ip={ip} instead of ip=172.16.0.2::172.16.0.1:255.255.255.252::eth0:off: each VM gets the address of its own lease.",
    ]
  `);
});

test('sections that were not given have Firecracker’s values', () => {
  const { 'machine-config': _, ...rest } = good();
  expect(taken(rest).vm).toMatchObject({ memoryMiB: 128, vcpus: 1 });
});

describe('nothing is dropped without a word', () => {
  test.each<[string, object, string, RegExp]>([
    ['a second drive', twoDrives({}), '/drives/1', /one disk/],
    ['a second interface', twoNets({}), '/network-interfaces/1', /one interface/],
    ['no interface', { ...good(), 'network-interfaces': undefined }, '/network-interfaces', /as every VM/],
    ['a read-only drive', withEntry('drives', { is_read_only: true }), '/drives/0/is_read_only', /mounts it read-only/],
    ['a cache', withEntry('drives', { cache_type: 'Unsafe' }), '/drives/0/cache_type', /Writeback/],
    ['a limit of a drive', withEntry('drives', { rate_limiter: {} }), '/drives/0/rate_limiter', /left out/],
    ['an engine', withEntry('drives', { io_engine: 'Sync' }), '/drives/0/io_engine', /left out/],
    [
      'a limit of an interface',
      withEntry('network-interfaces', { rx_rate_limiter: {} }),
      '/network-interfaces/0/rx_rate_limiter',
      /left out/,
    ],
    ['an MTU', withEntry('network-interfaces', { mtu: 1_400 }), '/network-interfaces/0/mtu', /left out/],
    ['threads', withIn('machine-config', { smt: true }), '/machine-config/smt', /left out/],
    ['a template', withIn('machine-config', { cpu_template: 'T2' }), '/machine-config/cpu_template', /left out/],
    ['huge pages', withIn('machine-config', { huge_pages: '2M' }), '/machine-config/huge_pages', /left out/],
    ['a limit of entropy', { ...good(), entropy: { rate_limiter: {} } }, '/entropy/rate_limiter', /left out/],
    ['MMDS', { ...good(), 'mmds-config': { network_interfaces: ['eth0'] } }, '/mmds-config', /nothing answers/],
    ['a log', { ...good(), logger: {} }, '/logger', /own/],
    ['metrics', { ...good(), metrics: { metrics_path: '/m' } }, '/metrics', /left out/],
    ['pmem', { ...good(), pmem: [{ id: 'p', path_on_host: '/p' }] }, '/pmem', /left out/],
    ['hotplug', { ...good(), 'memory-hotplug': { total_size_mib: 128 } }, '/memory-hotplug', /left out/],
    ['a template of its own', { ...good(), 'cpu-config': '/t' }, '/cpu-config', /left out/],
  ])('%s', (_, config, at, words) => expect(changesAt(config, at)).toEqual([expect.stringMatching(words)]));

  test('and nothing is said about what asks for nothing', () => {
    const nothing = {
      pmem: [],
      'mmds-config': null,
      balloon: null,
      'machine-config': { vcpu_count: 1, mem_size_mib: 64, smt: false, huge_pages: 'None' },
    };
    expect(taken({ ...good(), ...nothing }).changes.map(({ at }) => at)).toEqual(taken(good()).changes.map(({ at }) => at));
  });
});

describe('boot arguments', () => {
  const free = { is_root_device: false };
  const owned = (text: string): Sections => ({ ...withArgs(text), drives: withEntry('drives', free)['drives'] });
  test.each<[string, object, string, RegExp]>([
    ['none', withArgs(undefined), 'console=ttyS0 reboot=k panic=1 root=/dev/vda rw ip={ip}', /turn the serial port off/],
    ['an address of its own network', withArgs('console=ttyS0 ip=dhcp'), 'console=ttyS0 ip={ip} root=/dev/vda rw', /instead of ip=dhcp/],
    ['no address', withArgs('console=ttyS0'), 'console=ttyS0 root=/dev/vda rw ip={ip}', /ip=\{ip\} is added/],
    [
      'two addresses',
      withArgs('console=ttyS0 ip=10.0.0.2 ip=10.0.0.3'),
      'console=ttyS0 ip={ip} root=/dev/vda rw',
      /ip=10\.0\.0\.2 is dropped/,
    ],
    ['no console', withArgs('panic=1'), 'panic=1 console=ttyS0 root=/dev/vda rw ip={ip}', /console=ttyS0 is added/],
    ['another console', withArgs('console=ttyS0 console=tty1'), 'console=ttyS0 console=tty1 root=/dev/vda rw ip={ip}', /root=/],
    ['the port off', withArgs('console=ttyS0 8250.nr_uarts=0'), 'console=ttyS0 root=/dev/vda rw ip={ip}', /8250\.nr_uarts=0 is dropped/],
    [
      'Firecracker’s machine',
      withArgs('console=ttyS0 acpi=off noapic virtio_mmio.device=4K@0xd0000000:5'),
      'console=ttyS0 root=/dev/vda rw ip={ip}',
      /noapic is dropped/,
    ],
    [
      'another root',
      withArgs('console=ttyS0 root=/dev/vda1 ro'),
      'console=ttyS0 root=/dev/vda rw ip={ip}',
      /counts instead of root=\/dev\/vda1 ro/,
    ],
    ['the root written out', withArgs('console=ttyS0 root=/dev/vda rw ip={ip}'), 'console=ttyS0 ip={ip} root=/dev/vda rw', /^$/],
    [
      'a read-only root',
      { ...withArgs('console=ttyS0'), drives: withEntry('drives', { is_read_only: true })['drives'] },
      'console=ttyS0 root=/dev/vda ro ip={ip}',
      /root=\/dev\/vda ro/,
    ],
    ['a root by arguments', owned('console=ttyS0 root=/dev/vda rw'), 'console=ttyS0 root=/dev/vda rw ip={ip}', /ip=/],
    [
      'a root by label',
      owned('console=ttyS0 root=LABEL=x ro rw'),
      'console=ttyS0 root=LABEL=x rw ip={ip}',
      /ro is dropped: rw comes after it/,
    ],
    ['one twice', withArgs('console=ttyS0 panic=1 panic=5'), 'console=ttyS0 panic=5 root=/dev/vda rw ip={ip}', /panic=1 is dropped/],
    ['line ends', withArgs('console=ttyS0\n panic=1\n'), 'console=ttyS0 panic=1 root=/dev/vda rw ip={ip}', /root=/],
    ['arguments of init', withArgs('console=ttyS0 -- a "b c"'), 'console=ttyS0 root=/dev/vda rw ip={ip} -- a "b c"', /root=/],
  ])('%s', (_, config, line, words) => {
    expect(taken(config).vm.bootArgs.join(' ')).toBe(line);
    expect(changesAt(config, args).join('\n')).toMatch(words);
  });

  test('a root drive that is not the first becomes the only one', () => {
    const config = { ...twoDrives({}, free), 'boot-source': withArgs('console=ttyS0 root=/dev/vdb ro')['boot-source'] };
    const { vm, changes } = taken(config);
    expect(vm.disk).toEqual({ path: '/d/data', readOnly: true });
    expect(vm.bootArgs.join(' ')).toBe('console=ttyS0 root=/dev/vda ro ip={ip}');
    expect(changes.map(({ at }) => at)).toContain('/drives/0');
  });

  test('with an initrd the first drive is the disk, and no root= is added', () => {
    const config = {
      ...withIn('boot-source', { initrd_path: '/i', boot_args: 'console=ttyS0' }),
      drives: withEntry('drives', free)['drives'],
    };
    expect(taken(config).vm).toMatchObject({ initrd: '/i', disk: { path: '/d/root.ext4' }, bootArgs: ['console=ttyS0', 'ip={ip}'] });
  });
});

describe('what cannot be run is refused in sentences', () => {
  const free = withEntry('drives', { is_root_device: false });
  test.each<[string, object | string, RegExp]>([
    ['no JSON', '', /not JSON/],
    ['what Firecracker refuses', { ...good(), vsock: {} }, /\/vsock\/guest_cid is missing.*\/vsock\/uds_path is missing/],
    ['no disk', { ...withIn('boot-source', { initrd_path: '/i' }), drives: [] }, /^\/drives: there is no root file system/],
    [
      'a disk behind a backend',
      withEntry('drives', { path_on_host: undefined, is_read_only: undefined, socket: '/s' }),
      /vhost-user backend cannot be copied/,
    ],
    ['a partition by its id', withEntry('drives', { partuuid: 'x' }), /without a partition table/],
    ['a partition by its name', { ...free, 'boot-source': plusArgs('root=/dev/vda2')['boot-source'] }, /root=\/dev\/vda2 is a partition/],
    ['root on pmem', { ...free, pmem: [{ id: 'p', path_on_host: '/p', root_device: true }] }, /pmem is not supported/],
    ['an argument that no VMM passes on', plusArgs('host=ä'), /not ASCII/],
    ['an argument that a broken program wrote', plusArgs('host=undefined'), /contains "undefined"/],
    [
      'more arguments than fit with ours',
      withArgs(`console=ttyS0 ${'x'.repeat(500)} ${'y'.repeat(500)} ${'z'.repeat(500)} ${'a'.repeat(400)} ${'b'.repeat(95)}`),
      /bytes/,
    ],
  ])('%s', (_, config, words) => {
    const result = read(config);
    expect(result.is === 'refused' && result.says.join(' ')).toMatch(words);
  });
});

test('any text is taken or refused; what is taken makes a command line', () => {
  const lease = { address: '10.0.0.2', gateway: '10.0.0.1', netmask: '255.255.255.0', prefix: 24, mac: '02:fc:0a:00:00:02', vm: 'vm_1' };
  const words = fc.constantFrom(
    'root=/dev/vdb',
    'root=/dev/vda',
    'ro',
    'rw',
    'ip=x',
    'ip=dhcp',
    'console=tty1',
    'console=ttyS0',
    'panic=1',
    'quiet',
    '--',
    'a="b c"',
    '8250.nr_uarts=0',
    'acpi=off',
    '"',
    '{ip}',
    '{x}',
    'ä',
    '=',
  );
  const config = fc
    .tuple(fc.array(words, { maxLength: 12 }), fc.boolean(), fc.boolean(), fc.boolean())
    .map(([tokens, isRoot, readOnly, two]) => {
      const drives = { is_root_device: isRoot, is_read_only: readOnly };
      return JSON.stringify({
        ...(two ? twoDrives({}, drives) : withEntry('drives', drives)),
        'boot-source': { kernel_image_path: '/k', initrd_path: '/i', boot_args: tokens.join(' ') },
      });
    });
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 4, arbitrary: config }, fc.json(), fc.string({ unit: 'binary' })), (text) => {
      const result = read(text);
      if (result.is === 'refused') expect(result.says).not.toEqual([]);
      else {
        taken += 1;
        expect(resolveArgs(result.vm.bootArgs, lease)).toMatchObject({ is: 'ok' });
        expect(result.vm.bootArgs.filter((token) => token === 'ip={ip}')).toHaveLength(1);
      }
    }),
    { numRuns: 500 },
  );
  expect(taken).toBeGreaterThan(20); // else the property says nothing
});

describe('what only Firecracker has', () => {
  const limiter = { bandwidth: { size: 1_000, refill_time: 100, one_time_burst: 5 }, ops: { size: 0, refill_time: 1 } };
  const config = {
    ...withEntry('drives', { rate_limiter: limiter }),
    'machine-config': { vcpu_count: 1, mem_size_mib: 64, cpu_template: 'T2', huge_pages: '2M' },
    balloon: { amount_mib: 8, deflate_on_oom: true },
  };

  test('is kept for a VM on Firecracker, and not told as a change', () => {
    const imported = read(config, true);
    if (imported.is !== 'ok') throw new Error(imported.says.join(' '));
    expect(imported.vm.firecracker).toEqual({
      disk: { bytes: { size: 1_000, refillMs: 100, burst: 5 } }, // a bucket of nothing limits nothing
      cpuTemplate: 'T2',
      hugePages: '2M',
      balloon: { amountMiB: 8, deflateOnOom: true, statsEveryS: 0 },
    });
    expect(firecrackerSettingsSchema.parse(imported.vm.firecracker)).toEqual(imported.vm.firecracker);
    expect(imported.changes.filter(({ at }) => /limiter|template|pages|balloon/.test(at))).toEqual([]);
  });

  test('is left out for another, and said to be', () => {
    const imported = read(config);
    if (imported.is !== 'ok') throw new Error(imported.says.join(' '));
    expect(imported.vm.firecracker).toBeNull();
    const told = imported.changes.filter(({ says }) => says.includes('a VM on Firecracker would have it')).map(({ at }) => at);
    expect(told.toSorted()).toEqual(['/balloon', '/drives/0/rate_limiter', '/machine-config/cpu_template', '/machine-config/huge_pages']);
  });
});
