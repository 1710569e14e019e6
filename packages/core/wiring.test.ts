import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Network } from '@linstock/contract';
import { aNetwork } from '@linstock/testkit';
import {
  bridgeName,
  formatAddress,
  macOf,
  mostPorts,
  netmaskOf,
  overlap,
  parseAddress,
  parseSlotName,
  parseSubnet,
  reachOfPort,
  slotName,
  slotsOf,
  wiringOf,
} from './wiring.ts';

const network = (subnet: string, more: Partial<Network> = {}): Network =>
  aNetwork({ subnet, gateway: `${subnet.split('/')[0]?.replace(/\d+$/, '1')}`, ...more });

describe('subnets', () => {
  type Row = [text: string, slots: number | null];
  const rows: Row[] = [
    ['192.168.100.0/24', 253],
    ['10.0.0.0/30', 1],
    ['10.78.0.0/22', mostPorts],
    ['10.78.0.0/23', 509],
    ['192.168.100.1/24', null], // an address, not a network
    ['192.168.100.0', null],
    ['192.168.100.0/31', null],
    ['192.168.300.0/24', null],
    ['fd00::/64', null],
    ['', null],
  ];
  it.each(rows)('%s has %s slots', (text, slots) => {
    expect(parseSubnet(text) === null ? null : slotsOf({ kind: 'bridge', subnet: text })).toBe(slots);
  });

  it('overlap when one holds an address of the other, and not otherwise', () => {
    const of = (text: string) => parseSubnet(text) ?? { base: 0, prefix: 30 };
    expect(overlap(of('10.0.0.0/24'), of('10.0.0.128/25'))).toBe(true);
    expect(overlap(of('10.0.0.0/24'), of('10.0.1.0/24'))).toBe(false);
    expect(overlap(of('10.0.0.0/8'), of('10.200.3.0/24'))).toBe(true);
  });

  it('print what they parse', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (value) => {
        expect(parseAddress(formatAddress(value))).toBe(value);
      }),
    );
    expect([netmaskOf(24), netmaskOf(30), netmaskOf(8)]).toEqual(['255.255.255.0', '255.255.255.252', '255.0.0.0']);
  });
});

describe('the names and addresses of a slot', () => {
  const slots = fc.nat(mostPorts - 1);
  const marks = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16).padStart(4, '0'));

  it('fit an interface name, and parse back to the slot of that installation only', () => {
    fc.assert(
      fc.property(marks, fc.nat(99), slots, marks, (mark, index, slot, other) => {
        const name = slotName(mark, index, slot);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(15);
        expect(Buffer.byteLength(bridgeName(mark, index))).toBeLessThanOrEqual(15);
        expect(parseSlotName(mark, name)).toEqual({ index, slot });
        if (other !== mark) expect(parseSlotName(other, name)).toBeNull();
        expect(parseSlotName(mark, bridgeName(mark, index))).toBeNull();
      }),
    );
  });

  it('are different for different slots, inside the subnet, and never its gateway', () => {
    fc.assert(
      fc.property(slots, slots, (a, b) => {
        const wide = network('10.78.0.0/22', { gateway: '10.78.0.1' });
        const [one, two] = [wiringOf('beef', wide, a), wiringOf('beef', wide, b)];
        for (const part of ['netns', 'port', 'mac', 'address'] as const) expect(one[part] === two[part]).toBe(a === b);
        expect(one.address).not.toBe(wide.gateway);
        expect((parseAddress(one.address) ?? 0) - (parseAddress('10.78.0.0') ?? 0)).toBeLessThan(1_023);
        expect(one.mac).toBe(macOf(parseAddress(one.address) ?? 0));
      }),
    );
  });

  it('reach a port by its address on a bridge, and by a forwarded one behind a user-mode network', () => {
    expect(reachOfPort(wiringOf('0000', network('192.168.100.0/24'), 3, [6080]), 6080)).toEqual({ host: '192.168.100.5', hostPort: 6080 });
    const user = network('192.168.100.0/24', { kind: 'user' });
    expect(reachOfPort(wiringOf('0000', user, 3, [6080, 22]), 22)).toEqual({ host: '127.0.0.1', hostPort: 20_049 });
    const all = Array.from({ length: slotsOf(user) }, (_, slot) => wiringOf('ffff', user, slot, [80]).forwards[0]?.hostPort ?? 0);
    expect(new Set(all).size).toBe(all.length);
    expect(Math.max(...all)).toBeLessThan(65_536);
  });
});
