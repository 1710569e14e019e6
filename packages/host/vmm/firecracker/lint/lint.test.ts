import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lintConfig, mostConfigBytes } from './lint.ts';
import { good, line, lint, testRows, v, withArgs, withEntry, withIn } from './testing/tables.ts';

test('a good file has no findings', () => {
  expect(lint(good())).toEqual([]);
});

const spoilt = (from: string, to: string): string => JSON.stringify(good()).replace(from, to);

describe('sections and fields', () => {
  testRows([
    {
      says: 'a section that Firecracker does not know',
      sick: { ...good(), network_interfaces: [] },
      well: good(),
      finds: 'warning /network_interfaces',
      words: /silence.*"network-interfaces"/,
    },
    {
      says: 'a section of later versions',
      sick: { ...good(), pmem: [] },
      well: { ...good(), pmem: [] },
      finds: 'warning /pmem',
      words: /1\.9\.1 has no \/pmem: it came with 1\.14\.0.*silence/,
      version: '1.9.1',
      wellVersion: '1.14.0',
    },
    {
      says: 'serial, which has no section',
      sick: { ...good(), serial: { serial_out_path: 'x' } },
      well: good(),
      finds: 'warning /serial',
      words: /no section \/serial.*API alone/,
    },
    {
      says: 'a misspelt field',
      sick: withIn('boot-source', { bootargs: 'x' }),
      well: good(),
      finds: 'error /boot-source/bootargs',
      words: /"boot_args"/,
    },
    {
      says: 'a misspelt field that is ignored: metrics',
      sick: { ...good(), metrics: { metrics_path: 'm', emit: true } },
      well: { ...good(), metrics: { metrics_path: 'm' } },
      finds: 'warning /metrics/emit',
      words: /silence/,
    },
    {
      says: 'a misspelt field that is ignored: a bucket',
      sick: withEntry('drives', { rate_limiter: { ops: { size: 1, refill_time: 1, burst: 1 } } }),
      well: withEntry('drives', { rate_limiter: { ops: { size: 1, refill_time: 1, one_time_burst: 1 } } }),
      finds: 'warning /drives/0/rate_limiter/ops/burst',
      words: /silence/,
    },
    {
      says: 'a field of later versions',
      sick: withEntry('network-interfaces', { mtu: 1_400 }),
      well: withEntry('network-interfaces', { mtu: 1_400 }),
      finds: 'error /network-interfaces/0/mtu',
      words: /1\.15\.1 has no.*it came with 1\.16\.0/,
      version: '1.15.1',
      wellVersion: '1.16.0',
    },
    {
      says: 'a wrong type',
      sick: withIn('machine-config', { vcpu_count: '2' }),
      well: withIn('machine-config', { vcpu_count: 32 }),
      finds: 'error /machine-config/vcpu_count',
      words: /the text "2" and must be a whole number from 1 to 32/,
    },
    {
      says: 'null where a field has a default',
      sick: withIn('machine-config', { smt: null }),
      well: withIn('machine-config', { smt: false, cpu_template: null }),
      finds: 'error /machine-config/smt',
      words: /is null and must be true or false/,
    },
    {
      says: 'a missing field',
      sick: { ...good(), vsock: { guest_cid: 3 } },
      well: good(),
      finds: 'error /vsock/uds_path',
      words: /missing/,
    },
    {
      says: 'no drives at all',
      sick: { 'boot-source': withArgs('console=ttyS0 reboot=k panic=1 root=/dev/vda')['boot-source'] },
      well: good(),
      finds: 'error /drives',
      words: /missing/,
    },
    {
      says: 'a deprecated field',
      sick: withIn('vsock', { vsock_id: 'x' }),
      well: good(),
      finds: 'note /vsock/vsock_id',
      words: /deprecated/,
    },
    {
      says: 'an id that the API refuses, and a file may hold',
      sick: withEntry('drives', { drive_id: 'root-disk' }),
      well: withEntry('drives', { drive_id: 'root_disk' }),
      finds: 'warning /drives/0/drive_id',
      words: /letters, digits and _.*later request/,
    },
    {
      says: 'an id that is no text',
      sick: withEntry('drives', { drive_id: 7 }),
      well: good(),
      finds: 'error /drives/0/drive_id',
      words: /is 7/,
    },
    {
      says: 'a CID that nobody checks',
      sick: withIn('vsock', { guest_cid: 2 }),
      well: withIn('vsock', { guest_cid: 4_294_967_295 }),
      finds: 'error /vsock/guest_cid',
      words: /takes 0 to 2/,
    },
    {
      says: 'file and backend in one drive',
      sick: withEntry('drives', { socket: '/s' }),
      well: good(),
      finds: 'error /drives/0',
      words: /exactly one of path_on_host and socket/,
    },
    {
      says: 'a backend with what only a file has',
      sick: withEntry('drives', { path_on_host: undefined, socket: '/s', cache_type: 'Writeback' }),
      well: withEntry('drives', { path_on_host: undefined, socket: '/s', is_read_only: undefined }),
      finds: 'error /drives/0',
      words: /socket and is_read_only/,
    },
    {
      says: 'hotplug memory in wrong blocks',
      sick: { ...good(), 'memory-hotplug': { total_size_mib: 1_024, block_size_mib: 3 } },
      well: { ...good(), 'memory-hotplug': { total_size_mib: 1_024, block_size_mib: 4 } },
      finds: 'error /memory-hotplug',
      words: /power of 2/,
    },
    {
      says: 'hotplug memory in wrong slots',
      sick: { ...good(), 'memory-hotplug': { total_size_mib: 1_000 } },
      well: { ...good(), 'memory-hotplug': { total_size_mib: 1_024 } },
      finds: 'error /memory-hotplug',
      words: /multiple of 128 MiB/,
    },
    {
      says: 'threads in pairs with an odd number',
      sick: withIn('machine-config', { smt: true, vcpu_count: 3 }),
      well: withIn('machine-config', { smt: true, vcpu_count: 1 }),
      finds: 'error /machine-config',
      words: /smt with 3 vCPUs/,
    },
    {
      says: 'a template inside, too early',
      sick: { ...good(), 'cpu-config': {} },
      well: { ...good(), 'cpu-config': {} },
      finds: 'error /cpu-config',
      words: /path of a file.*1\.13\.0/,
      version: '1.12.1',
      wellVersion: '1.13.0',
    },
  ]);

  test('a level in any case, and a template inside where it may be', () => {
    expect(lint({ ...good(), logger: { level: 'warn' }, 'cpu-config': { kvm_capabilities: ['121'] } })).toEqual([]);
    expect(lint({ ...good(), logger: { level: 'loud' } }).map(line)).toEqual([expect.stringMatching(/^error \/logger\/level/)]);
  });
});

