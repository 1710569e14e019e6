/** What guests can and cannot do on a network, in a real kernel: every refusal is proved by its counter, every permission by an answer. */
import { wiringOf } from '@linstock/core';
import type { Network } from '@linstock/contract';
import { describe, expect, test } from 'vitest';
import { exec } from '../tools/exec.ts';
import { HostStandIn, aNetwork, until, whyNotReal } from './testing/host-stand-in.ts';
import type { Counter } from './rules.ts';

const why = await whyNotReal();
if (why !== null) console.log(`skipped: traffic of guests in a real kernel: ${why}`);
const python = (await exec(['python3', '-c', 'import socket; socket.AF_PACKET'], { timeoutMs: 20_000 })).code === 0;
if (!python) console.log('skipped: hand-made frames: python3 with raw sockets is not installed');

type Town = { host: HostStandIn; network: Network; a: string; b: string; c: string };

/** A network with three guests. */
async function town(host: HostStandIn, overrides: Partial<Network> = {}): Promise<Town> {
  const network = aNetwork(host, overrides);
  await host.networks.ensureNetwork(network);
  const spaces: string[] = [];
  for (const slot of [0, 1, 2]) {
    await host.networks.ensureSlot(network, wiringOf(host.mark, network, slot));
    spaces.push((await host.guest(network, slot)).space);
  }
  const [a = '', b = '', c = ''] = spaces;
  return { host, network, a, b, c };
}

async function drops({ host, network }: Town): Promise<Record<Counter, number>> {
  const sight = await host.networks.observeSlot(network, wiringOf(host.mark, network, 0));
  if (!sight?.drops) throw new Error('the counters cannot be read');
  return sight.drops;
}

/** Does it, and tells which counters moved. */
async function droppedBy(t: Town, work: () => Promise<unknown>): Promise<Counter[]> {
  const before = await drops(t);
  await work();
  const after = await drops(t);
  return (Object.keys(after) as Counter[]).filter((name) => after[name] > before[name]);
}

/** Sends a frame, given in hex, from a guest's card. */
function sendFrame(host: HostStandIn, space: string, ...parts: string[]): Promise<string> {
  const script =
    'import socket,sys; s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW); s.bind(("eth0",0)); s.send(bytes.fromhex(sys.argv[1]).ljust(60,b"\\0"))';
  return host.in(space, 'python3', '-c', script, parts.join('').replaceAll(':', ''));
}

const MAC = {
  gateway: '02:fc:c0:a8:64:01',
  a: '02:fc:c0:a8:64:02',
  b: '02:fc:c0:a8:64:03',
  all: 'ff:ff:ff:ff:ff:ff',
  none: '00:00:00:00:00:00',
};
const IP = { gateway: 'c0a86401', a: 'c0a86402', b: 'c0a86403', none: '00000000' };
const arpOf = (operation: 1 | 2, senderMac: string, senderIp: string, targetMac: string, targetIp: string): string =>
  `0806 0001 0800 06 04 000${operation} ${senderMac} ${senderIp} ${targetMac} ${targetIp}`.replaceAll(/[ :]/g, '');

