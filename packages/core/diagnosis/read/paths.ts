import type { Line } from '../text.ts';
import { add, type Gather } from './gather.ts';
import { ipv4, macOf, macPattern, prefixOfMask } from './ipv4.ts';

/** Routes, `ip route get`, neighbours (`ip neigh`, `arp -n`, `arp -an`), forwarding tables, sysctls, listening sockets. */

export function readPaths(at: Line, g: Gather): boolean {
  return readNeighbour(at, g) || readForwarding(at, g) || readRoute(at, g) || readSysctl(at, g) || readListening(at, g);
}

function readNeighbour(at: Line, g: Gather): boolean {
  const text = at.body;
  // ip neigh
  const neigh = new RegExp(
    `^(${ipv4})\\s+dev (\\S{1,32})(?:\\s+lladdr (${macPattern}))?(?:\\s+\\w+ref \\d+|\\s+used \\S+|\\s+probes \\d+|\\s+router|\\s+extern_learn)*\\s+(REACHABLE|STALE|DELAY|PROBE|PERMANENT|INCOMPLETE|FAILED|NOARP|NONE)\\b`,
    'i',
  ).exec(text);
  if (neigh?.[1] && neigh[4]) {
    const state = neigh[4].toUpperCase();
    const answers = neigh[3] !== undefined && state !== 'FAILED' && state !== 'INCOMPLETE';
    add(g.neighbours, {
      at,
      place: at.place,
      address: neigh[1],
      dev: neigh[2] ?? null,
      mac: neigh[3] ? macOf(neigh[3]) : null,
      state: answers ? (state === 'STALE' || state === 'PERMANENT' ? 'unknown' : 'answers') : 'silent',
    });
    g.shown.add('neighbours');
    return true;
  }
  // arp -n: `192.168.100.2  ether  02:fc:…  C  br0`, `… (incomplete)  br0`
  const arp = new RegExp(`^(${ipv4})\\s+(?:(?:ether\\s+)(${macPattern})\\s+C?M?\\s*|\\(?(incomplete)\\)?\\s*)([\\w.-]{1,32})?`, 'i').exec(
    text,
  );
  if (arp?.[1] && (arp[2] || arp[3])) {
    add(g.neighbours, {
      at,
      place: at.place,
      address: arp[1],
      dev: arp[4] ?? null,
      mac: arp[2] ? macOf(arp[2]) : null,
      state: arp[2] ? 'unknown' : 'silent',
    });
    g.shown.add('neighbours');
    return true;
  }
  // arp -an: `? (192.168.100.1) at 02:fc:… [ether]  on eth0`, `at <incomplete> on br0`
  const bsd = new RegExp(`^\\S+ \\((${ipv4})\\) at (?:(${macPattern})|<incomplete>)(?: \\[\\w+\\])?(?: PERM)?\\s+on (\\S{1,32})`).exec(
    text,
  );
  if (bsd?.[1]) {
    add(g.neighbours, {
      at,
      place: at.place,
      address: bsd[1],
      dev: bsd[3] ?? null,
      mac: bsd[2] ? macOf(bsd[2]) : null,
      state: bsd[2] ? 'unknown' : 'silent',
    });
    g.shown.add('neighbours');
    return true;
  }
  return /^Address\s+HWtype\s+HWaddress/.test(text);
}

function readForwarding(at: Line, g: Gather): boolean {
  const m = new RegExp(`^(${macPattern})\\s+dev (\\S{1,32})(.*)$`).exec(at.body);
  if (m?.[1] && m[2]) {
    const rest = m[3] ?? '';
    add(g.forwarding, {
      at,
      mac: macOf(m[1]),
      dev: m[2],
      bridge: /\bmaster (\S{1,32})/.exec(rest)?.[1] ?? null,
      permanent: /\b(?:permanent|self)\b/.test(rest),
    });
    g.shown.add('fdb');
    return true;
  }
  // brctl showmacs: `  1  02:fc:00:00:00:03  no  1.23`
  const brctl = new RegExp(`^\\s*(\\d{1,4})\\s+(${macPattern})\\s+(yes|no)\\s+[\\d.]+`).exec(at.text);
  if (!brctl?.[2]) return false;
  add(g.forwarding, { at, mac: macOf(brctl[2]), dev: `port ${brctl[1]}`, bridge: null, permanent: brctl[3] === 'yes' });
  g.shown.add('fdb');
  return true;
}

