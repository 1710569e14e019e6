import type {
  BootId,
  BootView,
  BuildResult,
  BuildView,
  Case,
  CaseView,
  Fault,
  GoldenDeed,
  GoldenState,
  GoldenTag,
  HostFacts,
  HostId,
  Id,
  IdKind,
  Instant,
  LinstockEvent,
  Network,
  Operation,
  OperationId,
  VmId,
} from '@linstock/contract';
import type { BootNews, CaseChange } from './cases.ts';
import type { GoldenRecord } from './golden.ts';
import type { Change, Seen, Step, StepOutcome, Vm, Wish } from './vm.ts';

/** Proof of the right to act: a step with an older fence than the host has seen is refused. */
export type Ticket = { fence: number; signal: AbortSignal };

/** One machine that can carry VMs. Local, remote and simulated hosts are implementations of this. */
export interface Host {
  readonly id: HostId;
  /** Look only. Never throws because something is missing. */
  observe(vm: Vm): Promise<Seen>;
  /** Make one step true. Safe to repeat, safe to abandon half way, safe to repeat after that. */
  perform(step: Step, vm: Vm, ticket: Ticket): Promise<StepOutcome>;
  /** Everything here that bears our mark, known or not: the input of the reclaim pass. */
  inventory(): Promise<readonly Marked[]>;
  /**
   * Remove one marked thing that no record claims; false when it is claimed after all. `unclaimed` is asked in the same
   * queue in which the thing would be made, so that a claim that came meanwhile keeps it.
   */
  remove(marked: Marked, unclaimed: () => Promise<boolean>): Promise<boolean>;
  /** Wake-up hints. May be late, doubled or lost; correctness never rests on them. */
  hints(signal: AbortSignal): AsyncIterable<VmId>;
}

/** Something on the host that bears our mark. `owner` is the id that its name parses back to. */
export type Marked = { kind: 'vmm' | 'netns' | 'link' | 'disk' | 'evidence'; name: string; owner: string };

/** Where fresh ids come from; clock and randomness behind it are injected. */
export interface Ids {
  next<Kind extends IdKind>(kind: Kind, now: Instant): Id<Kind>;
}

export type Lease = { vm: Vm; fence: number; wakeSeq: number; until: Instant };

/** What the store keeps of a boot; the daemon adds what only the host knows to make a BootView of it. */
export type BootRecord = Omit<
  BootView,
  'consoleBytes' | 'effectiveArgs' | 'timeline' | 'address' | 'mac' | 'requestedArgs' | 'addedArgs' | 'vmmVersion'
> & {
  milestones: readonly { what: string; at: Instant }[];
  /** index of the network, for the names of the slot */
  networkIndex: number;
};

/** What only the host knows of a boot. */
export type BootDetails = {
  requestedArgs: readonly string[];
  addedArgs: readonly string[];
  vmmVersion: string | null;
  effectiveArgs: string | null;
  address: string;
  mac: string;
  consoleBytes: number;
  /** what the console showed, with host times */
  reached: readonly { what: string; at: Instant }[];
};

/** A program to run in a guest. */
export type ExecOrder = { argv: readonly string[]; timeoutMs: number; cwd?: string | undefined; env?: Record<string, string> | undefined };

/** `began`: the step that has just begun, null when it goes on. */
export type BuildProgress = Pick<BuildView, 'tries' | 'steps' | 'far'> & { began: string | null };
export type BuildEnd = { is: 'done'; result: BuildResult } | { is: 'failed'; fault: Fault };

export type HistoryEntry = { at: Instant; phase: string; decision: string; outcome: string; ms: number };

export interface Store {
  /** One transaction. `work` may be run again on a conflict, so it must not touch the world. */
  write<T>(why: string, work: (tx: Tx) => Promise<T>): Promise<T>;
  read<T>(work: (tx: Reader) => Promise<T>): Promise<T>;

  /** Rent due VMs: each one to a single worker, each rent with a higher fence. */
  rent(worker: string, now: Instant, limit: number): Promise<readonly Lease[]>;
  /** Record progress; null when the lease was lost meanwhile, and then nothing is written. The VM stays due at once. */
  commit(lease: Lease, change: Change, now: Instant, history: HistoryEntry): Promise<Lease | null>;
  /** Sleep until then (null: until woken), unless someone woke the VM after it was rented. Gives the lease back. */
  nap(lease: Lease, until: Instant | null, now: Instant): Promise<void>;
  /** Retry later with back-off; keeps the fault so that people can read it while we retry. Gives the lease back. */
  stumble(lease: Lease, fault: Fault, now: Instant): Promise<void>;
  /** Keep the lease a little longer while a step runs; false when it was lost. */
  renew(lease: Lease, now: Instant): Promise<boolean>;
  /**
   * For an opener who knows that no other worker lives (it holds the lock of the folder): ends every rent, since a crash must not cost the rest
   * of them; wakes every VM; and gives each that is on its way up a minute from now, since nobody looked while there was no controller.
   */
  takeOver(now: Instant): Promise<void>;
  /** Wake one VM, or all that are not gone. */
  wake(vm: VmId | 'all', now: Instant): Promise<void>;
  /**
   * Forgets boots that started and ended before then, but for the newest of a VM that is still there; and VMs gone before
   * then of which no boot is left, with their operations and history; and builds that ended, and cases that
   * were closed, before then.
   */
  forget(before: Instant): Promise<void>;
  /** The earliest moment at which something will be due; null when nothing sleeps with a time. */
  nextDue(): Promise<Instant | null>;
  /** Resolves when something may be due sooner than it was: after wishes and wakes. A hint. */
  onWake(listener: () => void): () => void;
  /** Called after each committed write that made events; a hint, the events are in the table. */
  onEvents(listener: () => void): () => void;
  close(): Promise<void>;
}

