/** Whether a subnet is still free on this host: pure, over what `ip -json -4 address` and `ip -json -4 route show table all` print. */
import { overlap, parseAddress } from '@linstock/core';
import type { Subnet } from '@linstock/core';
import { isRecord, textOf, numberOf } from './links.ts';

export type Clash = { device: string; other: string };

/**
 * A route wider than this is taken for a default route (VPNs split theirs into two halves, 0.0.0.0/1 and 128.0.0.0/1): it says where the
 * rest of the world is, and a more specific subnet may always be carved out of it.
 */
const WIDEST_PREFIX = 8;

export function findClash(
  subnet: Subnet,
  own: string,
  addresses: readonly Record<string, unknown>[],
  routes: readonly Record<string, unknown>[],
): Clash | null {
  for (const link of addresses) {
    const device = textOf(link['ifname']) ?? '?';
    if (device === own) continue;
    for (const info of Array.isArray(link['addr_info']) ? link['addr_info'].filter(isRecord) : []) {
      const base = parseAddress(textOf(info['local']) ?? '');
      const prefix = numberOf(info['prefixlen']);
      if (base === null || prefix === null) continue;
      const other = { base: base - (base % 2 ** (32 - prefix)), prefix };
      if (overlap(subnet, other)) return { device, other: `${textOf(info['local'])}/${prefix}` };
    }
  }
  for (const route of routes) {
    const device = textOf(route['dev']) ?? '-';
    const destination = textOf(route['dst']);
    // local and broadcast routes only repeat the addresses above
    if (
      device === own ||
      destination === null ||
      route['type'] === 'local' ||
      route['type'] === 'broadcast' ||
      route['type'] === 'multicast'
    )
      continue;
    const other = parseDestination(destination);
    if (other !== null && other.prefix >= WIDEST_PREFIX && overlap(subnet, other)) return { device, other: destination };
  }
  return null;
}

/** `10.0.0.0/8`, `10.1.2.3` or `default`, as a route's destination is printed. */
function parseDestination(text: string): Subnet | null {
  if (text === 'default') return null;
  const [address = '', prefix = '32'] = text.split('/');
  const base = parseAddress(address);
  return base === null || !/^\d{1,2}$/.test(prefix) || Number(prefix) > 32 ? null : { base, prefix: Number(prefix) };
}