function readRoute(at: Line, g: Gather): boolean {
  const text = at.body;
  const asked = at.command !== null && /\bip\b.{0,40}\br(?:o(?:u(?:te?)?)?)?\s+g(?:et?)?\b/.test(at.command);
  const get = new RegExp(
    `^(${ipv4})(?: from \\S+)?(?: via (${ipv4}))? dev (\\S{1,32})(?: table \\S+)?(?: src \\S+)?(?: uid \\d+)?\\s*$`,
  ).exec(text);
  if (get?.[1] && get[3] && (asked || /\b(?:src|uid|via)\b/.test(text))) {
    add(g.routeGets, { at, place: at.place, to: get[1], via: get[2] ?? null, dev: get[3] });
    g.shown.add('route-get');
    return true;
  }
  const route = new RegExp(
    `^(?:(unreachable|blackhole|prohibit) )?(default|${ipv4}(?:/\\d{1,2})?)(?: via (${ipv4}))?(?: dev (\\S{1,32}))?(?:\\s|$)`,
  ).exec(text);
  if (route?.[2] && (route[3] || route[4] || route[1])) {
    if (!/^default$|\//.test(route[2]) && !/\b(?:scope|proto|metric|src)\b/.test(text) && !asked && route[3] === undefined) return false;
    add(g.routes, { at, place: at.place, to: route[2], via: route[3] ?? null, dev: route[1] ?? route[4] ?? null });
    g.shown.add(`routes-${at.place}`);
    return true;
  }
  // route -n
  const table = new RegExp(
    `^(${ipv4}|default)\\s+(${ipv4}|\\*)\\s+(${ipv4})\\s+([A-Z!]{1,6})\\s+\\d+\\s+\\d+\\s+\\d+\\s+(\\S{1,32})$`,
  ).exec(text);
  if (table?.[1] && table[3] && table[5]) {
    const prefix = prefixOfMask(table[3]);
    const to = prefix === 0 || table[1] === 'default' ? 'default' : `${table[1]}/${prefix ?? 32}`;
    add(g.routes, { at, place: at.place, to, via: table[2] === '0.0.0.0' || table[2] === '*' ? null : (table[2] ?? null), dev: table[5] });
    g.shown.add(`routes-${at.place}`);
    return true;
  }
  return /^(?:Kernel IP routing table|Destination\s+Gateway\s+Genmask|cache\b)/.test(text);
}

function readSysctl(at: Line, g: Gather): boolean {
  const m = /^((?:net|vm|fs|kernel|user)\.[\w./-]{2,100})\s*=\s*(\S{1,80}(?: \S{1,40}){0,3})$/.exec(at.body);
  if (m?.[1] && m[2] !== undefined) {
    g.sysctls.set(m[1], { at, value: m[2], place: at.place });
    return true;
  }
  const proc = /^\/proc\/sys\/([\w./-]{3,100})\s*[:=]?\s+(-?\d{1,12})$/.exec(at.body);
  const bare = /^-?\d{1,12}$/.test(at.body) ? /\bsysctl -n ((?:net|vm|fs|kernel)\.[\w./-]{2,100})/.exec(at.command ?? '') : null;
  if (proc?.[1] && proc[2]) {
    g.sysctls.set(proc[1].replaceAll('/', '.'), { at, value: proc[2], place: at.place });
    return true;
  }
  if (bare?.[1]) {
    g.sysctls.set(bare[1], { at, value: at.body, place: at.place });
    return true;
  }
  const file = at.command === null ? null : /\/proc\/sys\/([\w./-]{3,100})/.exec(at.command);
  if (file?.[1] && /^-?\d{1,12}$/.test(at.body)) {
    g.sysctls.set(file[1].replaceAll('/', '.'), { at, value: at.body, place: at.place });
    return true;
  }
  const prose = /\b(ip_forward|rp_filter|bridge-nf-call-iptables|arp_ignore|proxy_arp)\s*(?:=|:| is )\s*(\d)\b/.exec(at.body);
  if (!prose?.[1] || !prose[2]) return false;
  const key = { ip_forward: 'net.ipv4.ip_forward', 'bridge-nf-call-iptables': 'net.bridge.bridge-nf-call-iptables' }[prose[1]];
  g.sysctls.set(key ?? `net.ipv4.conf.all.${prose[1]}`, { at, value: prose[2], place: at.place });
  return true;
}

function readListening(at: Line, g: Gather): boolean {
  const text = at.body;
  const header = /^(?:State\s+Recv-Q|Netid\s+State|Proto\s+Recv-Q|Active Internet connections|sl\s+local_address)/.test(text);
  if (header) {
    g.shown.add(`listening-${at.place}`);
    return true;
  }
  const process = (): string | null => /users:\(\("([^"]{1,40})"/.exec(text)?.[1] ?? /\s\d{1,8}\/([^\s]{1,40})\s*$/.exec(text)?.[1] ?? null;
  const ss =
    /^(?:(?:tcp|tcp6)\s+)?LISTEN\s+\d+\s+\d+\s+(\S+?):(\d{1,5})\s+\S+/.exec(text) ??
    /^tcp6?\s+\d+\s+\d+\s+(\S+?):(\d{1,5})\s+\S+\s+LISTEN\b/.exec(text) ??
    /^tcp6?\s+(\S+?):(\d{1,5})\s+LISTEN\b/.exec(text);
  if (ss?.[1] && ss[2]) {
    add(g.listening, { at, place: at.place, address: ss[1].replaceAll(/[[\]]|%\S+/g, ''), port: Number(ss[2]), process: process() });
    g.shown.add(`listening-${at.place}`);
    return true;
  }
  // lsof -i: `node 811 root 18u IPv4 … TCP *:4000 (LISTEN)`
  const lsof = /^(\S{1,32})\s+\d+\s+\S+\s+\S+\s+IPv[46].*\bTCP (\S+?):(\d{1,5}) \(LISTEN\)/.exec(text);
  if (lsof?.[2] && lsof[3]) {
    add(g.listening, {
      at,
      place: at.place,
      address: lsof[2] === '*' ? '0.0.0.0' : lsof[2],
      port: Number(lsof[3]),
      process: lsof[1] ?? null,
    });
    g.shown.add(`listening-${at.place}`);
    return true;
  }
  return /^(?:tcp|udp)6?\s+\d+\s+\d+\s/.test(text) || /^(?:UNCONN|ESTAB|TIME-WAIT)\b/.test(text);
}
