import type { BootId } from '@linstock/contract';
import { bridgeName, reachOfPort, type ConsoleFacts, type GuestFacts, type Sight, type Vm, type Wiring } from '@linstock/core';
import type { AgentLine } from './agent-lines.ts';
import type { GuestChannel } from './guest/channel.ts';
import type { GuestFacts as AgentFacts } from './guest/facts.ts';
import { lookArp } from './probe/arp.ts';
import { lookPing } from './probe/ping.ts';
import { probePort } from './probe/port.ts';
import { lookRoute } from './probe/route.ts';
import type { Vmm } from './vmm/vmm.ts';

/** All looks together, `ms`: beyond three ARP tries (3.1 s) an answer would say nothing new. */
const lookMs = 4_000;

export type SightOrder = {
  vm: Vm;
  boot: BootId;
  /** whether its VMM lives, by the look just made */
  alive: boolean;
  wiring: Wiring;
  mark: string;
  vmm: Vmm;
  /** of the VMM when the boot was launched; null = not recorded */
  expectedVersion: string | null;
  folder: string;
  console: ConsoleFacts;
  agent: AgentLine;
  /** where a guest with egress should get a connection, `host:port`; null = nobody said, so it is not asked */
  egressProbe: { host: string; port: number } | null;
  now(): number;
};

/**
 * Looks at everything a proof may rest on, at once and each by itself: a look that fails hides only itself.
 * Host-side probes need a network that the host can see; with a user-mode one they were not made.
 */
export async function gatherSight(o: SightOrder): Promise<Sight> {
  const { wiring, vm } = o;
  const { network, ports } = vm.settings;
  const opts = { signal: AbortSignal.timeout(lookMs), deadlineMs: lookMs };
  // a stub has nobody who could answer: what is not asked is unknown, which is the truth
  const seen = network.kind === 'bridge' && o.vmm.name !== 'stub';
  const device = bridgeName(o.mark, network.index);
  const channel = o.agent.is === 'open' ? o.agent.channel : null;
  const [asked, agent, guestPing, egress, arp, ping, route, portSights] = await Promise.all([
    o.vmm.ask(o.boot, o.folder),
    lookAgent(o.agent, o.now),
    channel ? pingGateway(channel, wiring.gateway) : null,
    channel && o.egressProbe ? reachOut(channel, o.egressProbe) : null,
    seen ? lookArp({ address: wiring.address, device }, opts) : null,
    seen ? lookPing({ address: wiring.address }, opts) : null,
    seen ? lookRoute({ address: wiring.address }, opts) : null,
    Promise.all(
      (o.vmm.name === 'stub' ? [] : ports).map((p) =>
        probePort({ ...reachOfPort(wiring, p.port), port: p.port, level: p.level, path: p.path }, opts),
      ),
    ),
  ]);
  return {
    at: o.now(),
    vmm: { alive: o.alive, version: asked?.version ?? null, expectedVersion: o.expectedVersion, pid: asked?.pid ?? null, cgroup: null },
    console: o.console,
    agent,
    arp,
    ping,
    route,
    guestPing,
    egress,
    ports: portSights,
  };
}

async function lookAgent(line: AgentLine, now: () => number): Promise<Sight['agent']> {
  if (line.is === 'absent') return line;
  const began = now();
  const answer = await line.channel.request('facts', {}, { deadlineMs: lookMs });
  const at = now();
  if (answer.is === 'ok') return { is: 'answers', at, ms: at - began, facts: coreFacts(answer.value) };
  // it answered the handshake: slow is not silent, and a timeout is never a cause
  if (answer.is === 'late') return { is: 'absent', why: `it is there, and did not tell its facts within ${answer.afterMs} ms` };
  const why = 'message' in answer ? answer.message : 'why' in answer ? answer.why : answer.is;
  return { is: 'absent', why: `it did not tell its facts: ${why}` };
}

async function pingGateway(channel: GuestChannel, gateway: string): Promise<Sight['guestPing']> {
  const answer = await channel.request('icmp.ping', { address: gateway, timeoutMs: 1_500 }, { deadlineMs: lookMs });
  if (answer.is !== 'ok') return null;
  const { outcome, ms, detail } = answer.value;
  return { is: outcome === 'timeout' ? 'silent' : outcome, text: detail ?? `${outcome} after ${ms} ms` };
}

async function reachOut(channel: GuestChannel, to: { host: string; port: number }): Promise<NonNullable<Sight['egress']> | null> {
  const answer = await channel.request('tcp.connect', { ...to, timeoutMs: 2_500 }, { deadlineMs: lookMs });
  if (answer.is !== 'ok') return null;
  const { outcome, ms, detail } = answer.value;
  const text = detail ?? `${to.host}:${to.port}: ${outcome} after ${ms} ms`;
  switch (outcome) {
    case 'connected':
      return { is: 'answered', text };
    case 'refused':
    case 'unreachable':
      return { is: outcome, text };
    case 'timeout':
      return { is: 'silent', text };
    case 'dns-failed':
      return { is: 'unreachable', text: `the name ${to.host} was not resolved: ${text}` };
    case 'failed':
      return null;
  }
}

/** The agent's words in the shape that core judges. A part that the guest did not tell is null: unknown. */
function coreFacts(facts: AgentFacts): GuestFacts {
  const { kernel, memory, links, addresses, routes, listening, rootMount, init } = facts;
  return {
    cmdline: facts.cmdline ?? null,
    kernel: kernel ? { release: kernel.release, version: kernel.banner } : null,
    memoryKiB: memory ? { total: memory.totalKiB, available: memory.availableKiB } : null,
    cpus: facts.cpusOnline ?? null,
    uptimeMs: facts.uptimeMs ?? null,
    links: links?.map((l) => ({ name: l.name, mac: l.mac, state: l.operstate, mtu: l.mtu })) ?? null,
    addresses: addresses?.map((a) => ({ link: a.link, address: a.address, prefix: a.prefixLen })) ?? null,
    routes: routes?.map((r) => ({ destination: r.destination, gateway: r.gateway ?? null, link: r.link ?? '' })) ?? null,
    listening: listening?.map((l) => ({ address: l.address, port: l.port, process: l.process ?? null })) ?? null,
    resolvers: facts.resolvers ?? null,
    root: rootMount ? { device: rootMount.device, fstype: rootMount.fsType, options: rootMount.options } : null,
    init: init
      ? {
          name: init.pid1,
          state: init.systemState ?? null,
          failedUnits: init.failedUnits,
          networkManagers: init.networkManagers.filter((m) => m.running || m.enabled).map((m) => m.name),
        }
      : null,
    clockUnixMs: facts.clock?.unixMs ?? null,
    randomSeeded: facts.random?.seeded ?? null,
  };
}
