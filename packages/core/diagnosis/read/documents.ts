import type { EvidenceDocument } from '@linstock/contract';
import { parseCommandLine } from '../../cmdline.ts';
import { readConsole } from '../../console/reader.ts';
import type { Asked, Evidence, Fact } from '../evidence.ts';
import { linesOf, type Line } from '../text.ts';
import { emptyFirewallState, readFirewall } from './firewall.ts';
import { readFrames } from './frames.ts';
import { emptyGather, type Gather } from './gather.ts';
import { ipv4, prefixOfMask } from './ipv4.ts';
import { readJson } from './json.ts';
import { emptyLinkState, readLinks } from './links.ts';
import { readPaths } from './paths.ts';
import { emptyProbeState, readProbes } from './probes.ts';
import { readStates } from './states.ts';

/** All documents as one evidence. The order of documents, and of sections in them, changes no fact. */
export function readDocuments(documents: readonly EvidenceDocument[]): Evidence {
  const g = emptyGather();
  const lines: Line[] = [];
  const console: Line[] = [];
  const unread: Line[] = [];
  const plain = new Set<Line>();
  for (const document of documents) {
    const own = linesOf(document);
    const states = { links: emptyLinkState(), probes: emptyProbeState(), firewall: emptyFirewallState() };
    for (const line of own) {
      lines.push(line);
      if (line.console) console.push(line);
      if (line.furniture) continue;
      const read = readLine(line, g, states, plain);
      if (!read && !line.console && unread.length < 2_000) unread.push(line);
    }
  }
  placeBlocks(g);
  const boots = lastBoot(console);
  const facts = readConsole(boots.map((l) => l.body).join('\n') + (boots.length > 0 ? '\n' : ''), { ended: true });
  const given = documents.filter((d) => d.kind === 'console');
  const asked = askedOf(g, boots, facts.commandLine?.args ?? null, facts.commandLine?.line ?? null);
  return {
    lines,
    console: boots,
    earlierBoot: boots.length < console.length,
    facts,
    userspaceFrom: facts.userspaceFrom?.line ?? null,
    consoleGiven: given.length > 0 || console.length > 0,
    consoleEmpty: given.length > 0 && given.every((d) => d.text.trim() === '') && console.every((l) => l.text.trim() === ''),
    commandLine: commandLineOf(facts, boots, lines),
    asked,
    links: g.links,
    addresses: g.addresses,
    routes: g.routes,
    routeGets: g.routeGets,
    neighbours: g.neighbours,
    forwarding: g.forwarding,
    probes: g.probes,
    listening: g.listening,
    frames: g.frames,
    units: g.units,
    firewall: g.firewall,
    sysctls: g.sysctls,
    kernelOptions: g.kernelOptions,
    vmm: g.vmm,
    shown: g.shown,
    unread,
    plain,
  };
}

/**
 * Of a console with several boots the last one that got anywhere. A process can print a banner too: what stands behind a later one counts as
 * the guest's word (`earlierBoot`).
 */
function lastBoot(console: readonly Line[]): readonly Line[] {
  const starts = console.flatMap((l, i) => (l.body.startsWith('Linux version ') ? [i] : []));
  const last = starts.findLast((at, i) => i > 0 && console.length - at >= 8);
  return last === undefined ? console : console.slice(last);
}

type States = {
  links: ReturnType<typeof emptyLinkState>;
  probes: ReturnType<typeof emptyProbeState>;
  firewall: ReturnType<typeof emptyFirewallState>;
};

function readLine(line: Line, g: Gather, states: States, plain: Set<Line>): boolean {
  if (line.kind === 'console') {
    // a console shows units and options; somebody may also have typed commands on it
    const state = readStates(line, g);
    return line.command === null
      ? state
      : readLinks(line, g, states.links) || readFirewall(line, g, states.firewall) || readPaths(line, g) || state;
  }
  if (readJson(line, g)) {
    plain.add(line);
    return true;
  }
  const stated = readStates(line, g);
  const shape = readLinks(line, g, states.links) || readFirewall(line, g, states.firewall) || readPaths(line, g) || readFrames(line, g);
  if (shape) plain.add(line);
  return readProbes(line, g, states.probes, shape) || stated || shape;
}

/**
 * Where a pasted `ip addr` was run, when nothing says it: a block that shows a bridge or a TAP is the host's; one that shows only lo and
 * eth0 is the guest's when there is a host's block beside it.
 */
