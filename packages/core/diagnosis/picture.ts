import type { Because } from '@linstock/contract';
import type { ConsoleLine } from '../console/console.ts';
import type { AddressFact, Evidence, LinkFact, ProbeFact } from './evidence.ts';
import { cite, type Line } from './text.ts';

/**
 * What several rules need to know, worked out once: who the guest is, which links carry it, how far it can be reached, how its VMM is.
 */

export type Reach = 'yes' | 'no' | 'unknown';

export type Picture = {
  /** the guest's address as asked for; null when nothing tells it */
  address: string | null;
  mac: string | null;
  prefix: number | null;
  bridge: LinkFact | null;
  bridgeName: string | null;
  tap: LinkFact | null;
  /** the address of the bridge, as the host shows it */
  bridgeAddresses: readonly AddressFact[];
  /** from the host to the guest's address */
  arp: Reach;
  ping: Reach;
  ports: ReadonlyMap<number, { answer: ProbeFact['answer']; probe: ProbeFact; all: readonly ProbeFact[] }>;
  /** something answered at the address with an IP stack: ping, RST, HTTP */
  reached: ProbeFact | null;
  /** the best proof that nobody answered ARP for the address */
  unreached: Line | null;
  /** it was reached, and later it was not */
  lost: boolean;
  /** the VMM is known to have ended, or no process is there */
  vmmGone: Line | null;
  /** major and minor of the running kernel */
  kernel: readonly [number, number] | null;
  /** a build of a distribution: drivers are modules */
  distributionKernel: boolean;
  at: (line: ConsoleLine) => Line | null;
  /** cites a console fact, marked when any process could have written it */
  citeConsole: (line: ConsoleLine) => Because[];
  citeLine: (line: Line) => Because;
  /** the first console line that matches, and where it is (from 1) */
  find: (pattern: RegExp) => { line: Line; index: number } | null;
  findAll: (pattern: RegExp, most?: number) => Line[];
  /** any line of any document */
  findAny: (pattern: RegExp, where?: (line: Line) => boolean) => Line | null;
  userspace: boolean;
};

const linkScore = (l: LinkFact): number => (l.flags.length > 0 ? 2 : 0) + (l.master ? 1 : 0);

export function pictureOf(e: Evidence): Picture {
  const consoleIndex = new Map(e.console.map((line, i) => [line, i + 1]));
  const guestControlled = (line: Line): boolean => {
    if (line.place === 'guest' && !line.console) return true;
    const index = consoleIndex.get(line);
    return index !== undefined && (e.facts.headLost || e.earlierBoot || (e.userspaceFrom !== null && index >= e.userspaceFrom));
  };
  const citeLine = (line: Line): Because => cite(line, guestControlled(line));
  const at = (line: ConsoleLine): Line | null => e.console[line.line - 1] ?? null;

  const address = guestAddress(e);
  const mac = e.asked.mac?.value ?? e.facts.ipConfig?.mac?.toLowerCase() ?? null;
  const hostLinks = e.links.filter((l) => l.place !== 'guest');
  const tap = pick(hostLinks, e.asked.tap?.value ?? null, 'tap') ?? tapByMac(e, hostLinks, mac);
  const gateway = e.asked.gateway?.value ?? e.facts.ipConfig?.gateway ?? null;
  const owner = gateway === null ? null : (e.addresses.find((a) => a.place !== 'guest' && a.address === gateway)?.link ?? null);
  const bridgeName =
    e.asked.bridge?.value ??
    tap?.master ??
    owner ??
    hostLinks.find((l) => l.master !== null)?.master ??
    e.forwarding.find((f) => !f.permanent && f.bridge !== null && (mac === null || f.mac === mac))?.bridge ??
    hostLinks.find((l) => l.kind === 'bridge' && l.name !== 'docker0')?.name ??
    hostLinks.find((l) => l.kind === 'bridge')?.name ??
    null;
  const bridge =
    bridgeName === null
      ? null
      : (hostLinks.filter((l) => l.name === bridgeName).toSorted((a, b) => linkScore(b) - linkScore(a))[0] ?? null);
  const bridgeAddresses = e.addresses.filter((a) => a.place !== 'guest' && a.link === bridgeName);

  // what left by a forced interface says nothing of the host's own way
  const forced = (p: ProbeFact): boolean => p.kind !== 'arp' && /\bping\b.{0,60}\s-I\b|--interface\b/.test(p.at.command ?? '');
  const mine = (p: ProbeFact): boolean =>
    !forced(p) && p.place !== 'guest' && (p.target === null || address === null || p.target === address);
  const probes = e.probes.filter(mine);
  const pings = probes.filter((p) => p.kind === 'ping');
  const arps = probes.filter((p) => p.kind === 'arp');
  const connections = probes.filter((p) => p.kind !== 'ping' && p.kind !== 'arp' && p.kind !== 'dns');
  const ports = new Map<number, { answer: ProbeFact['answer']; probe: ProbeFact; all: ProbeFact[] }>();
  for (const p of connections) {
    if (p.port === null) continue;
    const known = ports.get(p.port);
    if (!known) ports.set(p.port, { answer: p.answer, probe: p, all: [p] });
    else {
      known.all.push(p);
      // the word of the errno says more than curl's "couldn't connect"; what worked once worked
      if (known.answer !== 'ok' && p.answer !== 'unclear') Object.assign(known, { answer: p.answer, probe: p });
    }
  }
  const reachedBy = probes.find((p) => (p.answer === 'ok' && p.kind !== 'arp') || p.answer === 'refused' || p.answer === 'reset') ?? null;
  const silent = e.neighbours.filter((n) => n.place !== 'guest' && n.state === 'silent' && (address === null || n.address === address));
  const silentProbe = probes.find((p) => p.answer === 'no-answer-arp');
  const arpAnswered =
    arps.some((p) => p.answer === 'ok') ||
    (!arps.some((p) => p.answer === 'no-answer-arp') &&
      e.neighbours.some((n) => n.place !== 'guest' && n.state === 'answers' && n.address === address)) ||
    e.frames.some((f) => f.what === 'arp-reply' && f.from === address && f.from !== null && (mac === null || f.sourceMac === mac));
  const lastConnection = probes.findLast((p) => p.kind !== 'arp');
  const lost =
    reachedBy !== null &&
    lastConnection !== undefined &&
    lastConnection.answer === 'no-answer-arp' &&
    probes.indexOf(reachedBy) < probes.indexOf(lastConnection);
  const version = /Linux version (\d+)\.(\d+)/.exec(e.facts.banner?.text ?? '');
  const gone = vmmGone(e);
  return {
    address,
    mac,
    prefix: e.asked.prefix?.value ?? null,
    bridge,
    bridgeName,
    tap,
    bridgeAddresses,
    arp: arpAnswered || reachedBy ? 'yes' : silent.length > 0 || silentProbe ? 'no' : 'unknown',
    ping: pings.some((p) => p.answer === 'ok') ? 'yes' : pings.length > 0 ? 'no' : 'unknown',
    ports,
    reached: reachedBy,
    unreached: silentProbe?.at ?? silent[0]?.at ?? null,
    lost,
    vmmGone: gone,
    kernel: version ? [Number(version[1]), Number(version[2])] : null,
    distributionKernel: isDistribution(e),
    at,
    citeConsole: (line) => {
      const l = at(line);
      return l ? [citeLine(l)] : [];
    },
    citeLine,
    find: (pattern) => {
      for (const [i, line] of e.console.entries()) if (pattern.test(line.body)) return { line, index: i + 1 };
      return null;
    },
    findAll: (pattern, most = 4) => {
      const found: Line[] = [];
      for (const line of e.console) {
        if (found.length >= most) break;
        if (pattern.test(line.body)) found.push(line);
      }
      return found;
    },
    findAny: (pattern, where) => e.lines.find((line) => (where === undefined || where(line)) && pattern.test(line.body)) ?? null,
    userspace: e.userspaceFrom !== null || e.units.some((u) => u.at.console),
  };
}

