import { parseSubnet } from '@linstock/core';
import { expect, test } from 'vitest';
import { findClash } from './clash.ts';

const addresses = [
  { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8 }] },
  { ifname: 'eth0', addr_info: [{ family: 'inet', local: '10.1.2.3', prefixlen: 16 }] },
  { ifname: 'lsa-br0', addr_info: [{ family: 'inet', local: '192.168.100.1', prefixlen: 24 }] },
  { ifname: 'lsb-br0', addr_info: [{ family: 'inet', local: '192.168.101.1', prefixlen: 24 }] },
];
const routes = [
  { dst: 'default', gateway: '10.1.0.1', dev: 'eth0' },
  { dst: '0.0.0.0/1', dev: 'tun0' },
  { dst: '172.16.0.0/12', dev: 'tun0' },
  { dst: '198.51.100.7', dev: 'tun1', table: '200' },
  { type: 'unreachable', dst: '203.0.113.0/24' },
  { type: 'broadcast', dst: '192.168.7.255', dev: 'eth9', table: 'local' },
];

test.each([
  ['192.168.100.0/24', null],
  ['192.168.7.0/24', null],
  ['192.168.101.0/28', { device: 'lsb-br0', other: '192.168.101.1/24' }],
  ['10.0.0.0/8', { device: 'eth0', other: '10.1.2.3/16' }],
  ['10.1.200.0/24', { device: 'eth0', other: '10.1.2.3/16' }],
  ['10.2.0.0/24', null],
  ['172.20.0.0/24', { device: 'tun0', other: '172.16.0.0/12' }],
  ['198.51.100.0/24', { device: 'tun1', other: '198.51.100.7' }],
  ['203.0.113.128/25', { device: '-', other: '203.0.113.0/24' }],
])('subnet %s clashes with %j', (text, clash) => {
  const subnet = parseSubnet(text);
  expect(subnet).not.toBeNull();
  if (subnet !== null) expect(findClash(subnet, 'lsa-br0', addresses, routes)).toEqual(clash);
});
