import type { Network } from '@linstock/contract';
import { expect, test } from 'vitest';
import { parseLinks } from './links.ts';
import type { Link } from './links.ts';
import { nothingThere, planBridge, planSlot } from './plan.ts';
import type { SlotLook } from './plan.ts';

const target = { bridge: 'ls7a3f-br0', wiring: { netns: 'ls7a3f-0-4', port: 'ls7a3f-0-4' }, isolated: true, ipv6: true };

function aLink(link: Partial<Link> & { name: string }): Link {
  return {
    index: 1,
    peerIndex: null,
    kind: null,
    plainTap: false,
    up: true,
    carrier: true,
    operstate: 'UP',
    master: null,
    mac: null,
    mtu: 1500,
    isolated: null,
    ipv6Addresses: 'none',
    addresses: [],
    received: null,
    sent: null,
    ...link,
  };
}

const port = aLink({ name: 'ls7a3f-0-4', index: 7, peerIndex: 2, kind: 'veth', master: 'ls7a3f-br0', isolated: true });
const lo = aLink({ name: 'lo', ipv6Addresses: 'eui64' });
const up0 = aLink({ name: 'up0', index: 2, peerIndex: 7, kind: 'veth', master: 'br0' });
const br0 = aLink({ name: 'br0', index: 3, kind: 'bridge' });
const tap0 = aLink({ name: 'tap0', index: 4, kind: 'tun', plainTap: true, master: 'br0', carrier: false });
const whole: SlotLook = { namespace: 'there', port, inside: [lo, up0, br0, tap0] };

test('from nothing: the namespace is the first thing made', () => {
  expect(planSlot(target, nothingThere)).toEqual({
    host: [
      'netns add ls7a3f-0-4',
      'link add ls7a3f-0-4 type veth peer name up0 netns ls7a3f-0-4',
      'link set ls7a3f-0-4 addrgenmode none',
      'link set ls7a3f-0-4 master ls7a3f-br0 up',
      'link set ls7a3f-0-4 type bridge_slave isolated on',
    ],
    inside: [
      'link set lo up',
      'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      'link set br0 addrgenmode none',
      'link set br0 up',
      'tuntap add dev tap0 mode tap vnet_hdr',
      'link set tap0 addrgenmode none',
      'link set tap0 master br0 up',
      'link set up0 addrgenmode none',
      'link set up0 master br0 up',
    ],
  });
});

test('a whole slot needs nothing', () => {
  expect(planSlot(target, whole)).toEqual({ host: [], inside: [] });
});

