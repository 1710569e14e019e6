import type { Instant, PortLevel } from '@linstock/contract';
import type { ConsoleFacts } from '../console/console.ts';

/**
 * Everything that is looked at to judge one boot: taken once, then immutable.
 * `null` means that it was not or could not be looked at: that is *unknown*, never "no".
 */
export type Sight = {
  at: Instant;
  vmm: {
    alive: boolean;
    /** what its own API answered as version; null when it does not answer */
    version: string | null;
    /** the version that the host knows for this binary; null when never asked */
    expectedVersion: string | null;
    pid: number | null;
    cgroup: string | null;
  };
  console: ConsoleFacts;
  /** `absent`: there is no channel or nobody asked; `silent`: it was asked and did not answer in its time; `at`: host's clock when the answer was there, `ms` after the question */
  agent: { is: 'absent'; why: string } | { is: 'silent'; why: string } | { is: 'answers'; at: Instant; ms: number; facts: GuestFacts };
  arp: { is: 'answered'; macs: readonly string[]; text: string } | { is: 'silent'; text: string } | null;
  ping: { is: 'answered'; ms: number; text: string } | { is: 'silent'; text: string } | null;
  /** by which device the host would send to the guest */
  route: { device: string; text: string } | null;
  /** the guest pinging its gateway, through the agent */
  guestPing: { is: 'answered' | 'silent' | 'unreachable'; text: string } | null;
  /** the guest reaching beyond the host, through the agent; absent or null when it was not tried */
  egress?: { is: 'answered' | 'silent' | 'refused' | 'unreachable'; text: string } | null;
  ports: readonly PortSight[];
};

/** Each answer of a probe keeps its own meaning (the lexicon is in docs/proof.md). */
export type PortSight = {
  port: number;
  /** how far it got, level by level; the first that is not ok ends the chain */
  steps: readonly { level: PortLevel; ok: boolean; answer: PortAnswer; text: string }[];
};
export type PortAnswer = 'open' | 'refused' | 'timeout' | 'unreachable' | 'reset' | 'status' | 'upgraded' | 'banner' | 'garbage' | 'closed';

/** What the guest agent tells. The guest is hostile: this is its word, not a fact about it. */
export type GuestFacts = {
  cmdline: string | null;
  kernel: { release: string; version: string } | null;
  memoryKiB: { total: number; available: number } | null;
  cpus: number | null;
  uptimeMs: number | null;
  links: readonly { name: string; mac: string; state: string; mtu: number }[] | null;
  addresses: readonly { link: string; address: string; prefix: number }[] | null;
  routes: readonly { destination: string; gateway: string | null; link: string }[] | null;
  listening: readonly { address: string; port: number; process: string | null }[] | null;
  resolvers: readonly string[] | null;
  root: { device: string; fstype: string; options: string } | null;
  init: { name: string; state: string | null; failedUnits: readonly string[]; networkManagers: readonly string[] } | null;
  clockUnixMs: number | null;
  randomSeeded: boolean | null;
};
