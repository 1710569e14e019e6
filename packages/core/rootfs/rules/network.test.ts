/** Sick and well trees for the rules about the network. */
import { elf, link, script } from '../testing/memory-image.ts';
import type { Pieces } from '../testing/memory-image.ts';
import { alpine, enable, serviceUnit } from '../testing/systems.ts';
import { table } from '../testing/table.ts';
import { networkRules } from './network.ts';

const DHCP = '[Match]\nName=eth0\n\n[Network]\nDHCP=yes\n';
const networkd = enable('systemd-networkd.service');
const waitOnline: Pieces = {
  '/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service': link(
    '/usr/lib/systemd/system/systemd-networkd-wait-online.service',
  ),
};
const app = (rest: string, start = '/usr/bin/app'): Pieces => ({
  '/usr/bin/app': elf(),
  '/usr/lib/systemd/system/app.service': serviceUnit(start, rest),
});
const afterOnline = 'After=network-online.target\nWants=network-online.target\n';
const network = (text: string, name = '80-dhcp'): Pieces => ({ [`/etc/systemd/network/${name}.network`]: text });
const ifupdown: Pieces = {
  '/usr/sbin/ifup': elf(),
  '/usr/sbin/dhclient': elf(),
  '/usr/lib/systemd/system/networking.service': serviceUnit('/usr/sbin/ifup -a'),
  ...enable('networking.service'),
};
const dhcpcd: Pieces = {
  '/usr/sbin/dhcpcd': elf(),
  '/usr/lib/systemd/system/dhcpcd.service': serviceUnit('/usr/sbin/dhcpcd -q'),
  ...enable('dhcpcd.service'),
};
const manager: Pieces = {
  '/usr/sbin/NetworkManager': elf(),
  '/usr/lib/systemd/system/NetworkManager.service': serviceUnit('/usr/sbin/NetworkManager'),
  ...enable('NetworkManager.service'),
};
const netplan = (text: string): Pieces => ({
  '/usr/lib/systemd/system-generators/netplan': elf(),
  '/etc/netplan/01-netcfg.yaml': text,
});