function placeBlocks(g: Gather): void {
  const blocks = Map.groupBy(
    g.links.filter((l) => l.place === 'unknown'),
    (l) => `${l.at.source}\u0000${l.at.block}`,
  );
  const hostSeen = g.links.some((l) => l.place === 'host' || l.kind === 'bridge' || l.kind === 'tap');
  for (const links of blocks.values()) {
    const isHost = links.some(
      (l) => l.kind === 'bridge' || l.kind === 'tap' || l.master !== null || /^(?:veth|docker|wlan|wl|br)/.test(l.name),
    );
    const isGuest = !isHost && hostSeen && links.some((l) => /^(?:eth\d|ens?\d|enp)/.test(l.name));
    if (!isHost && !isGuest) continue;
    const place = isHost ? 'host' : 'guest';
    const ids = new Set(links.map((l) => `${l.at.source}\u0000${l.at.block}`));
    for (const list of [g.links, g.addresses] as const) {
      for (const fact of list) {
        if (fact.place === 'unknown' && ids.has(`${fact.at.source}\u0000${fact.at.block}`)) (fact as { place: string }).place = place;
      }
    }
  }
}

function commandLineOf(facts: Evidence['facts'], console: readonly Line[], lines: readonly Line[]): Evidence['commandLine'] {
  const shown = facts.commandLine;
  const at = shown ? console[shown.line - 1] : undefined;
  if (shown && at) return { args: wordsOf(shown.args), at };
  const proc = lines.find((l) => l.command !== null && /\/proc\/cmdline\b/.test(l.command) && l.body.length > 4);
  return proc ? { args: wordsOf(proc.body), at: proc } : null;
}

/** Its tokens as written, also those behind a `--`. */
function wordsOf(line: string): string[] {
  const { kernel, init } = parseCommandLine(line);
  return [...kernel, ...(init ?? [])].map((token) => token.text);
}

function askedOf(g: Gather, console: readonly Line[], args: string | null, argsLine: number | null): Asked {
  const first = (key: string): Fact<{ value: string }> | null => g.asked.get(key)?.[0] ?? null;
  const number = (key: string): Fact<{ value: number }> | null => {
    const fact = first(key);
    if (!fact) return null;
    const value = Number.parseInt(fact.value, 10) * (/\d\s?G/i.test(fact.value) ? 1024 : 1);
    return Number.isFinite(value) ? { at: fact.at, value } : null;
  };
  const bootArgs = first('boot_args');
  const effectiveAt = argsLine === null ? undefined : console[argsLine - 1];
  const ipArguments: Fact<{ value: string }>[] = [];
  for (const [text, at] of [
    [bootArgs?.value, bootArgs?.at],
    [args ?? undefined, effectiveAt],
  ] as const) {
    if (text === undefined || at === undefined) continue;
    for (const word of wordsOf(text)) if (word.startsWith('ip=')) ipArguments.push({ value: word.slice(3), at });
  }
  for (const fact of g.asked.get('ip-argument') ?? []) ipArguments.push(fact);
  const isIp = (value: string): boolean => new RegExp(`^${ipv4}$`).test(value);
  const parts = ipArguments.map((f) => ({ at: f.at, fields: f.value.split(':') }));
  const addresses = [
    ...(g.asked.get('ip') ?? []).map((f) => ({ value: f.value.split('/')[0] ?? '', at: f.at })),
    ...parts.map((p) => ({ value: p.fields[0] ?? '', at: p.at })),
  ].filter((f) => isIp(f.value) && f.value !== '0.0.0.0');
  const gateways = [...(g.asked.get('gateway') ?? []), ...parts.map((p) => ({ value: p.fields[2] ?? '', at: p.at }))].filter((f) =>
    isIp(f.value),
  );
  const slash = (g.asked.get('ip') ?? []).find((f) => f.value.includes('/'));
  const masks = [
    ...(slash ? [{ value: slash.value.split('/')[1] ?? '', at: slash.at }] : []),
    ...(g.asked.get('mask') ?? []),
    ...parts.map((p) => ({ value: p.fields[3] ?? '', at: p.at })),
  ].flatMap((f) => {
    const value = prefixOfMask(f.value);
    return value === null ? [] : [{ value, at: f.at }];
  });
  const others = new Map<string, Fact<{ value: string }>>();
  for (const [key, facts] of g.asked)
    if (facts[0] && /^(?:other:|count:|is_root_device$)/.test(key)) others.set(key.replace(/^other:/, ''), facts[0]);
  return {
    addresses,
    gateway: gateways[0] ?? null,
    prefix: masks[0] ?? null,
    mac: lower(first('mac')),
    bridge: first('bridge'),
    tap: first('tap'),
    ports: (g.asked.get('ports') ?? []).flatMap((f) =>
      f.value
        .split(/[,/ ]/)
        .map(Number)
        .filter((n) => Number.isInteger(n) && n > 0 && n < 65_536)
        .map((value) => ({ value, at: f.at })),
    ),
    memoryMiB: number('memory'),
    bootArgs,
    initrd: first('initrd'),
    kernel: first('kernel'),
    others,
  };
}

const lower = (fact: Fact<{ value: string }> | null): Fact<{ value: string }> | null =>
  fact && { ...fact, value: fact.value.toLowerCase() };
