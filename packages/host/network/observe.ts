/** The evidence of one slot, seen from the host: taken at once, each part by itself, so that one blind spot hides only itself. */
import { inside } from '@linstock/core';
import type { Wiring } from '@linstock/core';
import type { ExecResult } from '../tools/exec.ts';
import { isRecord, numberOf, parseArrays, parseLinks, textOf } from './links.ts';
import type { Link } from './links.ts';
import type { NamespaceState } from './plan.ts';
import { bridgeCounters, hostCounters } from './rules.ts';
import type { Counter } from './rules.ts';

/** `null` means that it could not be looked at: that is *unknown*, never "no". */
export type SlotSight = {
  namespace: NamespaceState;
  /** bridge of the network, in the host's namespace */
  bridge: Link | 'absent' | null;
  /** host end of the veth pair; its `master` must be the bridge */
  port: Link | 'absent' | null;
  uplink: Link | 'absent' | null;
  insideBridge: Link | 'absent' | null;
  /** `carrier` is true while a VMM holds it open */
  tap: Link | 'absent' | null;
  /** where the bridge has learned the slot's MAC, and what it has learned at the slot's port */
  forwarding: readonly { mac: string; port: string; permanent: boolean }[] | null;
  /** the host's neighbour entries of the address; more than one device means the subnet is on more than one link */
  neighbours: readonly { device: string; mac: string | null; states: readonly string[] }[] | null;
  /** by which device the host would send to the guest; null inside = by none */
  route: { device: string | null; source: string | null; text: string } | null;
  /** packets that the rules of this network dropped, by reason; of all its guests together */
  drops: Readonly<Record<Counter, number>> | null;
};

type Hands = {
  run: (argv: readonly string[], lines?: readonly string[]) => Promise<ExecResult>;
  namespace: NamespaceState;
  bridge: string;
  table: string;
  wiring: Wiring;
};

export async function lookAtSlot({ run, namespace, bridge, table, wiring }: Hands): Promise<SlotSight> {
  const [links, within, neigh, route, fdb, counters] = await Promise.all([
    run(['ip', '-force', '-s', '-d', '-json', '-batch', '-'], [`link show dev ${bridge}`, `link show dev ${wiring.port}`]),
    namespace === 'there' ? run(['ip', '-batch', '-'], [`netns exec ${wiring.netns} ip -s -d -json link show`]) : null,
    run(['ip', '-json', 'neigh', 'show', wiring.address]),
    run(['ip', '-json', 'route', 'get', wiring.address]),
    run(['bridge', '-json', 'fdb', 'show', 'br', bridge]),
    Promise.all(['bridge', 'ip'].map((family) => run(['nft', '-j', 'list', 'counters', 'table', family, table]))),
  ]);
  const outside = ran(links) ? parseLinks(links.stdout) : null;
  // no namespace, nothing inside: that is known, not unknown
  const inner = within === null ? (namespace === 'absent' ? [] : null) : within.code === 0 ? parseLinks(within.stdout) : null;
  const pick = (list: readonly Link[] | null, name: string): Link | 'absent' | null =>
    list === null ? null : (list.find((l) => l.name === name) ?? 'absent');
  return {
    namespace,
    bridge: pick(outside, bridge),
    port: pick(outside, wiring.port),
    uplink: pick(inner, inside.uplink),
    insideBridge: pick(inner, inside.bridge),
    tap: pick(inner, inside.tap),
    forwarding: fdb.code === 0 ? forwardingOf(fdb.stdout, wiring) : null,
    neighbours: neigh.code === 0 ? neighboursOf(neigh.stdout) : null,
    route: ran(route) ? routeOf(route.stdout) : null,
    drops: counters.every((c) => c.code === 0) ? dropsOf(counters.map((c) => c.stdout).join('\n')) : null,
  };
}

/** It ran to its own end; what it did not print is not there. */
function ran(result: ExecResult): boolean {
  return result.code !== null && !result.timedOut && !result.aborted;
}

function forwardingOf(text: string, wiring: Wiring): SlotSight['forwarding'] {
  return parseArrays(text).flatMap((entry) => {
    const mac = textOf(entry['mac']);
    const port = textOf(entry['ifname']);
    if (mac === null || port === null || (mac !== wiring.mac && port !== wiring.port)) return [];
    return [{ mac, port, permanent: entry['state'] === 'permanent' }];
  });
}

function neighboursOf(text: string): SlotSight['neighbours'] {
  return parseArrays(text).flatMap((entry) => {
    const device = textOf(entry['dev']);
    const states = Array.isArray(entry['state']) ? entry['state'].filter((s): s is string => typeof s === 'string') : [];
    return device === null ? [] : [{ device, mac: textOf(entry['lladdr']), states }];
  });
}

function routeOf(text: string): SlotSight['route'] {
  const entry = parseArrays(text)[0];
  return { device: textOf(entry?.['dev']), source: textOf(entry?.['prefsrc']), text: text.trim() };
}

function dropsOf(text: string): SlotSight['drops'] {
  const drops: Partial<Record<string, number>> = {};
  // one JSON document per table, a line each
  for (const line of text.split('\n')) {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      // an empty line
      continue;
    }
    if (!isRecord(value) || !Array.isArray(value['nftables'])) continue;
    for (const item of value['nftables'].filter(isRecord)) {
      const counter = item['counter'];
      const name = isRecord(counter) ? textOf(counter['name']) : null;
      if (isRecord(counter) && name !== null) drops[name] = (drops[name] ?? 0) + (numberOf(counter['packets']) ?? 0);
    }
  }
  return Object.fromEntries([...bridgeCounters, ...hostCounters].map((name) => [name, drops[name] ?? 0])) as Record<Counter, number>;
}