describe('the text', () => {
  testRows([
    { says: 'no JSON', sick: '{ "drives": [', well: good(), finds: 'error ', words: /not JSON.*ends where a value/ },
    { says: 'no object', sick: '[]', well: good(), finds: 'error ', words: /no JSON object/ },
    { says: 'too much', sick: ' '.repeat(mostConfigBytes + 1), well: good(), finds: 'error ', words: /more than \d+ bytes/ },
    {
      says: 'a field twice',
      sick: spoilt('"vcpu_count":2', '"vcpu_count":2,"vcpu_count":4'),
      well: good(),
      finds: 'error /machine-config/vcpu_count',
      words: /twice.*duplicate field/,
    },
    {
      says: 'a section twice',
      sick: spoilt('"entropy":{}', '"entropy":{},"entropy":{}'),
      well: spoilt('"entropy":{}', '"entropy":{},"mine":1,"mine":2'),
      finds: 'error /entropy',
      words: /twice/,
    },
    {
      says: 'a whole number with a point',
      sick: spoilt('"mem_size_mib":256', '"mem_size_mib":256.0'),
      well: good(),
      finds: 'error /machine-config/mem_size_mib',
      words: /is 256\.0.*whole number/,
    },
  ]);

  test('what is ignored as a whole is not found faulty in parts', () => {
    expect(lint(spoilt('"entropy":{}', '"entropy":{},"mine":{"a":1.5,"a":2}')).map(line)).toEqual([
      expect.stringMatching(/^warning \/mine: /),
    ]);
  });

  test('bytes that are no text', () => {
    expect(lintConfig(Uint8Array.from([0x7b, 0xff]), v('1.16.1')).findings.map(line)).toEqual([expect.stringMatching(/UTF-8/)]);
  });

  test('a place is that of the key, or where the text breaks', () => {
    const { placeOf } = lintConfig('{\n "boot-source": {\n  "bootargs": 1 } }', v('1.16.1'));
    expect(placeOf('/boot-source/bootargs')).toEqual({ line: 3, column: 3 });
    expect(lintConfig('{\n "a": ,}', v('1.16.1')).placeOf('')).toEqual({ line: 2, column: 7 });
  });
});

