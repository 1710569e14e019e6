/** Slots and networks made, half-made, repeated and removed in a real kernel. */
import { readdir, writeFile } from 'node:fs/promises';
import { wiringOf } from '@linstock/core';
import type { Network } from '@linstock/contract';
import { describe, expect, test } from 'vitest';
import { HostStandIn, aNetwork, prefixOf, whyNotReal } from './testing/host-stand-in.ts';
import { BridgeNetworks } from './network.ts';
import { nothingThere, planSlot } from './plan.ts';

const why = await whyNotReal();
if (why !== null) console.log(`skipped: network slots in a real kernel: ${why}`);

async function expectWhole(host: HostStandIn, network: Network, slot: number): Promise<void> {
  const wiring = wiringOf(host.mark, network, slot);
  const sight = await host.networks.observeSlot(network, wiring);
  expect(sight).toMatchObject({
    namespace: 'there',
    bridge: { up: true, kind: 'bridge', mac: '02:fc:c0:a8:64:01' },
    port: { up: true, carrier: true, master: `ls${host.mark}-br0`, isolated: true, kind: 'veth', ipv6Addresses: 'none' },
    uplink: { up: true, carrier: true, master: 'br0' },
    insideBridge: { up: true, kind: 'bridge' },
    tap: { up: true, kind: 'tun', plainTap: true, master: 'br0' },
    route: { device: `ls${host.mark}-br0`, source: '192.168.100.1' },
  });
}

async function expectNothingLeft(host: HostStandIn): Promise<void> {
  expect(await host.networks.inventory()).toEqual([]);
  expect((await readdir('/run/netns')).filter((name) => name.startsWith(`ls${host.mark}-`))).toEqual([]);
  expect(await host.in(host.name, 'ip', '-o', 'link', 'show')).not.toContain(`ls${host.mark}`);
  expect(await host.in(host.name, 'nft', 'list', 'tables')).not.toContain(`ls${host.mark}`);
}

