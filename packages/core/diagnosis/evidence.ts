import type { ConsoleFacts } from '../console/console.ts';
import type { Line, Place } from './text.ts';

/**
 * What the documents say, as facts that carry the line they were read in. Readers fill it, rules ask it; nobody changes it after that.
 * A list that is empty means "not seen in what was given", never "is not there": for that, `shown` says which looks were made.
 */

type At = { at: Line };
export type Fact<T> = T & At;

export type LinkFact = Fact<{
  place: Place;
  name: string;
  flags: readonly string[];
  state: string | null;
  master: string | null;
  kind: 'bridge' | 'tap' | 'other' | 'unknown';
  mac: string | null;
  mtu: number | null;
  isolated: boolean | null;
}>;
export type AddressFact = Fact<{ place: Place; link: string; address: string; prefix: number | null }>;
export type RouteFact = Fact<{ place: Place; to: string; via: string | null; dev: string | null }>;
/** answer of `ip route get` */
export type RouteGetFact = Fact<{ place: Place; to: string; via: string | null; dev: string }>;
export type NeighbourFact = Fact<{
  place: Place;
  address: string;
  dev: string | null;
  mac: string | null;
  state: 'answers' | 'silent' | 'unknown';
}>;
export type ForwardingFact = Fact<{ mac: string; dev: string; bridge: string | null; permanent: boolean }>;

export type ProbeAnswer =
  | 'ok'
  | 'refused'
  /** nobody answers ARP: EHOSTUNREACH */
  | 'no-answer-arp'
  | 'timeout'
  | 'net-unreachable'
  | 'reset'
  | 'no-name'
  | 'too-long'
  | 'unclear';
export type ProbeFact = Fact<{
  kind: 'ping' | 'tcp' | 'http' | 'websocket' | 'rfb' | 'arp' | 'dns';
  place: Place;
  target: string | null;
  port: number | null;
  answer: ProbeAnswer;
  /** HTTP status or close code */
  status: number | null;
  /** replies by MAC, of ARP */
  macs: readonly string[];
}>;

export type ListenFact = Fact<{ place: Place; address: string; port: number; process: string | null }>;
export type FrameFact = Fact<{
  what:
    | 'arp-request'
    | 'arp-reply'
    | 'dhcp-request'
    | 'dhcp-reply'
    | 'echo-request'
    | 'echo-reply'
    | 'syn'
    | 'syn-ack'
    | 'rst'
    | 'icmp-unreachable'
    | 'other';
  sourceMac: string | null;
  destinationMac: string | null;
  from: string | null;
  to: string | null;
  device: string | null;
}>;
export type UnitFact = Fact<{ unit: string; state: 'started' | 'starting' | 'failed' | 'dead' | 'running'; detail: string | null }>;

export type FirewallFact = Fact<
  | { place: Place; is: 'policy'; chain: string; hook: string; policy: string }
  | { place: Place; is: 'rule'; chain: string; hook: string; verdict: 'drop' | 'reject' | 'accept' | 'masquerade' | 'other'; text: string }
>;

export type Asked = {
  /** addresses of the guest, the most trusted first */
  addresses: readonly Fact<{ value: string }>[];
  gateway: Fact<{ value: string }> | null;
  prefix: Fact<{ value: number }> | null;
  mac: Fact<{ value: string }> | null;
  bridge: Fact<{ value: string }> | null;
  tap: Fact<{ value: string }> | null;
  ports: readonly Fact<{ value: number }>[];
  memoryMiB: Fact<{ value: number }> | null;
  bootArgs: Fact<{ value: string }> | null;
  initrd: Fact<{ value: string }> | null;
  kernel: Fact<{ value: string }> | null;
  /** other `key=value` of what was requested */
  others: ReadonlyMap<string, Fact<{ value: string }>>;
};

export type Exit = Fact<{ code: number | null; signal: number | null; afterMs: number | null }>;
export type VmmEvidence = {
  name: 'firecracker' | 'qemu' | 'cloud-hypervisor' | null;
  version: readonly number[] | null;
  alive: Line | null;
  absent: Line | null;
  exit: Exit | null;
};

export type Evidence = {
  lines: readonly Line[];
  /** console lines in their order, whichever document they stood in */
  console: readonly Line[];
  /** what they say; `line` of a fact is the index into `console`, from 1 */
  facts: ConsoleFacts;
  /** lines of an earlier boot stood before: every line may be a process's */
  earlierBoot: boolean;
  /** index in `console` after which any process may have written a line; null: never seen */
  userspaceFrom: number | null;
  /** a console was given and is empty */
  consoleEmpty: boolean;
  /** the console was not given at all */
  consoleGiven: boolean;
  commandLine: { args: readonly string[]; at: Line } | null;
  asked: Asked;
  links: readonly LinkFact[];
  addresses: readonly AddressFact[];
  routes: readonly RouteFact[];
  routeGets: readonly RouteGetFact[];
  neighbours: readonly NeighbourFact[];
  forwarding: readonly ForwardingFact[];
  probes: readonly ProbeFact[];
  listening: readonly ListenFact[];
  frames: readonly FrameFact[];
  units: readonly UnitFact[];
  firewall: readonly FirewallFact[];
  sysctls: ReadonlyMap<string, Fact<{ value: string; place: Place }>>;
  kernelOptions: ReadonlyMap<string, Fact<{ value: 'y' | 'm' | 'n' }>>;
  vmm: VmmEvidence;
  /** which looks were made, whatever they showed: `listening in guest`, `fdb`, `links`, … */
  shown: ReadonlySet<string>;
  unread: readonly Line[];
  /** lines that a reader of commands' output took as facts: they carry no message of a program */
  plain: ReadonlySet<Line>;
};
