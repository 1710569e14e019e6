import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { importConfig } from './config-import.ts';
import { lintConfig, type Finding, type Severity } from './config-lint.ts';
import { parseVersion, type Version } from './versions.ts';

const v = (text: string): Version => parseVersion(text)!;
type Sections = Record<string, unknown>;

/** As a careful person writes it for 1.16.1: nothing to say about it. */
const good = (): Sections => ({
  'boot-source': { kernel_image_path: '/k/vmlinux', boot_args: 'console=ttyS0 reboot=k panic=1' },
  'machine-config': { vcpu_count: 2, mem_size_mib: 256 },
  drives: [{ drive_id: 'root', path_on_host: '/d/root.ext4', is_root_device: true, is_read_only: false, cache_type: 'Writeback' }],
  'network-interfaces': [{ iface_id: 'eth0', host_dev_name: 'tap0', guest_mac: '02:fc:00:00:00:01' }],
  vsock: { guest_cid: 3, uds_path: '/run/v.sock' },
  entropy: {},
});
const lint = (config: unknown, version = '1.16.1'): readonly Finding[] => lintConfig(JSON.stringify(config), v(version)).findings;
const short = (findings: readonly Finding[]): string[] => findings.map(({ severity, at }) => `${severity} ${at}`);
const withIn = (name: string, changes: Sections): Sections => {
  const all = good();
  return { ...all, [name]: { ...(all[name] as Sections), ...changes } };
};
const withEntry = (name: string, changes: Sections): Sections => {
  const all = good();
  return { ...all, [name]: [{ ...(all[name] as Sections[])[0], ...changes }] };
};
const withArgs = (boot_args: unknown): Sections => withIn('boot-source', { boot_args });

test('a good file has no findings', () => {
  expect(lint(good())).toEqual([]);
});

