import type { LinkFact } from '../evidence.ts';
import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';
import { ipv4, macOf, macPattern, prefixOfMask } from './ipv4.ts';

/** `ip link`, `ip addr`, `ip -br …`, `ip -d`, `ifconfig`, `bridge link`, `brctl show`, in the shapes of iproute2, busybox and net-tools. */

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** what the lines below a link belong to */
export type LinkState = { link: Mutable<LinkFact> | null; block: number; brctl: string | null };
export const emptyLinkState = (): LinkState => ({ link: null, block: -1, brctl: null });

const nothing = { flags: [], state: null, master: null, kind: 'unknown', mac: null, mtu: null, isolated: null } as const;

export function kindOfName(name: string): LinkFact['kind'] {
  if (/^(?:fc-|tap|vmtap|fctap|vm-|ltap|tun\d)/.test(name) || /[-_]tap\d*$|tap$/.test(name)) return 'tap';
  if (
    /^(?:(?:fc|vm|vir|lx|lxc|kata|cni|docker|mv)?br[-\d_]|virbr|docker\d|cni\d|bridge\d?|fcbr|vmbr|br$)/.test(name) ||
    /br\d{1,3}$/.test(name)
  )
    return 'bridge';
  return 'unknown';
}

function open(g: Gather, s: LinkState, at: Line, name: string, rest: Partial<LinkFact>): Mutable<LinkFact> {
  const bare = name.split('@')[0] ?? name;
  const kind = rest.kind ?? kindOfName(bare);
  const link = { ...nothing, ...rest, at, place: at.place, name: bare, kind } as Mutable<LinkFact>;
  add(g.links, link);
  s.link = link;
  s.block = at.block;
  g.shown.add('links');
  return link;
}

const flagged = /^(?:(?:t[+=]\d+s?|\d\d:\d\d:\d\d)\s+)?(?:\d{1,6}:\s*)?([\w.@:-]{1,40}?):?\s*<([A-Z0-9_,-]{2,160})>(.*)$/;
const many = /^(\d{1,5}) ([\w*.-]{1,30})\s(?:TAPs?|taps?|interfaces?|links?)\s?<([A-Z0-9_,-]+)>(.*)$/;

export function readLinks(at: Line, g: Gather, s: LinkState): boolean {
  const text = at.body;
  if (at.command !== null && /^(?:sudo )?ip (?:-\w+ )*a(?:ddr(?:ess)?)?\b/.test(at.command)) g.shown.add(`addresses-${at.place}`);
  if (s.link && (s.block !== at.block || /^\s*$/.test(at.text))) s.link = null;
  const several = many.exec(text);
  if (several) {
    g.shown.add('links');
    g.asked.set(`count:${several[2]}`, [{ value: several[1] ?? '0', at }]);
    return true;
  }
  const m = flagged.exec(text);
  if (m?.[1] && m[2] !== undefined) {
    const rest = m[3] ?? '';
    const flags = m[2].split(',');
    const word = (key: string): string | null => new RegExp(`(?:^|\\s)${key} ([\\w.@:-]{1,40})`).exec(rest)?.[1] ?? null;
    const mtu = word('mtu');
    const known = g.links.findLast((l) => l.name === (m[1] ?? '').split('@')[0] && l.place === at.place);
    const link = open(g, s, at, m[1], {
      flags,
      state: word('state')?.toUpperCase() ?? null,
      master: word('master'),
      mtu: mtu === null ? null : Number(mtu),
      mac: known?.mac ?? null,
      kind: known && known.kind !== 'unknown' ? known.kind : kindOfName((m[1] ?? '').split('@')[0] ?? ''),
    });
    const inet = new RegExp(`inet (${ipv4})(?:/(\\d{1,2}))?`).exec(rest);
    if (inet?.[1]) add(g.addresses, { at, place: at.place, link: link.name, address: inet[1], prefix: inet[2] ? Number(inet[2]) : null });
    if (/\bstate (?:forwarding|disabled|blocking|learning|listening)\b/.test(rest)) {
      g.shown.add('bridge-ports');
      link.state = /\bstate (\w+)/.exec(rest)?.[1]?.toUpperCase() === 'FORWARDING' ? 'UP' : link.state;
      if (link.kind === 'unknown') link.kind = 'other';
    }
    if (/\bisolated on\b/.test(rest)) link.isolated = true;
    return true;
  }
  // ip -br: `fc-0003  UP  192.168.100.1/24 fe80::…` or `… UP 02:fc:… <BROADCAST,…>`
  const brief = /^([\w.-]{1,32}(?:@[\w.-]{1,32})?)\s+(UP|DOWN|UNKNOWN|LOWERLAYERDOWN|DORMANT)(?:\s+(.*))?$/.exec(text);
  if (brief?.[1] && brief[2] && !/^(?:Chain|tcp|udp|LISTEN)\b/.test(text)) {
    const rest = brief[3] ?? '';
    const flags = /<([A-Z0-9_,-]+)>/.exec(rest)?.[1]?.split(',') ?? [];
    const name = brief[1].split('@')[0] ?? '';
    const known = g.links.findLast((l) => l.name === name && l.place === at.place);
    const link =
      known ?? open(g, s, at, name, { flags, state: brief[2], mac: new RegExp(`^${macPattern}`).exec(rest)?.[0]?.toLowerCase() ?? null });
    for (const inet of rest.matchAll(new RegExp(`(${ipv4})/(\\d{1,2})`, 'g'))) {
      if (inet[1]) add(g.addresses, { at, place: at.place, link: link.name, address: inet[1], prefix: Number(inet[2]) });
    }
    s.link = null;
    g.shown.add(`addresses-${at.place}`);
    return true;
  }
  // one line per address: `2: eth0    inet 10.0.0.2/24 brd …`
  const oneLine = new RegExp(`^\\d{1,5}: ([\\w.@-]{1,32})\\s+inet6? (\\S+?)(?:/(\\d{1,2}))?\\s`).exec(`${text} `);
  if (oneLine?.[1] && oneLine[2]) {
    if (new RegExp(`^${ipv4}$`).test(oneLine[2])) {
      add(g.addresses, {
        at,
        place: at.place,
        link: oneLine[1].split('@')[0] ?? '',
        address: oneLine[2],
        prefix: Number(oneLine[3] ?? 32),
      });
    }
    g.shown.add(`addresses-${at.place}`);
    return true;
  }
  // net-tools and busybox
  const ifconfig = /^([\w.:-]{1,32}?):?\s+(?:Link encap:(\w+)\s*(.*)|flags=\d+<([A-Z0-9_,]*)>\s*(.*))$/.exec(text);
  if (ifconfig?.[1]) {
    const mac = new RegExp(`HWaddr (${macPattern})`).exec(text)?.[1];
    const flags = ifconfig[4]?.split(',') ?? [];
    if (flags.includes('RUNNING')) flags.push('LOWER_UP');
    else if (flags.includes('UP')) flags.push('NO-CARRIER');
    open(g, s, at, ifconfig[1], { flags, mac: mac ? macOf(mac) : null, mtu: Number(/mtu (\d+)/.exec(text)?.[1] ?? 0) || null });
    return true;
  }
  if (readBrctl(at, g, s)) return true;
  return s.link !== null && readBelow(at, g, s, s.link);
}