const others = (...names: string[]): Link[] => whole.inside.filter((l) => !names.includes(l.name));
test.each<[string, SlotLook, string[], string[]]>([
  ['a file without a namespace', { namespace: 'broken', port: null, inside: [] }, ['netns del ls7a3f-0-4', 'netns add ls7a3f-0-4'], []],
  [
    'the port is off the bridge',
    { ...whole, port: { ...port, master: null } },
    ['link set ls7a3f-0-4 master ls7a3f-br0', 'link set ls7a3f-0-4 type bridge_slave isolated on'],
    [],
  ],
  ['the port is on another bridge', { ...whole, port: { ...port, master: 'docker0' } }, ['link set ls7a3f-0-4 master ls7a3f-br0'], []],
  ['the port is down', { ...whole, port: { ...port, up: false } }, ['link set ls7a3f-0-4 up'], []],
  ['the port is not isolated', { ...whole, port: { ...port, isolated: false } }, ['link set ls7a3f-0-4 type bridge_slave isolated on'], []],
  [
    'the port leads elsewhere',
    { ...whole, port: { ...port, peerIndex: 9 } },
    ['link del ls7a3f-0-4', 'link add ls7a3f-0-4 type veth peer name up0 netns ls7a3f-0-4'],
    ['link set up0 addrgenmode none', 'link set up0 master br0 up'],
  ],
  [
    'the uplink leads elsewhere',
    { ...whole, inside: [...others('up0'), { ...up0, peerIndex: 9 }] },
    ['link del ls7a3f-0-4', 'netns exec ls7a3f-0-4 ip link del up0'],
    [],
  ],
  [
    'the tap is missing',
    { ...whole, inside: others('tap0') },
    [],
    ['tuntap add dev tap0 mode tap vnet_hdr', 'link set tap0 addrgenmode none', 'link set tap0 master br0 up'],
  ],
  [
    'the tap is something else',
    { ...whole, inside: [...others('tap0'), aLink({ name: 'tap0', kind: 'veth' })] },
    [],
    ['link del tap0', 'tuntap add dev tap0 mode tap vnet_hdr'],
  ],
  ['the tap is off its bridge', { ...whole, inside: [...others('tap0'), { ...tap0, master: null }] }, [], ['link set tap0 master br0']],
  [
    'the inner bridge is missing',
    { ...whole, inside: others('br0') },
    [],
    ['link set br0 up', 'link set tap0 master br0', 'link set up0 master br0'],
  ],
  [
    'everything inside is down',
    { ...whole, inside: whole.inside.map((l) => ({ ...l, up: false })) },
    [],
    ['link set lo up', 'link set br0 up', 'link set tap0 up', 'link set up0 up'],
  ],
])('%s: it is set right', (_, look, host, inside) => {
  const plan = planSlot(target, look);
  expect(plan.host).toEqual(expect.arrayContaining(host));
  expect(plan.inside).toEqual(expect.arrayContaining(inside));
  if (host.length === 0) expect(plan.host).toEqual([]);
});

test('a network that stops being isolated frees its ports', () => {
  expect(planSlot({ ...target, isolated: false }, whole).host).toEqual(['link set ls7a3f-0-4 type bridge_slave isolated off']);
});

test('a kernel without IPv6 is not asked to silence it', () => {
  const plan = planSlot({ ...target, ipv6: false }, nothingThere);
  expect([...plan.host, ...plan.inside].join('\n')).not.toContain('addrgenmode');
});

const network: Network = {
  id: 'net_1',
  index: 0,
  name: 'default',
  kind: 'bridge',
  subnet: '192.168.100.0/24',
  gateway: '192.168.100.1',
  bridge: 'ls7a3f-br0',
  egress: true,
  isolated: true,
};
const bridge = aLink({
  name: 'ls7a3f-br0',
  kind: 'bridge',
  mac: '02:fc:c0:a8:64:01',
  addresses: [{ address: '192.168.100.1', prefix: 24 }],
});
test.each<[string, Link | null, string[]]>([
  [
    'missing',
    null,
    [
      'link add ls7a3f-br0 address 02:fc:c0:a8:64:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      'link set ls7a3f-br0 addrgenmode none',
      'address add 192.168.100.1/24 dev ls7a3f-br0',
      'link set ls7a3f-br0 up',
    ],
  ],
  ['right', bridge, []],
  ['down', { ...bridge, up: false }, ['link set ls7a3f-br0 up']],
  ['with a MAC of its own', { ...bridge, mac: '02:00:00:00:00:01' }, ['link set ls7a3f-br0 address 02:fc:c0:a8:64:01']],
  [
    'with another address',
    { ...bridge, addresses: [{ address: '10.0.0.1', prefix: 8 }] },
    ['address del 10.0.0.1/8 dev ls7a3f-br0', 'address add 192.168.100.1/24 dev ls7a3f-br0'],
  ],
])('a bridge that is %s', (_, look, lines) => {
  expect(planBridge('ls7a3f-br0', network, true, look)).toEqual(lines);
});

test('what a tool prints half, or prints that is new, is no link and no exception', () => {
  expect(parseLinks('')).toEqual([]);
  expect(parseLinks('[{"ifname":"a","ifindex":1},{"x":2},3]\n[{"ifname":"b","ifin')).toMatchObject([
    { name: 'a', index: 1, master: null, up: false },
  ]);
});