describe('what is found', () => {
  const cases: readonly (readonly [says: string, config: object, severity: Severity, at: string, words: RegExp, version?: string])[] = [
    [
      'a section that Firecracker does not know',
      { ...good(), network_interfaces: [] },
      'warning',
      '/network_interfaces',
      /silence.*"network-interfaces"/,
    ],
    [
      'a section of later versions',
      { ...good(), pmem: [] },
      'warning',
      '/pmem',
      /1\.9\.1 has no \/pmem: it came with 1\.14\.0.*silence/,
      '1.9.1',
    ],
    [
      'serial, which has no section',
      { ...good(), serial: { serial_out_path: 'x' } },
      'warning',
      '/serial',
      /no section \/serial.*API alone/,
    ],
    ['a misspelt field', withIn('boot-source', { bootargs: 'x' }), 'error', '/boot-source/bootargs', /"boot_args"/],
    ['a misspelt field that is ignored', { ...good(), metrics: { metrics_path: 'm', emit: true } }, 'warning', '/metrics/emit', /silence/],
    [
      'a field of later versions',
      withEntry('network-interfaces', { mtu: 1_400 }),
      'error',
      '/network-interfaces/0/mtu',
      /it came with 1\.16\.0/,
      '1.15.1',
    ],
    [
      'a wrong type',
      withIn('machine-config', { vcpu_count: '2' }),
      'error',
      '/machine-config/vcpu_count',
      /the text "2" and must be a whole number from 1 to 32/,
    ],
    ['a missing field', { ...good(), vsock: { guest_cid: 3 } }, 'error', '/vsock/uds_path', /missing/],
    ['no drives at all', { 'boot-source': good()['boot-source'] }, 'error', '/drives', /missing|root device/],
    ['a deprecated field', { ...good(), vsock: { guest_cid: 3, uds_path: 'v', vsock_id: 'x' } }, 'note', '/vsock/vsock_id', /deprecated/],
    ['an id of the other alphabet', withEntry('drives', { drive_id: 'root-disk' }), 'error', '/drives/0/drive_id', /letters, digits and _/],
    [
      'a name of a TAP that is too long',
      withEntry('network-interfaces', { host_dev_name: 'tap-of-the-first-vm' }),
      'error',
      '/network-interfaces/0/host_dev_name',
      /1 to 15 bytes/,
    ],
    [
      'a MAC address that is none',
      withEntry('network-interfaces', { guest_mac: '02-fc-00-00-00-01' }),
      'error',
      '/network-interfaces/0/guest_mac',
      /six pairs/,
    ],
    [
      'a multicast address',
      withEntry('network-interfaces', { guest_mac: '03:fc:00:00:00:01' }),
      'error',
      '/network-interfaces/0/guest_mac',
      /first byte even/,
    ],
    [
      'no MAC address',
      withEntry('network-interfaces', { guest_mac: null }),
      'warning',
      '/network-interfaces/0/guest_mac',
      /another address at each boot/,
    ],
    ['a cache without flush', withEntry('drives', { cache_type: 'Unsafe' }), 'warning', '/drives/0/cache_type', /Writeback/],
    [
      'two owners of root=',
      withArgs('console=ttyS0 reboot=k panic=1 root=/dev/vda1'),
      'warning',
      '/boot-source/boot_args',
      /takes the last one/,
    ],
    ['no owner of root=', withEntry('drives', { is_root_device: false }), 'error', '/drives', /root fs/],
    ['an initrd beside a root device', withIn('boot-source', { initrd_path: '/i' }), 'warning', '/drives/0/is_root_device', /initrd/],
    ['a doubled argument', withArgs('console=ttyS0 reboot=k panic=1 panic=5'), 'warning', '/boot-source/boot_args', /says again/],
    ['pci=off where it is missing', good(), 'warning', '/boot-source/boot_args', /pci=off is missing/, '1.12.1'],
    [
      'pci=off where it is appended',
      withArgs('console=ttyS0 reboot=k panic=1 pci=off'),
      'note',
      '/boot-source/boot_args',
      /appends it itself/,
    ],
    ['no reboot=k', withArgs('console=ttyS0 panic=1'), 'warning', '/boot-source/boot_args', /keyboard controller/],
    ['no panic=', withArgs('console=ttyS0 reboot=k'), 'warning', '/boot-source/boot_args', /for ever/],
    [
      'a console without a port',
      withArgs('console=ttyS0 reboot=k panic=1 8250.nr_uarts=0'),
      'warning',
      '/boot-source/boot_args',
      /exclude each other/,
    ],
    ['no arguments', withArgs(null), 'note', '/boot-source/boot_args', /no serial console/],
    ['arguments that are too long', withArgs('x'.repeat(2_048)), 'error', '/boot-source/boot_args', /2,047/],
    ['a socket path that is too long', withIn('vsock', { uds_path: `/${'v'.repeat(100)}` }), 'error', '/vsock/uds_path', /107/],
    [
      'MMDS on an interface that is not there',
      { ...good(), 'mmds-config': { network_interfaces: ['eth1'], version: 'V2' } },
      'error',
      '/mmds-config/network_interfaces/0',
      /no interface "eth1"/,
    ],
    [
      'huge pages with an initrd',
      { ...withIn('boot-source', { initrd_path: '/i' }), 'machine-config': { vcpu_count: 1, mem_size_mib: 64, huge_pages: '2M' } },
      'error',
      '/machine-config/huge_pages',
      /initrd/,
      '1.10.1',
    ],
    [
      'a limit that is none',
      withEntry('drives', { rate_limiter: { ops: { size: 0, refill_time: 100 } } }),
      'warning',
      '/drives/0/rate_limiter/ops',
      /limit is off/,
    ],
    [
      'two drives of one file',
      {
        ...good(),
        drives: [0, 1].map((i) => ({
          drive_id: `d${i}`,
          path_on_host: '/d',
          is_root_device: i === 0,
          is_read_only: false,
          cache_type: 'Writeback',
        })),
      },
      'error',
      '/drives/1/path_on_host',
      /same file/,
    ],
    [
      'two root devices',
      { ...good(), drives: [0, 1].map((i) => ({ drive_id: `d${i}`, path_on_host: `/d${i}`, is_root_device: true, is_read_only: true })) },
      'error',
      '/drives/1/is_root_device',
      /root devices/,
    ],
    [
      'one TAP for two',
      {
        ...good(),
        'network-interfaces': [0, 1].map((i) => ({ iface_id: `e${i}`, host_dev_name: 'tap0', guest_mac: `02:fc:00:00:00:0${i}` })),
      },
      'error',
      '/network-interfaces/1/host_dev_name',
      /same host_dev_name/,
    ],
    ['a template inside, too early', { ...good(), 'cpu-config': {} }, 'error', '/cpu-config', /must be a text/, '1.12.1'],
    ['a list instead of the file', [], 'error', '', /no JSON object/],
  ];
  test.each(cases.map((one) => ({ says: one[0], one })))('$says', ({ one: [, config, severity, at, words, version = '1.16.1'] }) => {
    const found = lint(config, version).filter((finding) => finding.at === at && finding.severity === severity);
    expect(found.map(({ what, why, fix }) => `${what} ${why} ${fix}`).join('\n')).toMatch(words);
    for (const { what, why, fix } of found) for (const sentence of [what, why, fix]) expect(sentence).toMatch(/[.…]$/);
  });

  test('text that is no JSON', () => {
    expect(short(lintConfig('{ "drives": [', v('1.16.1')).findings)).toEqual(['error ']);
    expect(short(lintConfig(' '.repeat(1_100_000), v('1.16.1')).findings)).toEqual(['error ']);
  });

  test('a level in any case, and a template inside where it may be', () => {
    expect(lint({ ...good(), logger: { level: 'warn' }, 'cpu-config': { kvm_capabilities: ['121'] } })).toEqual([]);
  });

  test('errors come first', () => {
    const found = lint({ ...withArgs(null), extra: 1, vsock: {} }).map(({ severity }) => severity);
    expect(found).toEqual(found.toSorted((a, b) => ['error', 'warning', 'note'].indexOf(a) - ['error', 'warning', 'note'].indexOf(b)));
  });
});