function readBelow(at: Line, g: Gather, s: LinkState, link: Mutable<LinkFact>): boolean {
  const text = at.body;
  const ether = new RegExp(`^(?:link/ether|link/\\w+|ether)\\s+(${macPattern})`).exec(text);
  if (ether?.[1]) {
    link.mac = macOf(ether[1]);
    return true;
  }
  if (text.startsWith('link/')) return true;
  const inet = new RegExp(`^inet (?:addr:)?(${ipv4})(?:/(\\d{1,2}))?(?:.*?(?:netmask |Mask:)(\\S+))?`).exec(text);
  if (inet?.[1]) {
    const prefix = inet[2] !== undefined ? Number(inet[2]) : inet[3] ? prefixOfMask(inet[3]) : null;
    add(g.addresses, { at, place: at.place, link: link.name, address: inet[1], prefix });
    g.shown.add(`addresses-${at.place}`);
    return true;
  }
  if (text.startsWith('inet6 ') || text.startsWith('valid_lft ')) return true;
  if (/^tun type tap\b/.test(text)) link.kind = 'tap';
  if (/^bridge forward_delay\b/.test(text)) link.kind = 'bridge';
  if (/\bisolated on\b/.test(text)) link.isolated = true;
  if (/^(?:tun|bridge|bridge_slave|veth|promiscuity|altname|vxlan|macvtap)\b/.test(text)) return true;
  if (/^(?:UP|BROADCAST)\b.*\bMTU:/.test(text)) {
    link.flags = text.split(/\s+/).filter((w) => /^[A-Z]{2,}$/.test(w));
    if (!text.includes('RUNNING')) link.flags = [...link.flags, 'NO-CARRIER'];
    return true;
  }
  if (/^\d+\s+\d+\s+\d+/.test(text)) return true;
  return /^(?:RX|TX|collisions|txqueuelen)\b/.test(text);
}

/** `bridge name  bridge id  STP enabled  interfaces`; further ports stand alone below. */
function readBrctl(at: Line, g: Gather, s: LinkState): boolean {
  const text = at.body;
  if (/^bridge name\s+bridge id\s+STP enabled\s+interfaces/.test(text)) {
    s.brctl = '';
    g.shown.add('links').add('bridge-ports');
    return true;
  }
  if (s.brctl === null) return false;
  const row = /^([\w.-]{1,32})\s+[0-9a-f]{4}\.[0-9a-f]{12}\s+(?:yes|no)(?:\s+([\w.-]{1,32}))?$/.exec(text);
  if (row?.[1]) {
    s.brctl = row[1];
    if (!g.links.some((l) => l.name === row[1])) open(g, s, at, row[1], { kind: 'bridge' });
    if (row[2]) port(g, s, at, row[2], row[1]);
    return true;
  }
  const alone = /^([\w.-]{1,32})$/.exec(text);
  if (alone?.[1] && s.brctl !== '') {
    port(g, s, at, alone[1], s.brctl);
    return true;
  }
  s.brctl = null;
  return false;
}

function port(g: Gather, s: LinkState, at: Line, name: string, master: string): void {
  const known = g.links.find((l) => l.name === name) as Mutable<LinkFact> | undefined;
  if (known) known.master ??= master;
  else open(g, s, at, name, { master });
}
