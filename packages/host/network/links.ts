/**
 * What `ip -json -d` tells about links, parsed once. Promises: never throws on what it does not know; a field that was not printed is null.
 */

export type Traffic = { bytes: number; packets: number; errors: number; dropped: number };

export type Link = {
  name: string;
  index: number;
  /** ifindex of the other end of a veth, in its own namespace */
  peerIndex: number | null;
  /** `veth`, `bridge`, `tun`; null for a device that says nothing of itself */
  kind: string | null;
  /** for a tun device: whether it is a TAP with a single queue, as VMMs open it */
  plainTap: boolean;
  up: boolean;
  /** LOWER_UP: the other side is there and up */
  carrier: boolean;
  operstate: string;
  master: string | null;
  mac: string | null;
  mtu: number | null;
  /** port flag of a bridge port */
  isolated: boolean | null;
  /** how it makes IPv6 link-local addresses; null where the kernel has no IPv6 */
  ipv6Addresses: string | null;
  addresses: readonly { address: string; prefix: number }[];
  received: Traffic | null;
  sent: Traffic | null;
};

/** `ip -json -batch` prints one array a line, and nothing for a command that failed. */
export function parseLinks(text: string): Link[] {
  return parseArrays(text).flatMap((item) => linkOf(item) ?? []);
}

export function parseArrays(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      // an empty line, or one that a killed tool left half: nothing can be learned from it
      return [];
    }
    return Array.isArray(value) ? value.filter(isRecord) : [];
  });
}

function linkOf(item: Record<string, unknown>): Link | null {
  const name = textOf(item['ifname']);
  const index = numberOf(item['ifindex']);
  if (name === null || index === null) return null;
  const flags = Array.isArray(item['flags']) ? item['flags'] : [];
  const info = recordOf(item['linkinfo']);
  const data = recordOf(info['info_data']);
  const port = recordOf(info['info_slave_data']);
  const stats = recordOf(item['stats64']);
  return {
    name,
    index,
    peerIndex: numberOf(item['link_index']),
    kind: textOf(info['info_kind']),
    plainTap: data['type'] === 'tap' && data['multi_queue'] !== true,
    up: flags.includes('UP'),
    carrier: flags.includes('LOWER_UP'),
    operstate: textOf(item['operstate']) ?? 'UNKNOWN',
    master: textOf(item['master']),
    mac: textOf(item['address']),
    mtu: numberOf(item['mtu']),
    isolated: typeof port['isolated'] === 'boolean' ? port['isolated'] : null,
    ipv6Addresses: textOf(item['inet6_addr_gen_mode']),
    addresses: (Array.isArray(item['addr_info']) ? item['addr_info'].filter(isRecord) : []).flatMap((a) => {
      const address = textOf(a['local']);
      const prefix = numberOf(a['prefixlen']);
      return a['family'] === 'inet' && address !== null && prefix !== null ? [{ address, prefix }] : [];
    }),
    received: trafficOf(stats['rx']),
    sent: trafficOf(stats['tx']),
  };
}

function trafficOf(value: unknown): Traffic | null {
  if (!isRecord(value)) return null;
  const count = (key: string): number => numberOf(value[key]) ?? 0;
  return { bytes: count('bytes'), packets: count('packets'), errors: count('errors'), dropped: count('dropped') };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

export function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