test('the paths for the caller to look at; log files only where they must be there', () => {
  const config = { ...good(), logger: { log_path: '/l' }, metrics: { metrics_path: '/m' } };
  const paths = (version: string): string[] =>
    lintConfig(JSON.stringify(config), v(version)).paths.map(({ path, must }) => `${path} ${must}`);
  expect(paths('1.16.1')).toEqual(['/k/vmlinux be-readable', '/d/root.ext4 be-writable', '/run/v.sock be-absent']);
  expect(paths('1.9.1').slice(3)).toEqual(['/l exist', '/m exist']);
});

describe('import', () => {
  test('what is taken, and every change named', () => {
    const config = {
      ...withArgs('console=ttyS0 reboot=k panic=1 ip=172.16.0.2::172.16.0.1:255.255.255.252::eth0:off a="b c" -- single'),
      balloon: { amount_mib: 0, deflate_on_oom: true },
    };
    const result = importConfig(JSON.stringify(config), v('1.16.1'));
    expect(result).toMatchObject({
      is: 'ok',
      vm: {
        memoryMiB: 256,
        vcpus: 2,
        kernel: '/k/vmlinux',
        initrd: null,
        disk: { path: '/d/root.ext4', readOnly: false },
        bootArgs: ['console=ttyS0', 'reboot=k', 'panic=1', 'ip={ip}', 'a="b c"', '--', 'single'],
        interfaces: 1,
      },
    });
    expect(result.is === 'ok' && result.changes.map(({ at }) => at)).toEqual([
      '/drives/0/path_on_host',
      '/network-interfaces/0/host_dev_name',
      '/network-interfaces/0/guest_mac',
      '/vsock',
      '/balloon',
      '/boot-source/boot_args',
    ]);
  });

  test('sections that were not given have Firecracker’s values', () => {
    const { 'machine-config': _, ...rest } = good();
    expect(importConfig(JSON.stringify(rest), v('1.16.1'))).toMatchObject({ is: 'ok', vm: { memoryMiB: 128, vcpus: 1 } });
  });

  test('what Firecracker would refuse is refused, in sentences', () => {
    expect(importConfig(JSON.stringify({ ...good(), vsock: {} }), v('1.16.1'))).toMatchObject({
      is: 'refused',
      says: [expect.stringContaining('/vsock/guest_cid') as string, expect.stringContaining('/vsock/uds_path') as string],
    });
    expect(importConfig('', v('1.16.1'))).toMatchObject({ is: 'refused' });
  });
});

test('no text throws: any JSON, any JSON in known sections', () => {
  const names = [...Object.keys(good()), 'balloon', 'mmds-config', 'logger', 'pmem', 'cpu-config', 'memory-hotplug', '__proto__'];
  const sections = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 })).map((all) => JSON.stringify(all));
  const spoilt = fc
    .tuple(fc.constantFrom(...names), fc.constantFrom('boot_args', 'drive_id', 'guest_mac', 'uds_path', '0'), fc.jsonValue())
    .map(([name, key, value]) =>
      JSON.stringify({ ...good(), [name]: Array.isArray(good()[name]) ? [{ [key]: value }] : { [key]: value } }),
    );
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.json(), sections, spoilt),
      fc.constantFrom('1.9.1', '1.13.1', '1.16.1'),
      (text, version) => {
        for (const { what, why, fix } of lintConfig(text, v(version)).findings) expect([what, why, fix]).not.toContain('');
        importConfig(text, v(version));
      },
    ),
    { numRuns: 300 },
  );
});