test('errors come first, each kind in the order of the file', () => {
  const found = lint({ extra: 1, ...withArgs(null), vsock: {}, alsoExtra: 2 });
  expect(found.map(({ severity, at }) => `${severity} ${at}`)).toEqual([
    'error /vsock/guest_cid',
    'error /vsock/uds_path',
    'warning /extra',
    'warning /alsoExtra',
    'note /boot-source/boot_args',
  ]);
});

test('the order of the file, and not that of the rules', () => {
  const { drives } = withEntry('drives', { cache_type: 'Unsafe' });
  const { 'boot-source': boot } = withArgs('console=ttyS0 reboot=k');
  const places = (config: object): string[] => lint(config).map(({ at }) => at);
  expect(places({ drives, 'boot-source': boot })).toEqual(['/drives/0/cache_type', '/boot-source/boot_args']);
  expect(places({ 'boot-source': boot, drives })).toEqual(['/boot-source/boot_args', '/drives/0/cache_type']);
});

describe('versions', () => {
  const said = (config: object, version: string, assumed: boolean): string[] =>
    lintConfig(JSON.stringify(config), v(version), { assumed }).findings.map(line);

  test('which ones a file is for, when nobody said', () => {
    const config = { ...withEntry('network-interfaces', { mtu: 1_400 }), pmem: [] };
    expect(said(config, '1.16.1', true)).toEqual([
      expect.stringMatching(
        /^note \/network-interfaces\/0\/mtu: This file is for Firecracker 1\.16\.0 and newer\. .*mtu, \/pmem.*--firecracker/,
      ),
    ]);
    expect(said(config, '1.16.1', false)).toEqual([]);
    expect(said(good(), '1.16.1', true)).toEqual([]);
    expect(said({ ...good(), 'cpu-config': {} }, '1.16.1', true)).toEqual([expect.stringMatching(/1\.13\.0 and newer/)]);
  });

  test('one that is newer than the tables', () => {
    expect(said(good(), '1.17.0', false)).toEqual([expect.stringMatching(/^note : Firecracker 1\.17\.0 is newer than 1\.16\.1/)]);
  });
});

describe('hostile files', () => {
  test('many unknown keys, long keys, control characters: bounded and clean', () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`key${i}`, i]));
    expect(lint({ ...good(), ...many }).length).toBeLessThan(100);
    const long = lint({ ...good(), [`\u001b[2J${'k'.repeat(500_000)}`]: 1 });
    expect(long).toHaveLength(1);
    expect(line(long[0]!).length).toBeLessThan(2_000);
    // eslint-disable-next-line no-control-regex
    expect(line(long[0]!)).not.toMatch(/[\u0000-\u001f]/);
  });

  test('no bytes throw: any bytes, any JSON, any JSON in known sections', () => {
    const names = [
      ...Object.keys(good()),
      'balloon',
      'mmds-config',
      'logger',
      'metrics',
      'pmem',
      'cpu-config',
      'memory-hotplug',
      '__proto__',
    ];
    const fields = [
      'boot_args',
      'drive_id',
      'guest_mac',
      'uds_path',
      'ipv4_address',
      'network_interfaces',
      'is_root_device',
      'mem_size_mib',
      '0',
    ];
    const sections = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 4 })).map((all) => JSON.stringify(all));
    const spoiltField = fc
      .tuple(fc.constantFrom(...names), fc.constantFrom(...fields), fc.jsonValue())
      .map(([name, key, value]) =>
        JSON.stringify({ ...good(), [name]: Array.isArray(good()[name]) ? [{ [key]: value }] : { [key]: value } }),
      );
    const args = fc
      .string({ unit: fc.constantFrom(...'ip=:.0129eth -"rootkpanc\n\t\0ä{}$'.split('')) })
      .map((text) => JSON.stringify(withArgs(text)));
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array(), fc.json(), sections, spoiltField, args),
        fc.constantFrom('1.9.1', '1.13.1', '1.16.1'),
        (text, version) => {
          const { findings, placeOf } = lintConfig(text, v(version), { assumed: true });
          for (const { at, what, why, fix } of findings) {
            expect([what, why, fix]).not.toContain('');
            expect(placeOf(at).line).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