describe.skipIf(why !== null)('in a real kernel', { timeout: 120_000 }, () => {
  test('a slot is made, made again without change, and removed; removing again is fine', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    const wiring = wiringOf(host.mark, network, 3);
    expect(await host.networks.preflight(network)).toBeNull();
    await host.networks.ensureNetwork(network);
    await host.networks.ensureSlot(network, wiring);
    await expectWhole(host, network, 3);
    const before = await host.networks.observeSlot(network, wiring);
    await host.networks.ensureNetwork(network);
    await host.networks.ensureSlot(network, wiring);
    // the very same links: nothing was made anew
    const after = await host.networks.observeSlot(network, wiring);
    const indexes = (s: typeof before): unknown =>
      [s?.bridge, s?.port, s?.uplink, s?.insideBridge, s?.tap].map((l) => (typeof l === 'object' ? l?.index : l));
    expect(indexes(after)).toEqual(indexes(before));
    expect(await host.networks.inventory()).toEqual([
      { kind: 'netns', name: wiring.netns, owner: wiring.netns },
      { kind: 'link', name: network.bridge, owner: network.bridge },
      { kind: 'link', name: wiring.port, owner: wiring.port },
      { kind: 'table', name: `bridge ls${host.mark}-0`, owner: network.bridge },
      { kind: 'table', name: `ip ls${host.mark}-0`, owner: network.bridge },
    ]);
    await host.networks.absentSlot(network, 3);
    await host.networks.absentSlot(network, 3);
    expect(await host.networks.observeSlot(network, wiring)).toMatchObject({
      namespace: 'absent',
      port: 'absent',
      tap: 'absent',
      bridge: { up: true },
    });
    await host.networks.absentNetwork(network);
    await host.networks.absentNetwork(network);
    await expectNothingLeft(host);
  });

  test('cut short after any of its commands, a slot is completed by ensure and cleared by absent', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    await host.networks.ensureNetwork(network);
    const wiring = wiringOf(host.mark, network, 7);
    const plan = planSlot({ bridge: `ls${host.mark}-br0`, wiring, isolated: true, ipv6: true }, nothingThere);
    const commands = plan.host.length + plan.inside.length;
    expect(commands).toBe(14);
    const makeFirst = async (k: number): Promise<void> => {
      await host.batch(host.name, plan.host.slice(0, k));
      await host.batch(k > plan.host.length ? wiring.netns : host.name, plan.inside.slice(0, Math.max(0, k - plan.host.length)));
    };
    for (let k = 0; k <= commands; k++) {
      await makeFirst(k);
      await host.networks.ensureSlot(network, wiring);
      await expectWhole(host, network, 7);
      await host.networks.absentSlot(network, 7);
      await makeFirst(k);
      await host.networks.absentSlot(network, 7);
      expect(
        (await host.networks.inventory()).filter((t) => t.owner === wiring.netns),
        `left after ${k} commands`,
      ).toEqual([]);
    }
  });

  test('the way down cut short is completed by either', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    await host.networks.ensureNetwork(network);
    const wiring = wiringOf(host.mark, network, 0);
    for (const next of ['ensure', 'absent']) {
      await host.networks.ensureSlot(network, wiring);
      await host.batch(host.name, [`link del ${wiring.port}`]);
      if (next === 'ensure') {
        await host.networks.ensureSlot(network, wiring);
        await expectWhole(host, network, 0);
      } else await host.networks.absentSlot(network, 0);
    }
    await host.networks.absentNetwork(network);
    await expectNothingLeft(host);
  });

  test.each<[string, (host: HostStandIn, netns: string) => Promise<unknown>]>([
    ['a port taken off its bridge', (host, name) => host.in(host.name, 'ip', 'link', 'set', name, 'nomaster')],
    ['a port that is down', (host, name) => host.in(host.name, 'ip', 'link', 'set', name, 'down')],
    ['a port that is not isolated', (host, name) => host.in(host.name, 'bridge', 'link', 'set', 'dev', name, 'isolated', 'off')],
    ['a tap that is down', (host, name) => host.in(name, 'ip', 'link', 'set', 'tap0', 'down')],
    ['a tap off its bridge', (host, name) => host.in(name, 'ip', 'link', 'set', 'tap0', 'nomaster')],
    [
      'a tap with many queues, which Firecracker refuses',
      (host, name) => host.batch(name, ['link del tap0', 'tuntap add dev tap0 mode tap multi_queue', 'link set tap0 master br0 up']),
    ],
    ['no inner bridge', (host, name) => host.in(name, 'ip', 'link', 'del', 'br0')],
    ['no uplink', (host, name) => host.in(name, 'ip', 'link', 'del', 'up0')],
    ['an uplink to somewhere else', (host, name) => host.batch(name, ['link del up0', 'link add up0 type veth peer name other'])],
    [
      'a namespace that lost its name while a program holds it',
      async (host, name) => {
        host.start(name, 'cat', '/dev/zero', '--', '/dev/null');
        await host.in(host.name, 'ip', 'netns', 'del', name);
      },
    ],
    [
      'a name without its namespace, as after a reboot with /run on a disk',
      async (host, name) => {
        await host.networks.absentSlot(aNetwork(host), 5);
        await writeFile(`/run/netns/${name}`, '');
      },
    ],
  ])('%s: ensure sets it right', async (_, spoil) => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    await host.networks.ensureNetwork(network);
    const wiring = wiringOf(host.mark, network, 5);
    await host.networks.ensureSlot(network, wiring);
    await spoil(host, wiring.netns);
    await host.networks.ensureSlot(network, wiring);
    await expectWhole(host, network, 5);
    await host.networks.remove({ kind: 'netns', name: wiring.netns, owner: wiring.netns });
    expect((await host.networks.inventory()).filter((t) => t.owner === wiring.netns)).toEqual([]);
  });

  test('a network that somebody spoiled is set right: rules flushed, an element taken out, bridge down, address gone', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    const table = `ls${host.mark}-0`;
    const rules = async (): Promise<string> => host.in(host.name, 'nft', '-s', 'list', 'ruleset');
    await host.networks.ensureNetwork(network);
    await host.networks.ensureSlot(network, wiringOf(host.mark, network, 1));
    const good = await rules();
    for (const spoil of [
      ['nft', 'flush', 'ruleset'],
      ['nft', 'flush', 'table', 'bridge', table],
      ['nft', 'delete', 'element', 'bridge', table, 'macs', `{ "ls${host.mark}-0-1" . 02:fc:c0:a8:64:03 }`],
      ['nft', 'add', 'rule', 'ip', table, 'to_host', 'accept'],
    ]) {
      await host.in(host.name, ...spoil);
      expect(await rules()).not.toBe(good);
      await host.networks.ensureNetwork(network);
      expect(await rules()).toBe(good);
    }
    for (const spoil of [
      ['link', 'set', `${table.replace('-0', '-br0')}`, 'down'],
      ['address', 'flush', 'dev', `ls${host.mark}-br0`],
      ['link', 'set', `ls${host.mark}-br0`, 'address', '02:00:00:00:00:01'],
    ]) {
      await host.in(host.name, 'ip', ...spoil);
      await host.networks.ensureNetwork(network);
      await expectWhole(host, network, 1);
    }
    // a loaded network is not loaded again: the counters would be lost
    const handles = async (): Promise<string> => host.in(host.name, 'nft', '-a', 'list', 'tables');
    const loaded = await handles();
    await new BridgeNetworks({ mark: host.mark, stateFolder: host.folder, prefix: prefixOf(host.name) }).ensureNetwork(network);
    expect(await handles()).toBe(loaded);
  });

  test('what is not ours survives a purge, and the host gets its forwarding setting back', async () => {
    await using host = await HostStandIn.make();
    // one digit more: a mark that only begins like ours
    const foreign = [`ls${host.mark}a-br0`, `ls${host.mark}a-0-1`, 'docker0', `xls${host.mark}-0-1`.slice(0, 15)];
    for (const name of foreign) await host.in(host.name, 'ip', 'link', 'add', name, 'type', 'bridge');
    await host.in(host.name, 'nft', 'add', 'table', 'ip', 'filter');
    await host.in(host.name, 'nft', 'add', 'table', 'bridge', `ls${host.mark}a-0`);
    await host.addSpace(`ls${host.mark}a-0-1`);
    const forwarding = async (): Promise<string> => (await host.in(host.name, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim();
    expect(await forwarding()).toBe('0');
    for (const index of [0, 1]) {
      const network = aNetwork(host, { index, egress: index === 1 });
      await host.networks.ensureNetwork(network);
      expect(await forwarding()).toBe(String(index));
      for (const slot of [0, 1, 2]) await host.networks.ensureSlot(network, wiringOf(host.mark, network, slot));
    }
    expect(await host.networks.inventory()).toHaveLength(2 * (3 + 1 + 3 + 2));
    await host.networks.purge();
    expect(await forwarding()).toBe('0');
    const links = await host.in(host.name, 'ip', '-o', 'link', 'show');
    for (const name of foreign) expect(links).toContain(` ${name}:`);
    expect(await host.in(host.name, 'nft', 'list', 'tables')).toBe(`table ip filter\ntable bridge ls${host.mark}a-0\n`);
    expect(await readdir('/run/netns')).toContain(`ls${host.mark}a-0-1`);
    expect(await host.networks.inventory()).toEqual([]);
    expect(await readdir(host.folder)).toEqual(expect.not.arrayContaining(['rules-0.nft', 'rules-1.nft', 'ip-forward.before']));
    await host.networks.purge();
  });

  test('forwarding that was on before stays on', async () => {
    await using host = await HostStandIn.make();
    await host.in(host.name, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    await host.networks.ensureNetwork(aNetwork(host, { egress: true }));
    await host.networks.purge();
    expect((await host.in(host.name, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim()).toBe('1');
  });

  test('preflight refuses a taken subnet and a crowded bridge', async () => {
    await using host = await HostStandIn.make();
    await host.batch(host.name, [
      'link add eth7 type bridge',
      'address add 192.168.100.77/25 dev eth7',
      'link set eth7 up',
      'route add 10.20.0.0/16 dev eth7',
    ]);
    expect(await host.networks.preflight(aNetwork(host))).toEqual({
      code: 'network-clash',
      data: { subnet: '192.168.100.0/24', other: '192.168.100.77/25', device: 'eth7' },
    });
    expect(await host.networks.preflight(aNetwork(host, { subnet: '10.20.30.0/24', gateway: '10.20.30.1' }))).toMatchObject({
      code: 'network-clash',
      data: { device: 'eth7', other: '10.20.0.0/16' },
    });
    expect(await host.networks.preflight(aNetwork(host, { subnet: '172.30.0.0/21', gateway: '172.30.0.1' }))).toEqual({
      code: 'network-too-large',
      data: { subnet: '172.30.0.0/21', ports: 1_000, largest: '/22' },
    });
    const free = aNetwork(host, { index: 1 });
    await host.networks.ensureNetwork(free);
    // its own bridge is no clash
    expect(await host.networks.preflight(free)).toBeNull();
    expect(await host.networks.preflight(aNetwork(host, { index: 2, subnet: free.subnet, gateway: free.gateway }))).toMatchObject({
      code: 'network-clash',
      data: { device: free.bridge },
    });
  });

  test('a network of kind user asks nothing of the host', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host, { kind: 'user', bridge: null });
    const wiring = wiringOf(host.mark, network, 0);
    expect(await host.networks.preflight(network)).toBeNull();
    await host.networks.ensureNetwork(network);
    await host.networks.ensureSlot(network, wiring);
    expect(await host.networks.observeSlot(network, wiring)).toBeNull();
    await expectNothingLeft(host);
    await host.networks.absentSlot(network, 0);
    await host.networks.absentNetwork(network);
  });

  test('an aborted step throws the reason and leaves something that ensure completes', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    await host.networks.ensureNetwork(network);
    const wiring = wiringOf(host.mark, network, 2);
    const late = new AbortController();
    const step = host.networks.ensureSlot(network, wiring, late.signal);
    late.abort(new Error('rent lost'));
    await expect(step).rejects.toThrow('rent lost');
    await host.networks.ensureSlot(network, wiring);
    await expectWhole(host, network, 2);
  });

  test('250 slots, eight at a time, and nothing left of them', async () => {
    await using host = await HostStandIn.make();
    const network = aNetwork(host);
    await host.networks.ensureNetwork(network);
    const next = Array.from({ length: 250 }, (_, slot) => slot).values();
    const each = async (work: (slot: number) => Promise<void>, slots: IteratorObject<number>): Promise<void> => {
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          for (const slot of slots) await work(slot);
        }),
      );
    };
    await each((slot) => host.networks.ensureSlot(network, wiringOf(host.mark, network, slot)), next);
    expect((await host.networks.inventory()).filter((t) => t.kind === 'netns')).toHaveLength(250);
    for (const slot of [0, 125, 249]) await expectWhole(host, network, slot);
    await each((slot) => host.networks.absentSlot(network, slot), Array.from({ length: 125 }, (_, slot) => slot).values());
    expect((await host.networks.inventory()).filter((t) => t.kind === 'link')).toHaveLength(125 + 1);
    await host.networks.absentNetwork(network);
    await expectNothingLeft(host);
  });
});
