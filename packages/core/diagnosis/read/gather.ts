import type {
  AddressFact,
  Exit,
  Fact,
  FirewallFact,
  ForwardingFact,
  FrameFact,
  LinkFact,
  ListenFact,
  NeighbourFact,
  ProbeFact,
  RouteFact,
  RouteGetFact,
  UnitFact,
} from '../evidence.ts';
import type { Line, Place } from '../text.ts';

/** Facts being gathered. `read*` functions add to it and say whether they understood the line. */
export type Gather = {
  links: LinkFact[];
  addresses: AddressFact[];
  routes: RouteFact[];
  routeGets: RouteGetFact[];
  neighbours: NeighbourFact[];
  forwarding: ForwardingFact[];
  probes: ProbeFact[];
  listening: ListenFact[];
  frames: FrameFact[];
  units: UnitFact[];
  firewall: FirewallFact[];
  sysctls: Map<string, Fact<{ value: string; place: Place }>>;
  kernelOptions: Map<string, Fact<{ value: 'y' | 'm' | 'n' }>>;
  asked: Map<string, Fact<{ value: string }>[]>;
  vmm: {
    name: 'firecracker' | 'qemu' | 'cloud-hypervisor' | null;
    version: readonly number[] | null;
    alive: Line | null;
    absent: Line | null;
    exit: Exit | null;
  };
  shown: Set<string>;
};

export function emptyGather(): Gather {
  return {
    links: [],
    addresses: [],
    routes: [],
    routeGets: [],
    neighbours: [],
    forwarding: [],
    probes: [],
    listening: [],
    frames: [],
    units: [],
    firewall: [],
    sysctls: new Map(),
    kernelOptions: new Map(),
    asked: new Map(),
    vmm: { name: null, version: null, alive: null, absent: null, exit: null },
    shown: new Set(),
  };
}

/** At most so many facts of one kind: a paste of a large fleet is not a memory leak. */
const mostFacts = 4_000;
export function add<T>(list: T[], fact: T): void {
  if (list.length < mostFacts) list.push(fact);
}

export function ask(g: Gather, key: string, value: string, at: Line): void {
  const known = g.asked.get(key) ?? [];
  if (known.length < 64) known.push({ value, at });
  g.asked.set(key, known);
}
