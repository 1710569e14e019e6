import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';
import { kindOfName } from './links.ts';

/** `ip -j` and `bridge -j`, whole or picked apart by jq: links, addresses, neighbours, routes, forwarding entries. */
export function readJson(at: Line, g: Gather): boolean {
  const text = at.body;
  if (!/^\[?\{"/.test(text) || text.length > 4_000) return false;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  let found = false;
  for (const entry of Array.isArray(value) ? value.slice(0, 500) : [value]) if (isObject(entry) && readEntry(entry, at, g)) found = true;
  return found;
}

type Entry = Record<string, unknown>;
const isObject = (value: unknown): value is Entry => typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function readEntry(entry: Entry, at: Line, g: Gather): boolean {
  const name = textOf(entry['ifname']);
  const to = textOf(entry['dst']);
  const dev = textOf(entry['dev']);
  const states = listOf(entry['state']).map(String);
  if (name !== null && entry['mac'] === undefined && Array.isArray(entry['flags'])) {
    const kind = textOf(isObject(entry['linkinfo']) ? entry['linkinfo']['info_kind'] : null);
    // `ip link show master BRIDGE` lists ports without saying it again
    const master = textOf(entry['master']) ?? /\bmaster (\S{1,32})/.exec(at.command ?? '')?.[1] ?? null;
    add(g.links, {
      at,
      place: at.place,
      name,
      flags: entry['flags'].map(String),
      state: textOf(entry['operstate']),
      master,
      kind: kind === 'bridge' ? 'bridge' : kind === 'tun' ? 'tap' : kindOfName(name),
      mac: textOf(entry['address'])?.toLowerCase() ?? null,
      mtu: numberOf(entry['mtu']),
      isolated: entry['isolated'] === true ? true : null,
    });
    g.shown.add('links');
    for (const one of listOf(entry['addr_info'])) {
      const address = isObject(one) && one['family'] === 'inet' ? textOf(one['local']) : null;
      if (isObject(one) && address !== null)
        add(g.addresses, { at, place: at.place, link: name, address, prefix: numberOf(one['prefixlen']) });
      g.shown.add(`addresses-${at.place}`);
    }
    return true;
  }
  const mac = textOf(entry['mac']);
  if (mac !== null && name !== null) {
    add(g.forwarding, {
      at,
      mac: mac.toLowerCase(),
      dev: name,
      bridge: textOf(entry['master']),
      permanent: entry['state'] === 'permanent',
    });
    g.shown.add('fdb');
    return true;
  }
  if (to !== null && states.length > 0) {
    const lladdr = textOf(entry['lladdr']);
    const silent = lladdr === null || states.includes('FAILED') || states.includes('INCOMPLETE');
    add(g.neighbours, {
      at,
      place: at.place,
      address: to,
      dev: dev ?? /\bdev (\S{1,32})/.exec(at.command ?? '')?.[1] ?? null,
      mac: lladdr?.toLowerCase() ?? null,
      state: silent ? 'silent' : states.includes('REACHABLE') ? 'answers' : 'unknown',
    });
    g.shown.add('neighbours');
    return true;
  }
  if (to !== null && dev !== null) {
    if (/\bg(?:et)?\b/.test(at.command ?? '')) add(g.routeGets, { at, place: at.place, to, via: textOf(entry['gateway']), dev });
    else add(g.routes, { at, place: at.place, to, via: textOf(entry['gateway']), dev });
    g.shown.add(`routes-${at.place}`);
    return true;
  }
  return false;
}
