import { describe, expect, test } from 'vitest';
import { pathsIn, tapsIn } from './paths.ts';
import { good, testRows, twoDrives, twoNets, withEntry, withIn, type Sections } from './testing/tables.ts';

const huge = (more: Sections): Sections => ({
  ...good(),
  'machine-config': { vcpu_count: 1, mem_size_mib: 64, huge_pages: '2M' },
  ...more,
});
const mmds = (changes: Sections): Sections => ({ ...good(), 'mmds-config': { network_interfaces: ['eth0'], version: 'V2', ...changes } });
const drives = (count: number): Sections => ({
  ...good(),
  drives: Array.from({ length: count }, (_, i) => ({
    drive_id: `d${i}`,
    path_on_host: `/d${i}`,
    is_root_device: i === 0,
    is_read_only: true,
  })),
});
const limit = (bucket: Sections): Sections => withEntry('drives', { rate_limiter: { ops: bucket } });

describe('drives', () => {
  testRows([
    {
      says: 'a cache without flush',
      sick: withEntry('drives', { cache_type: 'Unsafe' }),
      well: withEntry('drives', { is_read_only: true, cache_type: undefined }),
      finds: 'warning /drives/0/cache_type',
      words: /Writeback/,
    },
    {
      says: 'read-only is not said',
      sick: withEntry('drives', { is_read_only: undefined }),
      well: good(),
      finds: 'note /drives/0/is_read_only',
      words: /then false/,
    },
    {
      says: 'a preview engine',
      sick: withEntry('drives', { io_engine: 'Async' }),
      well: withEntry('drives', { io_engine: 'Sync' }),
      finds: 'note /drives/0/io_engine',
      words: /preview/,
    },
    {
      says: 'a partition of no root',
      sick: twoDrives({ partuuid: 'x' }),
      well: withEntry('drives', { partuuid: 'x' }),
      finds: 'note /drives/1/partuuid',
      words: /root device only/,
    },
    {
      says: 'an id twice',
      sick: twoDrives({ drive_id: 'root' }),
      well: twoDrives({ drive_id: 'Root' }),
      finds: 'error /drives/1/drive_id',
      words: /0 and 1.*forgets the first/,
    },
    {
      says: 'one file for two',
      sick: twoDrives({ path_on_host: '/d/root.ext4' }),
      well: twoDrives({ path_on_host: '/d/root.ext4' }, { is_read_only: true }),
      finds: 'error /drives/1/path_on_host',
      words: /same file.*locks nothing/,
    },
    {
      says: 'a limit that is none',
      sick: limit({ size: 0, refill_time: 100 }),
      well: limit({ size: 1, refill_time: 100 }),
      finds: 'warning /drives/0/rate_limiter/ops',
      words: /limit is off/,
    },
    {
      says: 'a limit over 584 years',
      sick: limit({ size: 1, refill_time: 18_446_744_073_710 }),
      well: limit({ size: 1, refill_time: 18_446_744_073_709 }),
      finds: 'warning /drives/0/rate_limiter/ops',
      words: /milliseconds/,
    },
  ]);
});

describe('interfaces', () => {
  const at = '/network-interfaces';
  testRows([
    {
      says: 'a long name',
      sick: withEntry('network-interfaces', { host_dev_name: 'tap-of-the-first' }),
      well: withEntry('network-interfaces', { host_dev_name: 'tap-of-the-firs' }),
      finds: `error ${at}/0/host_dev_name`,
      words: /1 to 15 bytes/,
    },
    {
      says: 'a name that is none',
      sick: withEntry('network-interfaces', { host_dev_name: '' }),
      well: good(),
      finds: `error ${at}/0/host_dev_name`,
      words: /no name of a TAP/,
    },
    {
      says: 'one TAP for two',
      sick: twoNets({ host_dev_name: 'tap0' }),
      well: twoNets({}),
      finds: `error ${at}/1/host_dev_name`,
      words: /one reader/,
    },
    {
      says: 'an id twice',
      sick: twoNets({ iface_id: 'eth0' }),
      well: twoNets({ iface_id: 'Eth0' }),
      finds: `error ${at}/1/iface_id`,
      words: /forgets the first/,
    },
    {
      says: 'an address twice, in another case',
      sick: twoNets({ guest_mac: '02:FC:00:00:00:01' }),
      well: twoNets({}),
      finds: `error ${at}/1/guest_mac`,
      words: /refuses the second/,
    },
    {
      says: 'no address',
      sick: withEntry('network-interfaces', { guest_mac: null }),
      well: good(),
      finds: `warning ${at}/0/guest_mac`,
      words: /another address at each boot/,
    },
    {
      says: 'no MAC address',
      sick: withEntry('network-interfaces', { guest_mac: '02-fc-00-00-00-01' }),
      well: good(),
      finds: `error ${at}/0/guest_mac`,
      words: /six pairs/,
    },
    {
      says: 'a multicast address',
      sick: withEntry('network-interfaces', { guest_mac: '03:fc:00:00:00:01' }),
      well: good(),
      finds: `error ${at}/0/guest_mac`,
      words: /first byte even/,
    },
    {
      says: 'nobody’s address',
      sick: withEntry('network-interfaces', { guest_mac: '00:00:00:00:00:00' }),
      well: good(),
      finds: `error ${at}/0/guest_mac`,
      words: /single interface/,
    },
  ]);
});

