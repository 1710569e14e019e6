import { describe, expect, test } from 'vitest';
import { good, line, lint, plusArgs, testRows, twoDrives, twoNets, withArgs, withEntry, withIn } from './testing/tables.ts';

const args = '/boot-source/boot_args';
const fcRoot = { is_root_device: false };
const pmem = (root_device: boolean): object => ({ pmem: [{ id: 'p', path_on_host: '/p', root_device, read_only: true }] });

describe('the root device', () => {
  testRows([
    {
      says: 'root= beside another root device',
      sick: plusArgs('root=/dev/vda1'),
      well: good(),
      finds: `warning ${args}`,
      words: /root=\/dev\/vda1.*appends root=\/dev\/vda,.*last one/,
    },
    {
      says: 'root= beside the same one',
      sick: plusArgs('root=/dev/vda'),
      well: good(),
      finds: `note ${args}`,
      words: /takes the last one/,
    },
    {
      says: 'root= beside a partition',
      sick: { ...plusArgs('root=/dev/vda'), drives: withEntry('drives', { partuuid: 'abcd' })['drives'] },
      well: withEntry('drives', { partuuid: 'abcd' }),
      finds: `warning ${args}`,
      words: /root=PARTUUID=abcd/,
    },
    {
      says: 'no root at all',
      sick: withEntry('drives', fcRoot),
      well: { ...withEntry('drives', fcRoot), 'boot-source': plusArgs('root=/dev/vda')['boot-source'] },
      finds: 'error /drives',
      words: /root fs/,
    },
    {
      says: 'no root at all, and no arguments',
      sick: { ...withEntry('drives', fcRoot), 'boot-source': { kernel_image_path: '/k' } },
      well: { ...withEntry('drives', fcRoot), 'boot-source': { kernel_image_path: '/k', initrd_path: '/i' } },
      finds: 'error /drives',
      words: /root fs/,
    },
    {
      says: 'root on pmem is one',
      sick: { ...withEntry('drives', fcRoot), ...pmem(false) },
      well: { ...withEntry('drives', fcRoot), ...pmem(true) },
      finds: 'error /drives',
      words: /root fs/,
    },
    {
      says: 'an initrd beside a root device',
      sick: withIn('boot-source', { initrd_path: '/i' }),
      well: { ...withIn('boot-source', { initrd_path: '/i' }), drives: withEntry('drives', fcRoot)['drives'] },
      finds: 'warning /drives/0',
      words: /initrd/,
    },
    {
      says: 'two root drives',
      sick: twoDrives({ is_root_device: true }),
      well: twoDrives({}),
      finds: 'error /drives/1/is_root_device',
      words: /2 root devices/,
    },
    {
      says: 'a root drive and a root pmem',
      sick: { ...good(), ...pmem(true) },
      well: { ...good(), ...pmem(false) },
      finds: 'error /pmem/0/root_device',
      words: /2 root devices/,
    },
    {
      says: 'rw for a read-only drive',
      sick: { ...plusArgs('rw'), drives: withEntry('drives', { is_read_only: true })['drives'] },
      well: plusArgs('rw'),
      finds: `warning ${args}`,
      words: /have rw.*is read-only.*appends ro/,
    },
    {
      says: 'ro for a writable drive',
      sick: plusArgs('ro'),
      well: { ...plusArgs('ro'), drives: withEntry('drives', { is_read_only: true })['drives'] },
      finds: `warning ${args}`,
      words: /have ro.*appends rw/,
    },
  ]);
});

describe('the line as a whole', () => {
  testRows([
    {
      says: 'too long',
      sick: plusArgs('x'.repeat(2_020)),
      well: plusArgs('x'.repeat(1_700)),
      finds: `error ${args}`,
      words: /have 2051 bytes\. Firecracker takes 2047/,
    },
    {
      says: 'too long with what is appended',
      // 2,000 bytes; pci=off, root=/dev/vda, rw and four devices are 8 + 14 + 3 + 4 * 38 more
      sick: plusArgs('x'.repeat(1_969)),
      well: plusArgs('x'.repeat(1_830)),
      finds: `error ${args}`,
      words: /2000 bytes, and \d{4} with what Firecracker appends/,
    },
    {
      says: 'longer by a device',
      sick: { ...plusArgs('x'.repeat(1_835)), balloon: { amount_mib: 0, deflate_on_oom: true } },
      well: plusArgs('x'.repeat(1_835)),
      finds: `error ${args}`,
      words: /appends/,
    },
    { says: 'a NUL', sick: plusArgs('a\0b'), well: good(), finds: `error ${args}`, words: /NUL/ },
    {
      says: 'a line end inside',
      sick: plusArgs('\nquiet'),
      well: plusArgs('quiet\n'),
      finds: `warning ${args}`,
      words: /printable ASCII.*spaces/,
    },
    {
      says: 'a device by hand',
      sick: plusArgs('virtio_mmio.device=4K@0xd0000000:5'),
      well: good(),
      finds: `warning ${args}`,
      words: /by hand/,
    },
    { says: 'none', sick: withArgs(null), well: good(), finds: `note ${args}`, words: /nr_uarts=0.*says nothing/ },
  ]);
});