describe.skipIf(why !== null)('guests of an isolated network without egress', { timeout: 120_000 }, () => {
  test('gateway and guest reach each other; services of the host and neighbours stay out of reach', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    expect(await host.pings(t.a, '192.168.100.1')).toBe(true);
    expect(await host.pings(host.name, '192.168.100.2')).toBe(true);
    await host.listen(t.a, 6080);
    expect(await host.connects(host.name, '192.168.100.2', 6080)).toBe(true);
    const sight = await host.networks.observeSlot(t.network, wiringOf(host.mark, t.network, 0));
    expect(sight?.forwarding).toContainEqual({ mac: MAC.a, port: `ls${host.mark}-0-0`, permanent: false });
    expect(sight?.neighbours).toMatchObject([{ device: t.network.bridge, mac: MAC.a }]);
    expect(await drops(t)).toEqual(Object.fromEntries(Object.keys(await drops(t)).map((name) => [name, 0])));

    await host.listen(host.name, 9000);
    await host.in(host.name, 'ip', 'address', 'add', '10.77.0.1/32', 'dev', 'lo');
    expect(await droppedBy(t, async () => expect(await host.connects(t.a, '192.168.100.1', 9000)).toBe(false))).toEqual(['to_host']);
    // neither on another address of the host
    expect(await droppedBy(t, async () => expect(await host.connects(t.a, '10.77.0.1', 9000)).toBe(false))).toEqual(['to_host']);
    // a neighbour's ARP question ends at the bridge (at the isolated port already, before the rule)
    expect(await host.pings(t.a, '192.168.100.3')).toBe(false);
  });

  test('isolation holds twice: by the ports when the rules are flushed, by the rules when the ports are freed', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    const known = async (space: string, address: string, mac: string): Promise<unknown> =>
      host.in(space, 'ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent');
    await known(t.a, '192.168.100.3', MAC.b);
    await known(t.b, '192.168.100.2', MAC.a);
    await host.in(host.name, 'nft', 'flush', 'ruleset');
    expect(await host.pings(t.a, '192.168.100.3')).toBe(false);
    await host.networks.ensureNetwork(t.network);
    for (const slot of [0, 1])
      await host.in(host.name, 'ip', 'link', 'set', `ls${host.mark}-0-${slot}`, 'type', 'bridge_slave', 'isolated', 'off');
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.3')).toBe(false))).toEqual(['to_neighbour']);
    // with neither of them they would talk: the test itself can tell
    await host.in(host.name, 'nft', 'flush', 'ruleset');
    expect(await host.pings(t.a, '192.168.100.3')).toBe(true);
  });

  test('a host that forwards does not carry guests to each other by way of the gateway', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    await host.in(host.name, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    // the neighbour's address, the gateway's MAC
    await host.in(t.a, 'ip', 'neigh', 'replace', '192.168.100.3', 'lladdr', MAC.gateway, 'dev', 'eth0', 'nud', 'permanent');
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.3')).toBe(false))).toEqual(['to_neighbour']);
  });

  test('another MAC is not heard', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    for (const mac of [MAC.b, MAC.gateway, '02:00:00:00:00:99']) {
      await host.in(t.a, 'ip', 'link', 'set', 'eth0', 'address', mac);
      expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.1')).toBe(false))).toEqual(['spoofed_mac']);
      expect(await host.in(host.name, 'bridge', 'fdb', 'show', 'br', `ls${host.mark}-br0`)).not.toMatch(
        new RegExp(`${mac} dev ls${host.mark}-0-0 `),
      );
    }
    await host.in(t.a, 'ip', 'link', 'set', 'eth0', 'address', MAC.a);
    expect(await host.pings(t.a, '192.168.100.1')).toBe(true);
  });

  test('another address is not heard, in IP or in ARP', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    await host.in(t.a, 'ip', 'address', 'add', '192.168.100.77/32', 'dev', 'eth0');
    // with the gateway's MAC unknown it must ask, in the false name
    await host.in(t.a, 'ip', 'neigh', 'flush', 'dev', 'eth0');
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.1', '-I', '192.168.100.77')).toBe(false))).toEqual([
      'spoofed_arp',
    ]);
    await host.in(t.a, 'ip', 'neigh', 'replace', '192.168.100.1', 'lladdr', MAC.gateway, 'dev', 'eth0', 'nud', 'permanent');
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.1', '-I', '192.168.100.77')).toBe(false))).toEqual([
      'spoofed_address',
    ]);
    expect(await host.pings(t.a, '192.168.100.1', '-I', '192.168.100.2')).toBe(true);
  });

  test.skipIf(!python)('hand-made frames: each is dropped for its own reason', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    const frames: [string, string[], Counter[]][] = [
      ['ARP: I am the gateway', [MAC.all, MAC.a, arpOf(2, MAC.a, IP.gateway, MAC.none, IP.gateway)], ['spoofed_arp']],
      ["ARP: my address is at the neighbour's MAC", [MAC.all, MAC.a, arpOf(2, MAC.b, IP.a, MAC.none, IP.a)], ['spoofed_arp']],
      ['an ARP reply that names nobody', [MAC.all, MAC.a, arpOf(2, MAC.a, IP.none, MAC.none, IP.b)], ['spoofed_arp']],
      ["a probe in another's name", [MAC.all, MAC.a, arpOf(1, MAC.b, IP.none, MAC.none, IP.b)], ['spoofed_arp']],
      [
        'DHCP discover',
        [MAC.all, MAC.a, '0800', '4500002c0000000040117ac2', '00000000', 'ffffffff', '0044004300180000'],
        ['no_address_yet'],
      ],
      ['IPv6', ['33:33:00:00:00:01', MAC.a, '86dd', '6000000000003aff'], ['other_protocol']],
      ['a VLAN tag around ARP', [MAC.all, MAC.a, '81000001', arpOf(1, MAC.a, IP.a, MAC.none, IP.gateway)], ['other_protocol']],
      ['spanning tree', ['01:80:c2:00:00:00', MAC.a, '0026424203000000'], ['other_protocol']],
      ['LLDP, which ends at the inner bridge', ['01:80:c2:00:00:0e', MAC.a, '88cc'], []],
      ["LLDP with the neighbour's MAC", ['01:80:c2:00:00:0e', MAC.b, '88cc'], []],
    ];
    for (const [name, frame, reasons] of frames) {
      expect(await droppedBy(t, () => sendFrame(host, t.a, ...frame)), name).toEqual(reasons);
    }
    // nothing of it was learned
    const fdb = await host.in(host.name, 'bridge', 'fdb', 'show', 'br', `ls${host.mark}-br0`);
    expect(fdb).not.toMatch(new RegExp(`${MAC.b} dev ls${host.mark}-0-0 `));
    // and what is allowed is not counted: a probe before taking an address, a question in its own name
    for (const frame of [
      [MAC.all, MAC.a, arpOf(1, MAC.a, IP.none, MAC.none, IP.a)],
      [MAC.all, MAC.a, arpOf(1, MAC.a, IP.a, MAC.none, IP.gateway)],
    ]) {
      expect(await droppedBy(t, () => sendFrame(host, t.a, ...frame))).toEqual([]);
    }
  });

  test('what the bridge floods is heard by its addressee alone', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    expect(await host.pings(host.name, '192.168.100.3')).toBe(true);
    await host.in(host.name, 'ip', 'neigh', 'replace', '192.168.100.3', 'lladdr', MAC.b, 'dev', t.network.bridge ?? '', 'nud', 'permanent');
    await host.in(t.b, 'ip', 'neigh', 'replace', '192.168.100.1', 'lladdr', MAC.gateway, 'dev', 'eth0', 'nud', 'permanent');
    const heardByA = async (): Promise<string> => host.in(t.a, 'cat', '/proc/net/dev');
    const before = await heardByA();
    const reasons = await droppedBy(t, async () => {
      await host.in(host.name, 'ip', 'link', 'set', t.network.bridge ?? '', 'type', 'bridge', 'fdb_flush');
      expect(await host.pings(host.name, '192.168.100.3')).toBe(true);
    });
    expect(reasons).toEqual(['not_for_port']);
    expect(await heardByA()).toBe(before);
  });

  test('the internet is out of reach, even when the host forwards', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host);
    const net = await host.internet();
    await host.in(net.space, 'ip', 'route', 'add', '192.168.100.0/24', 'via', '10.99.0.2');
    await host.in(host.name, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    expect(await host.pings(host.name, net.address)).toBe(true);
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, net.address)).toBe(false))).toEqual(['no_egress']);
    expect(await droppedBy(t, async () => expect(await host.pings(net.space, '192.168.100.2')).toBe(false))).toEqual(['from_outside']);
  });
});