export interface Reader {
  vm(id: VmId): Promise<Vm | undefined>;
  /** VMs that are not gone, and those gone at or after `goneAfter` when it is given: oldest first, paged by `after`. */
  vms(where?: { goneAfter?: Instant; after?: VmId; limit?: number }): Promise<readonly Vm[]>;
  /** The one of that name; when it is gone, all that had the name and are gone, newest first. */
  vmsNamed(name: string): Promise<readonly Vm[]>;
  boot(id: string): Promise<BootRecord | undefined>;
  /** Newest first. */
  boots(where?: { vm?: VmId; limit?: number }): Promise<readonly BootRecord[]>;
  /** Every VM that is not gone, with its claim: the owners of what is on the host. Never cut short. */
  owners(): Promise<readonly { vm: VmId; claim: { networkIndex: number; slot: number } | null }[]>;
  /** Of all boots that are not forgotten. */
  bootIds(): Promise<readonly BootId[]>;
  network(name: string): Promise<Network | undefined>;
  networks(): Promise<readonly Network[]>;
  leases(networkIndex: number): Promise<readonly { slot: number; vm: VmId; boot: string }[]>;
  operation(id: string): Promise<Operation | undefined>;
  /** The operation that now moves a VM. */
  operationOf(vm: VmId): Promise<Operation | undefined>;
  /** Newest first. */
  builds(where?: { running?: true; limit?: number }): Promise<readonly BuildView[]>;
  build(id: string): Promise<BuildView | undefined>;
  /** What is known of golden image versions; a version without a record is a draft. */
  goldenRecords(where?: { state: GoldenState }): Promise<readonly GoldenRecord[]>;
  goldenTags(): Promise<readonly GoldenTag[]>;
  /** Newest first. */
  goldenDeeds(golden: string, limit: number): Promise<readonly GoldenDeed[]>;
  /** Without their diagnoses: oldest first, paged by `after`. */
  cases(where?: { state?: 'open' | 'closed'; vm?: VmId; after?: string; limit?: number }): Promise<readonly CaseView[]>;
  case(id: string): Promise<Case | undefined>;
  /** How many are open, by code. */
  openCases(): Promise<Readonly<Record<string, number>>>;
  /** How many boots are kept, by why they ended; `under-way` for those that did not. */
  bootEnds(): Promise<Readonly<Record<string, number>>>;
  /** Boots of which something was learned that the cases have not heard of; oldest first. */
  bootNews(limit: number): Promise<readonly BootNews[]>;
  events(where: { after: number; limit: number; subject?: string }): Promise<readonly LinstockEvent[]>;
  /** `newest` is the last number given (0: none yet), `oldest` the first that is still there (newest + 1: none). */
  eventBounds(): Promise<{ oldest: number; newest: number }>;
  /** Newest first. */
  history(vm: VmId, limit: number): Promise<readonly HistoryEntry[]>;
  hostFacts(id: HostId): Promise<HostFacts | undefined>;
  /** A stored answer for an idempotency key, with the hash of the body it belongs to. */
  answer(scope: string, now: Instant): Promise<{ bodyHash: string; status: number; body: unknown } | undefined>;
}

export interface Tx extends Reader {
  /** A new VM with its first wish; opens the operation and wakes the program. */
  addVm(vm: Vm, operation: Operation): Promise<void>;
  /** Sets the wish, replaces the open operation with this one, wakes the program: one statement of intent. */
  wish(id: VmId, wish: Wish, options: { by: string; operation: OperationId; kind: string; now: Instant; reprove?: true }): Promise<Vm>;
  addNetwork(network: Network): Promise<void>;
  /** For a network on which nothing was made yet. */
  changeNetwork(network: Network): Promise<void>;
  /** A build that somebody asked for, with its operation. */
  addBuild(build: BuildView): Promise<void>;
  keepBuild(id: string, progress: BuildProgress, now: Instant): Promise<void>;
  /** The wish that it end. */
  cancelBuild(id: string, by: string, now: Instant): Promise<void>;
  endBuild(id: string, end: BuildEnd, now: Instant): Promise<void>;
  /** Writes what is known of a version, and what happened to it. */
  keepGolden(record: GoldenRecord, deed: GoldenDeed): Promise<void>;
  /** Moves a tag, or makes it. `golden-tag-moved` when it is not at `ifRevision` any more (0: it must not be there). */
  moveTag(move: { golden: string; tag: string; ifRevision: number | undefined }, deed: GoldenDeed): Promise<GoldenTag>;
  /** Writes a case that was opened, seen again or closed. */
  keepCase(change: CaseChange, now: Instant): Promise<void>;
  /** Closes every open case of a VM, because this boot of it was proved. */
  closeCases(vm: VmId, boot: string, now: Instant): Promise<void>;
  /** The cases have heard of it. */
  tellNews(news: BootNews): Promise<void>;
  keepHostFacts(id: HostId, facts: HostFacts): Promise<void>;
  /** Keeps it for a day from now. */
  keepAnswer(scope: string, answer: { bodyHash: string; status: number; body: unknown }, now: Instant): Promise<void>;
  emit(type: string, subject: string, data: Record<string, unknown>, now: Instant): Promise<void>;
}