describe('single arguments', () => {
  testRows([
    {
      says: 'one twice',
      sick: plusArgs('panic=5'),
      well: plusArgs('console=tty1'),
      finds: `warning ${args}`,
      words: /"panic=5" comes after "panic=1"/,
    },
    {
      says: 'the same twice',
      sick: plusArgs('quiet quiet'),
      well: plusArgs('quiet'),
      finds: `warning ${args}`,
      words: /"quiet" stands twice/,
    },
    {
      says: 'a quote without its partner',
      sick: plusArgs('a="b c'),
      well: plusArgs('a="b c"'),
      finds: `error ${args}`,
      words: /double quote/,
    },
    {
      says: 'a value that was never filled in',
      sick: plusArgs('host=undefined'),
      well: plusArgs('host=defined'),
      finds: `warning ${args}`,
      words: /never filled in/,
    },
    { says: 'a placeholder', sick: plusArgs('host={host}'), well: good(), finds: `warning ${args}`, words: /placeholder/ },
    { says: 'no console', sick: withArgs('reboot=k panic=1'), well: good(), finds: `note ${args}`, words: /no console=ttyS0/ },
    {
      says: 'the serial port off',
      sick: withArgs('reboot=k panic=1 8250.nr_uarts=0'),
      well: good(),
      finds: `note ${args}`,
      words: /serial port is off/,
    },
    {
      says: 'a console without a port',
      sick: plusArgs('8250.nr_uarts=0'),
      well: plusArgs('8250.nr_uarts=1'),
      finds: `warning ${args}`,
      words: /exclude each other/,
    },
    {
      says: 'no reboot=',
      sick: withArgs('console=ttyS0 panic=1'),
      well: withArgs('console=ttyS0 panic=1 reboot=t'),
      finds: `warning ${args}`,
      words: /keyboard controller/,
    },
    {
      says: 'a reboot that ends nothing',
      sick: withArgs('console=ttyS0 panic=1 reboot=a'),
      well: withArgs('console=ttyS0 panic=1 reboot=w,k'),
      finds: `warning ${args}`,
      words: /reboot=k is missing/,
    },
    {
      says: 'no panic=',
      sick: withArgs('console=ttyS0 reboot=k'),
      well: withArgs('console=ttyS0 reboot=k panic=-1'),
      finds: `warning ${args}`,
      words: /panic= is missing/,
    },
    {
      says: 'panic=0',
      sick: withArgs('console=ttyS0 reboot=k panic=0'),
      well: good(),
      finds: `warning ${args}`,
      words: /panic=0 means for ever/,
    },
    {
      says: 'a hidden keyboard',
      sick: plusArgs('i8042.nopnp'),
      well: plusArgs('i8042.noaux'),
      finds: `warning ${args}`,
      words: /SendCtrlAltDel/,
    },
    {
      says: 'pci=off where it is missing',
      sick: good(),
      well: plusArgs('pci=off'),
      finds: `warning ${args}`,
      words: /pci=off is missing/,
      version: '1.12.1',
    },
    {
      says: 'pci=off where it is appended',
      sick: plusArgs('pci=off'),
      well: plusArgs('pci=off'),
      finds: `note ${args}`,
      words: /appends it itself.*--enable-pci/,
      wellVersion: '1.12.1',
    },
    { says: 'acpi=off', sick: plusArgs('acpi=off'), well: good(), finds: `note ${args}`, words: /X86_MPPARSE/ },
    {
      says: 'bounce buffers above 3 GiB',
      sick: withIn('machine-config', { mem_size_mib: 3_073 }),
      well: withIn('machine-config', { mem_size_mib: 3_073 }),
      finds: `note ${args}`,
      words: /swiotlb=noforce/,
      wellVersion: '1.12.1',
    },
  ]);
});

describe('ip=', () => {
  const ip = (value: string): object => plusArgs(`ip=${value}`);
  const right = ip('172.16.0.2::172.16.0.1:255.255.255.252::eth0:off');
  testRows([
    {
      says: 'twice',
      sick: plusArgs('ip=172.16.0.2::172.16.0.1:255.255.255.0::eth0:off ip=10.0.0.2::10.0.0.1:255.255.255.0::eth0:off'),
      well: right,
      finds: `warning ${args}`,
      words: /stands 2 times/,
    },
    {
      says: 'no interface',
      sick: { ...right, 'network-interfaces': [] },
      well: right,
      finds: `warning ${args}`,
      words: /no network interface/,
    },
    {
      says: 'two interfaces',
      sick: { ...right, 'network-interfaces': twoNets({})['network-interfaces'] },
      well: right,
      finds: `note ${args}`,
      words: /sets up one of them/,
    },
    { says: 'a server', sick: ip('dhcp'), well: ip('off'), finds: `note ${args}`, words: /IP_PNP_DHCP/ },
    {
      says: 'no address',
      sick: ip('172.16.0::172.16.0.1:255.255.255.0::eth0:off'),
      well: right,
      finds: `warning ${args}`,
      words: /"172.16.0" in ip= is no IPv4/,
    },
    {
      says: 'no netmask',
      sick: ip('172.16.0.2::172.16.0.1:::eth0:off'),
      well: right,
      finds: `note ${args}`,
      words: /class of the address/,
    },
    {
      says: 'a prefix for a netmask',
      sick: ip('172.16.0.2::172.16.0.1:24::eth0:off'),
      well: right,
      finds: `warning ${args}`,
      words: /24 is 24\.0\.0\.0/,
    },
    {
      says: 'a gateway of another network',
      sick: ip('172.16.0.2::172.16.1.1:255.255.255.0::eth0:off'),
      well: right,
      finds: `warning ${args}`,
      words: /not in the network/,
    },
    {
      says: 'a device that is not there',
      sick: ip('172.16.0.2::172.16.0.1:255.255.255.252::eth1:off'),
      well: right,
      finds: `warning ${args}`,
      words: /names eth1, and there is one interface/,
    },
  ]);

  test('two of them are one finding', () =>
    expect(lint(plusArgs('ip=off ip=172.16.0.2::172.16.0.1:255.255.255.0::eth0:off')).map(line)).toEqual([
      expect.stringMatching(/stands 2 times/),
    ]));
});