describe('the rest', () => {
  testRows([
    {
      says: 'a socket path that cannot be bound',
      sick: withIn('vsock', { uds_path: `/${'v'.repeat(107)}` }),
      well: withIn('vsock', { uds_path: `/${'v'.repeat(106)}` }),
      finds: 'error /vsock/uds_path',
      words: /108 bytes.*at most 107/,
    },
    {
      says: 'a socket path that is too long for ports',
      sick: withIn('vsock', { uds_path: `/${'v'.repeat(96)}` }),
      well: withIn('vsock', { uds_path: `/${'v'.repeat(95)}` }),
      finds: 'warning /vsock/uds_path',
      words: /_<port>/,
    },
    {
      says: 'MMDS on an interface that is not there',
      sick: mmds({ network_interfaces: ['eth1'] }),
      well: mmds({}),
      finds: 'error /mmds-config/network_interfaces/0',
      words: /no interface "eth1".*"eth0"/,
    },
    {
      says: 'MMDS without any',
      sick: mmds({ network_interfaces: [] }),
      well: mmds({}),
      finds: 'error /mmds-config/network_interfaces',
      words: /at least one/,
    },
    {
      says: 'MMDS where nobody asks',
      sick: mmds({ ipv4_address: '169.254.0.1' }),
      well: mmds({ ipv4_address: '169.254.170.2' }),
      finds: 'error /mmds-config/ipv4_address',
      words: /link-local/,
    },
    {
      says: 'MMDS without a token',
      sick: mmds({ version: undefined }),
      well: mmds({}),
      finds: 'note /mmds-config/version',
      words: /token/,
    },
    {
      says: 'huge pages with an initrd',
      sick: huge({ 'boot-source': { kernel_image_path: '/k', initrd_path: '/i' } }),
      well: huge({ 'boot-source': { kernel_image_path: '/k', initrd_path: '/i' } }),
      finds: 'error /machine-config/huge_pages',
      words: /an initrd exclude.*1\.11\.0/,
      version: '1.10.1',
      wellVersion: '1.11.0',
    },
    {
      says: 'huge pages with a balloon',
      sick: huge({ balloon: { amount_mib: 0, deflate_on_oom: true } }),
      well: huge({ balloon: { amount_mib: 0, deflate_on_oom: true } }),
      finds: 'error /machine-config/huge_pages',
      words: /a balloon exclude.*1\.14\.0/,
      version: '1.13.1',
      wellVersion: '1.14.0',
    },
    {
      says: 'a balloon over the memory',
      sick: { ...good(), balloon: { amount_mib: 257, deflate_on_oom: true } },
      well: { ...good(), balloon: { amount_mib: 256, deflate_on_oom: true } },
      finds: 'error /balloon/amount_mib',
      words: /257 MiB of 256/,
    },
    {
      says: 'a balloon over the memory that nobody set',
      sick: { ...good(), 'machine-config': undefined, balloon: { amount_mib: 129, deflate_on_oom: true } },
      well: { ...good(), 'machine-config': undefined, balloon: { amount_mib: 128, deflate_on_oom: true } },
      finds: 'error /balloon/amount_mib',
      words: /129 MiB of 128/,
    },
    {
      says: 'a pmem id twice',
      sick: { ...good(), pmem: ['/a', '/b'].map((path_on_host) => ({ id: 'p', path_on_host })) },
      well: { ...good(), pmem: ['a', 'b'].map((id) => ({ id, path_on_host: id })) },
      finds: 'error /pmem/1/id',
      words: /forgets the first/,
    },
    // with the interface, vsock and entropy
    {
      says: 'more devices than interrupts',
      sick: drives(15),
      well: drives(15),
      finds: 'error ',
      words: /18 devices.*for 17.*31/,
      wellVersion: '1.14.4',
    },
    {
      says: 'more devices than interrupts, before',
      sick: drives(16),
      well: drives(15),
      finds: 'error ',
      words: /19 devices.*for 18\./,
      version: '1.9.1',
    },
  ]);
});

test('what of the host a file names', () => {
  const config = {
    ...twoDrives({}),
    logger: { log_path: 'l' },
    metrics: { metrics_path: '/m' },
    'cpu-config': '/t',
    pmem: [{ id: 'p', path_on_host: '/p' }],
  };
  expect(pathsIn(config).map(({ at, path, use, writes }) => `${at} ${path} ${use}${writes ? ', written' : ''}`)).toEqual([
    '/boot-source/kernel_image_path /k/vmlinux kernel',
    '/drives/0/path_on_host /d/root.ext4 drive, written',
    '/drives/1/path_on_host /d/data drive',
    '/pmem/0/path_on_host /p pmem, written',
    '/cpu-config /t template',
    '/vsock/uds_path /run/v.sock listen, written',
    '/logger/log_path l log, written',
    '/metrics/metrics_path /m log, written',
  ]);
  expect(tapsIn(twoNets({}))).toEqual([
    { at: '/network-interfaces/0/host_dev_name', name: 'tap0' },
    { at: '/network-interfaces/1/host_dev_name', name: 'tap1' },
  ]);
});

test('a path with a NUL is nobody’s', () => {
  expect(pathsIn(withIn('boot-source', { kernel_image_path: '/k\0' })).map(({ use }) => use)).not.toContain('kernel');
});