describe.skipIf(why !== null)('guests of other networks', { timeout: 120_000 }, () => {
  test.each([0, 1])('neighbours talk when the network is not isolated (bridge-nf-call-iptables %i)', async (filtered) => {
    await using host = await HostStandIn.make();
    // absent where the module br_netfilter is not loaded: then it is as 0
    await host.works(host.name, 'sysctl', '-q', '-w', `net.bridge.bridge-nf-call-iptables=${filtered}`);
    const t = await town(host, { isolated: false });
    expect(await host.pings(t.a, '192.168.100.3')).toBe(true);
    expect(await host.pings(t.a, '192.168.100.1')).toBe(true);
    await host.in(t.a, 'ip', 'link', 'set', 'eth0', 'address', MAC.b);
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '192.168.100.4')).toBe(false))).toEqual(['spoofed_mac']);
  });

  test('with egress the internet answers through NAT, and cannot call', async () => {
    await using host = await HostStandIn.make();
    const t = await town(host, { egress: true });
    const net = await host.internet();
    // it has no route to the subnet, so an answer proves the translation
    expect(await host.pings(t.a, net.address)).toBe(true);
    await host.listen(net.space, 8000);
    expect(await host.connects(t.a, net.address, 8000)).toBe(true);
    expect(await host.pings(t.a, '192.168.100.3')).toBe(false);
    await host.in(net.space, 'ip', 'route', 'add', '192.168.100.0/24', 'via', '10.99.0.2');
    expect(await droppedBy(t, async () => expect(await host.pings(net.space, '192.168.100.2')).toBe(false))).toEqual(['from_outside']);
    // the metadata service of the host's cloud
    await host.in(host.name, 'ip', 'route', 'add', '169.254.169.254/32', 'dev', 'uplink');
    expect(await host.pings(host.name, '169.254.169.254')).toBe(true);
    expect(await droppedBy(t, async () => expect(await host.pings(t.a, '169.254.169.254')).toBe(false))).toEqual(['to_link_local']);
  });

  test('two networks do not reach each other, whatever each of them allows', async () => {
    await using host = await HostStandIn.make();
    const one = await town(host, { egress: true, isolated: false });
    const two = await town(host, { index: 1, egress: true, isolated: false });
    expect(await host.pings(two.a, '192.168.101.1')).toBe(true);
    expect(await droppedBy(two, async () => expect(await host.pings(one.a, '192.168.101.2')).toBe(false))).toEqual(['from_outside']);
    expect(await droppedBy(one, async () => expect(await host.pings(two.a, '192.168.100.2')).toBe(false))).toEqual(['from_outside']);
  });

  test('what the host forwards for others is not judged', async () => {
    await using host = await HostStandIn.make();
    await host.networks.ensureNetwork(aNetwork(host, { egress: true }));
    const net = await host.internet();
    const other = `t-${host.id}-other`;
    await host.addSpace(other);
    await host.batch(host.name, [
      `link add other type veth peer name eth0 netns ${other}`,
      'address add 10.98.0.2/24 dev other',
      'link set other up',
    ]);
    await host.batch(other, ['link set eth0 up', 'address add 10.98.0.1/24 dev eth0', 'route add default via 10.98.0.2']);
    await host.in(net.space, 'ip', 'route', 'add', '10.98.0.0/24', 'via', '10.99.0.2');
    await until(() => host.pings(other, net.address), 'others are forwarded');
  });
});