table(
  networkRules,
  [
    { id: 'net.ip-names-another', name: 'ens3', given: { ip: '192.168.100.3::192.168.100.1:255.255.255.0::ens3:off' }, says: 'ens3' },
    {
      id: 'net.address-replaced',
      name: 'the founding case',
      pieces: [networkd, network(DHCP)],
      at: '/etc/systemd/network/80-dhcp.network:5',
      says: 'No route to host',
    },
    {
      id: 'net.address-replaced',
      name: 'a fixed address',
      pieces: [networkd, network('[Match]\nName=e*\n[Network]\nAddress=192.168.100.10/24\n')],
      at: '/etc/systemd/network/80-dhcp.network:4',
      says: 'answers at 192.168.100.10',
    },
    {
      id: 'net.address-replaced',
      name: 'taken and given nothing',
      pieces: [networkd, network('[Match]\nType=ether\n')],
      says: 'gives it no address',
    },
    {
      id: 'net.address-replaced',
      name: 'a drop-in undoes what keeps it',
      pieces: [
        networkd,
        network(`${DHCP}KeepConfiguration=yes\n`),
        { '/etc/systemd/network/80-dhcp.network.d/x.conf': '[Network]\nKeepConfiguration=no\n' },
      ],
    },
    {
      id: 'net.address-replaced',
      name: 'nobody enabled networkd, and the first boot does',
      pieces: [network(DHCP), { '/etc/machine-id': 'uninitialized\n' }],
      says: 'Populated /etc with preset unit settings',
    },
    {
      id: 'net.address-replaced',
      name: 'no machine id at all is a first boot, too',
      pieces: [network(DHCP), { '/etc/machine-id': null }],
      says: 'Populated /etc with preset unit settings',
    },
    {
      id: 'net.address-replaced',
      name: 'only for some MAC',
      pieces: [networkd, network('[Match]\nMACAddress=52:54:00:12:34:56\n[Network]\nDHCP=yes\n')],
      severity: 'warning',
      says: 'may take',
    },
    {
      id: 'net.address-replaced',
      name: 'one file for some MAC that keeps it, one for all that does not',
      pieces: [networkd, network(DHCP), network('[Match]\nMACAddress=52:54:00:12:34:56\n[Link]\nUnmanaged=yes\n', '10-some')],
      severity: 'warning',
    },
    {
      id: 'net.address-replaced',
      name: 'one file for some MAC, one for all, and none keeps it',
      pieces: [networkd, network(DHCP), network('[Match]\nMACAddress=52:54:00:12:34:56\n[Network]\nDHCP=yes\n', '10-some')],
      severity: 'error',
    },
    {
      id: 'net.address-replaced',
      name: 'by netplan, which also starts networkd',
      pieces: netplan('network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: no\n      addresses: [192.168.100.10/24]\n'),
      at: '/etc/netplan/01-netcfg.yaml:6',
      says: 'netplan',
    },
    {
      id: 'net.address-replaced',
      name: 'the file of systemd-network-generator comes too late in systemd 252',
      pieces: [
        networkd,
        {
          '/etc/systemd/system/sysinit.target.wants/systemd-network-generator.service': link(
            '/usr/lib/systemd/system/systemd-network-generator.service',
          ),
        },
        network(DHCP),
      ],
    },
    {
      id: 'net.address-replaced',
      name: "busybox's ifup with udhcpc",
      base: alpine,
      pieces: {
        '/sbin/ifup': link('/bin/busybox'),
        '/etc/runlevels/boot/networking': link('/etc/init.d/networking'),
        '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n',
      },
      at: '/etc/network/interfaces:2',
    },
    { id: 'net.route-lost', name: 'KeepConfiguration=static', pieces: [networkd, network(`${DHCP}KeepConfiguration=static\n`)] },
    {
      id: 'net.route-lost',
      name: 'the leased address without a gateway',
      pieces: [networkd, network('[Match]\nName=eth0\n[Network]\nAddress=192.168.100.3/24\n')],
    },
    {
      id: 'net.address-replaced',
      name: 'ifup from an inittab',
      base: alpine,
      pieces: {
        '/sbin/ifup': link('/bin/busybox'),
        '/etc/inittab': '::sysinit:/sbin/ifup -a\nttyS0::respawn:/sbin/getty -L ttyS0 9600 vt100\n',
        '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n',
      },
      at: '/etc/network/interfaces:2',
    },
    {
      id: 'net.address-replaced',
      name: 'a start script that calls udhcpc',
      base: alpine,
      pieces: { '/sbin/init': script('#!/bin/sh\nmount -a\nudhcpc -i eth0 -q\n') },
      at: '/sbin/init:3',
      severity: 'warning',
    },
    { id: 'net.route-lost', name: 'dhcpcd', pieces: dhcpcd, at: '/usr/lib/systemd/system/dhcpcd.service' },
    {
      id: 'net.second-address',
      name: 'kept, and one more',
      pieces: [networkd, network('[Match]\nName=eth0\n[Network]\nAddress=10.0.0.1/24\nKeepConfiguration=yes\n')],
    },
    {
      id: 'net.second-address',
      name: 'ifupdown',
      pieces: [
        ifupdown,
        {
          '/etc/network/interfaces': 'source interfaces.d/*\n',
          '/etc/network/interfaces.d/eth0': 'auto eth0\niface eth0 inet static\n  address 10.0.0.1/24\n',
        },
      ],
      at: '/etc/network/interfaces.d/eth0:2',
    },
    {
      id: 'net.ifup-fails',
      name: 'a default route that is there',
      pieces: [
        ifupdown,
        { '/etc/network/interfaces': 'allow-hotplug eth0\niface eth0 inet static\n  address 192.168.100.3/24\n  gateway 192.168.100.1\n' },
      ],
      at: '/etc/network/interfaces:2',
    },
    {
      id: 'net.several-authorities',
      name: 'networkd and ifupdown',
      pieces: [networkd, network(DHCP), ifupdown, { '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n' }],
      says: '2 services',
    },
    {
      id: 'net.several-authorities',
      name: 'networkd and a script',
      pieces: [
        networkd,
        network(DHCP),
        { '/usr/local/sbin/setup': script('#!/bin/sh\nip addr add "$IP" dev eth0\n') },
        { '/etc/systemd/system/setup.service': serviceUnit('/usr/local/sbin/setup'), ...enable('setup.service') },
      ],
      says: 'setup.service',
    },
    {
      id: 'net.dhcp-without-server',
      name: 'ifupdown with dhclient',
      pieces: [ifupdown, { '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n' }],
      at: '/etc/network/interfaces:2',
    },
    {
      id: 'net.dhcp-without-server',
      name: 'networkd that keeps everything',
      pieces: [networkd, network(`${DHCP}KeepConfiguration=yes\n`)],
    },
    {
      id: 'net.profile-unused',
      name: 'a static profile',
      pieces: [
        manager,
        {
          '/etc/NetworkManager/system-connections/a':
            '[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.1/24,10.0.0.254\n',
        },
      ],
      at: '/etc/NetworkManager/system-connections/a:4',
      says: '10.0.0.1/24',
    },
    {
      id: 'net.cloud-init',
      name: 'installed, with its built-in list',
      severity: 'note',
      pieces: { '/usr/bin/cloud-init': elf(), '/etc/cloud/cloud.cfg': 'users:\n - default\n' },
      at: '/etc/cloud/cloud.cfg',
    },
    {
      id: 'net.cloud-init',
      name: 'a list of data sources',
      pieces: {
        '/usr/bin/cloud-init': elf(),
        '/etc/cloud/cloud.cfg': 'datasource_list: [NoCloud, None]\n',
        '/etc/cloud/cloud.cfg.d/90.cfg': 'x: y\ndatasource_list: [ Ec2 ]\n',
      },
      at: '/etc/cloud/cloud.cfg.d/90.cfg:2',
      severity: 'warning',
      says: 'Asking Ec2 takes minutes',
    },
    {
      id: 'net.renamed',
      name: 'a .link with a name',
      pieces: { '/etc/systemd/network/10-lan.link': '[Match]\nDriver=virtio_net\n[Link]\nName=lan0\n' },
      at: '/etc/systemd/network/10-lan.link:4',
    },
    {
      id: 'net.predictable-names',
      name: 'no net.ifnames=0',
      given: { commandLine: 'console=ttyS0 ip=192.168.100.3:::255.255.255.0::eth0:off' },
      at: '/usr/lib/systemd/network/99-default.link',
    },
    {
      id: 'net.other-interface',
      name: 'ifupdown',
      pieces: [ifupdown, { '/etc/network/interfaces': 'auto ens3\niface ens3 inet dhcp\n' }],
      at: '/etc/network/interfaces:1',
    },
    {
      id: 'net.other-interface',
      name: 'networkd',
      pieces: [networkd, network('[Match]\nName=enp0s1\n[Network]\nDHCP=yes\n')],
      at: '/etc/systemd/network/80-dhcp.network:2',
    },
    {
      id: 'net.resolv-dangling',
      name: 'without systemd-resolved',
      pieces: { '/etc/resolv.conf': link('../run/systemd/resolve/stub-resolv.conf') },
      at: '/etc/resolv.conf',
    },
    {
      id: 'net.online-never',
      name: 'DHCP',
      pieces: [networkd, waitOnline, network(DHCP), app(afterOnline), enable('app.service')],
      at: '/usr/lib/systemd/system/app.service',
      says: '120 s',
      severity: 'warning',
    },
    {
      id: 'net.online-never',
      name: 'no interface is taken',
      pieces: [networkd, waitOnline, app(afterOnline), enable('app.service')],
      says: 'nothing is ever configured',
    },
    {
      id: 'net.online-never',
      name: 'and the unit serves a promised port',
      pieces: [networkd, waitOnline, app(afterOnline, '/usr/bin/app --port 6080'), enable('app.service')],
      given: { ports: [6080] },
      severity: 'error',
    },
    {
      id: 'net.online-never',
      name: 'netplan enables networkd and its wait-online',
      pieces: [netplan('network:\n  ethernets:\n    eth0:\n      dhcp4: true\n'), app(afterOnline), enable('app.service')],
      says: '120 s',
    },
    {
      id: 'net.online-never',
      name: 'dhclient',
      pieces: [ifupdown, { '/etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n' }, app(afterOnline), enable('app.service')],
      says: 'dhclient',
    },
  ],
  [
    { name: 'networkd enabled, and no file takes the interface', pieces: networkd },
    { name: 'ip= without a device', given: { ip: '192.168.100.3::192.168.100.1:255.255.255.0:::off' } },
    { name: 'networkd with DHCP, not enabled', pieces: network(DHCP) },
    {
      name: 'a masked .network file',
      pieces: [networkd, { '/usr/lib/systemd/network/80-dhcp.network': DHCP, '/etc/systemd/network/80-dhcp.network': link('/dev/null') }],
    },
    {
      name: 'an earlier file that leaves the interface alone',
      pieces: [networkd, network(DHCP), network('[Match]\nName=eth*\n[Link]\nUnmanaged=yes\n', '10-mine')],
    },
    {
      name: 'the leased address and its gateway',
      pieces: [networkd, network('[Match]\nName=eth0\n[Network]\nAddress=192.168.100.3/24\nGateway=192.168.100.1\n')],
    },
    {
      name: 'a file for other interfaces',
      pieces: [
        networkd,
        network('[Match]\nName=!eth0\n[Network]\nDHCP=yes\n'),
        network('[Match]\nKind=bridge\n[Network]\nDHCP=yes\n', '81'),
      ],
    },
    {
      name: 'the file of systemd-network-generator comes first since systemd 255',
      pieces: [
        networkd,
        {
          '/etc/systemd/system/sysinit.target.wants/systemd-network-generator.service': link(
            '/usr/lib/systemd/system/systemd-network-generator.service',
          ),
        },
        network(DHCP),
        { '/usr/lib/systemd/libsystemd-shared-252.so': null, '/usr/lib/systemd/libsystemd-shared-257.so': elf() },
      ],
    },
    { name: 'no address by ip=, so DHCP takes none away', pieces: [networkd, network(DHCP)], given: { ip: 'off' } },
    { name: 'netplan files without netplan', pieces: { '/etc/netplan/01.yaml': 'network:\n  ethernets:\n    eth0: {dhcp4: true}\n' } },
    { name: 'netplan for another interface', pieces: netplan('network:\n  ethernets:\n    ens3:\n      dhcp4: true\n') },
    {
      name: 'an empty first boot without presets for networkd',
      pieces: [network(DHCP), { '/etc/machine-id': 'uninitialized\n', '/usr/lib/systemd/system-preset/90-systemd.preset': 'disable *\n' }],
    },
    { name: 'ifupdown with the loopback only', pieces: [ifupdown, { '/etc/network/interfaces': 'auto lo\niface lo inet loopback\n' }] },
    {
      name: 'profiles of NetworkManager that are not for this interface',
      pieces: [
        manager,
        {
          '/etc/NetworkManager/system-connections/a': '[connection]\ntype=ethernet\ninterface-name=ens3\n[ipv4]\nmethod=auto\n',
          '/etc/NetworkManager/system-connections/b': '[connection]\ntype=wifi\n',
          '/etc/NetworkManager/system-connections/c': '[connection]\ntype=ethernet\nautoconnect=false\n',
        },
      ],
    },
    {
      name: 'a profile, and NetworkManager told to leave the interface alone',
      pieces: [
        manager,
        {
          '/etc/NetworkManager/system-connections/a': '[connection]\ntype=ethernet\n',
          '/etc/NetworkManager/conf.d/x.conf': '[keyfile]\nunmanaged-devices=interface-name:eth*;except:interface-name:eth1\n',
        },
      ],
    },
    { name: 'dhcpcd told to leave the interface alone', pieces: [dhcpcd, { '/etc/dhcpcd.conf': 'denyinterfaces eth*\n' }] },
    {
      name: 'cloud-init switched off',
      pieces: { '/usr/bin/cloud-init': elf(), '/etc/cloud/cloud.cfg': 'x: y\n', '/etc/cloud/cloud-init.disabled': '' },
    },
    {
      name: 'cloud-init without the network',
      pieces: {
        '/usr/bin/cloud-init': elf(),
        '/etc/cloud/cloud.cfg': 'x: y\n',
        '/etc/cloud/cloud.cfg.d/99.cfg': 'network: {config: disabled}\n',
      },
    },
    {
      name: 'the default .link masked, and no net.ifnames=0',
      pieces: { '/etc/systemd/network/99-default.link': link('/dev/null') },
      given: { commandLine: 'console=ttyS0 ip=192.168.100.3:::::eth0:off' },
    },
    {
      name: 'resolv.conf of systemd-resolved, which runs',
      pieces: [
        {
          '/etc/resolv.conf': link('../run/systemd/resolve/stub-resolv.conf'),
          '/usr/lib/systemd/systemd-resolved': elf(),
          '/usr/lib/systemd/system/systemd-resolved.service': serviceUnit('/usr/lib/systemd/systemd-resolved'),
        },
        enable('systemd-resolved.service'),
      ],
    },
    {
      name: 'a unit after network-online.target with an interface that is configured',
      pieces: [
        networkd,
        waitOnline,
        network('[Match]\nName=eth0\n[Network]\nAddress=192.168.100.3/24\nGateway=192.168.100.1\n'),
        app(afterOnline),
        enable('app.service'),
      ],
    },
    { name: 'a wait-online service without networkd', pieces: [waitOnline, app(afterOnline), enable('app.service')] },
  ],
);