function guestAddress(e: Evidence): string | null {
  const candidates = [...e.asked.addresses.map((a) => a.value), ...(e.facts.ipConfig ? [e.facts.ipConfig.address] : [])];
  const looked = (address: string): boolean =>
    e.probes.some((x) => x.place !== 'guest' && x.target === address) || e.routeGets.some((r) => r.to === address);
  const known = candidates.find(looked) ?? candidates[0];
  if (known !== undefined) return known;
  // what people try to reach is the guest, unless it is the host itself
  const own = new Set(e.addresses.filter((a) => a.place === 'host').map((a) => a.address));
  const counts = new Map<string, number>();
  for (const p of e.probes) {
    if (p.target === null || p.place === 'guest' || own.has(p.target) || !/^\d/.test(p.target) || p.target.startsWith('127.')) continue;
    counts.set(p.target, (counts.get(p.target) ?? 0) + 1);
  }
  for (const r of e.routeGets) if (r.place !== 'guest' && !own.has(r.to)) counts.set(r.to, (counts.get(r.to) ?? 0) + 1);
  for (const n of e.neighbours) if (n.place !== 'guest' && n.state === 'silent') counts.set(n.address, (counts.get(n.address) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function pick(links: readonly LinkFact[], name: string | null, kind: 'tap' | 'bridge'): LinkFact | null {
  const candidates = links.filter((l) => (name === null ? l.kind === kind : l.name === name || name.startsWith(l.name)));
  return candidates.toSorted((a, b) => linkScore(b) - linkScore(a))[0] ?? null;
}

function tapByMac(e: Evidence, links: readonly LinkFact[], mac: string | null): LinkFact | null {
  const dev = e.forwarding.find((f) => !f.permanent && f.mac === mac)?.dev;
  return dev === undefined ? null : (links.find((l) => l.name === dev) ?? null);
}

function vmmGone(e: Evidence): Line | null {
  const exit = e.vmm.exit;
  // it was started again
  if (exit && e.lines.some((l) => l.source === exit.at.source && l.line > exit.at.line && l.body.startsWith('Running Firecracker v')))
    return null;
  return e.vmm.exit?.at ?? (e.vmm.alive ? null : e.vmm.absent);
}

function isDistribution(e: Evidence): boolean {
  const text = `${e.facts.banner?.text ?? ''} ${e.asked.kernel?.value ?? ''}`;
  return /-generic\b|\(buildd@|-cloud-amd64|-amd64\b|\.el\d|\.fc\d{2}\.|-aws\b|-azure\b|-gcp\b|-kvm\b|debian-kernel@|Ubuntu/.test(text);
}
