/**
 * Rows as both databases hand them over, and the two-way mapping to the types of core.
 * Both dialects hold text, integers and reals only: a flag is 0 or 1, JSON is text. One codec serves both.
 */
import {
  FaultError,
  type BootId,
  type Case,
  type CaseView,
  type Diagnosis,
  type Layer,
  type Fault,
  type GoldenDeed,
  type GoldenManifest,
  type GoldenState,
  type GoldenTag,
  type HostFacts,
  type LinstockEvent,
  type Network,
  type Operation,
  type Proof,
  type Verdict,
  type VmId,
} from '@linstock/contract';
import type { BootRecord, GoldenRecord, HistoryEntry, Phase, Vm, VmSettings, Wish } from '@linstock/core';

export type VmRow = {
  id: string;
  name: string;
  /** digest of the golden manifest, which is kept once for all VMs of it */
  golden: string;
  /** settings without the manifest, JSON */
  settings: string;
  wish: string;
  wish_no: number;
  wish_by: string;
  phase: string;
  claim_boot: string | null;
  claim_slot: number | null;
  claim_host_boot: string | null;
  verified: string | null;
  reprove: number;
  paused: number;
  deadline: number | null;
  stumble: string | null;
  fault: string | null;
  created_at: number;
  gone_at: number | null;
  version: number;
  /** when the program should look at it; null: not before it is woken */
  due: number | null;
  /** counts wakes, so that a nap can tell whether one came meanwhile */
  wake_seq: number;
  rented_by: string | null;
  rent_until: number | null;
  /** counts rents; never goes back */
  fence: number;
  /** stumbles in a row */
  tries: number;
  /** counts history entries */
  turns: number;
};

export type BootRow = {
  id: string;
  vm: string;
  vm_name: string;
  kind: string;
  started_at: number;
  ended_at: number | null;
  end_reason: string | null;
  end_actor: string | null;
  end_exit: string | null;
  golden_name: string;
  golden_version: number;
  golden_digest: string;
  vmm: string;
  accelerator: string;
  network_index: number;
  slot: number;
  /** one JSON object per line, so that appending needs no reading */
  milestones: string;
  proof: string | null;
  fault: string | null;
  /** counts what was learned of it */
  news: number;
  /** up to where cases know */
  news_told: number;
};

export type CaseRow = {
  id: string;
  vm: string;
  vm_name: string;
  code: string;
  title: string;
  layer: string;
  confidence: string;
  guest_word: number;
  boots: number;
  opened_at: number;
  seen_at: number;
  first_boot: string;
  boot: string;
  closed_at: number | null;
  closed_why: string | null;
  closed_boot: string | null;
  /** JSON, by the evidence of `boot` */
  diagnosis: string;
};

export type NetworkRow = {
  id: string;
  idx: number;
  name: string;
  kind: string;
  subnet: string;
  gateway: string;
  bridge: string | null;
  egress: number;
  isolated: number;
};

export type OperationRow = {
  id: string;
  kind: string;
  subject: string;
  by_whom: string;
  /** the wish that this operation stands for */
  wish_no: number;
  state: string;
  opened_at: number;
  ended_at: number | null;
  fault: string | null;
};

export type BuildRow = {
  operation: string;
  work: string;
  steps: string;
  far: string | null;
  tries: number;
  cancel_by: string | null;
  result: string | null;
};

export type GoldenVersionRow = {
  name: string;
  version: number;
  digest: string;
  state: string;
  vm: string | null;
  boot: string | null;
  why: string | null;
};
export type GoldenTagRow = { golden: string; tag: string; version: number; revision: number; moved_at: number; moved_by: string };
export type GoldenDeedRow = {
  golden: string;
  n: number;
  at: number;
  by_whom: string;
  what: string;
  version: number;
  tag: string | null;
  from_version: number | null;
  boot: string | null;
  reason: string | null;
};

export type EventRow = { seq: number; id: string; source: string; type: string; subject: string; time: number; data: string };
export type HistoryRow = { vm: string; n: number; at: number; phase: string; decision: string; outcome: string; ms: number };

export type Tables = {
  meta: { name: string; value: number };
  goldens: { digest: string; manifest: string };
  golden_versions: GoldenVersionRow;
  golden_tags: GoldenTagRow;
  golden_deeds: GoldenDeedRow;
  vms: VmRow;
  boots: BootRow;
  cases: CaseRow;
  leases: { network_index: number; slot: number; vm: string; boot: string };
  networks: NetworkRow;
  operations: OperationRow;
  builds: BuildRow;
  events: EventRow;
  history: HistoryRow;
  host_facts: { id: string; facts: string; probed_at: number };
  answers: { scope: string; body_hash: string; status: number; body: string; expires_at: number };
};

/** Where a value stands, for the sentence when it cannot be read. */
type Place = { table: string; row: string | number };

function unreadable(place: Place, column: string, why: string): FaultError {
  return new FaultError('database-corrupt', { path: `table ${place.table}`, hint: `row ${place.row}, column ${column}: ${why}` });
}

/** The one seam where stored text becomes a typed value: what is there was written by `toJson` below. */
export function fromJson<T>(place: Place, column: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw unreadable(place, column, error instanceof Error ? error.message : 'not JSON');
  }
}
export const fromJsonOrNull = <T>(place: Place, column: string, text: string | null): T | null =>
  text === null ? null : fromJson<T>(place, column, text);
export const toJson = (value: unknown): string => JSON.stringify(value);
export const toJsonOrNull = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
const flag = (value: boolean): number => (value ? 1 : 0);

/** A word of a closed set; the record makes the compiler list each of them. */
function wordOf<T extends string>(words: Record<T, true>, place: Place, column: string, text: string): T {
  if (Object.hasOwn(words, text)) return text as T;
  throw unreadable(place, column, `'${text}' is none of ${Object.keys(words).join(', ')}`);
}

const wishes: Record<Wish, true> = { running: true, paused: true, stopped: true, absent: true };
const phases: Record<Phase, true> = {
  new: true,
  rooting: true,
  idle: true,
  wiring: true,
  launching: true,
  booting: true,
  proving: true,
  up: true,
  asking: true,
  autopsy: true,
  killing: true,
  unwiring: true,
  unrooting: true,
  gone: true,
};
const verdicts: Record<Verdict, true> = { proved: true, refuted: true, unknown: true };
const bootKinds: Record<BootRecord['kind'], true> = { cold: true, restored: true };
const operationStates: Record<Operation['state'], true> = { running: true, succeeded: true, failed: true, replaced: true };
const goldenStates: Record<GoldenState, true> = { draft: true, verifying: true, active: true, failed: true, deleted: true };
const goldenDeeds: Record<GoldenDeed['what'], true> = {
  verify: true,
  verified: true,
  failed: true,
  promote: true,
  rollback: true,
  delete: true,
};
const layers: Record<Layer, true> = {
  boot: true,
  kernel: true,
  image: true,
  'guest.net': true,
  host: true,
  'host.net': true,
  'host.kvm': true,
  'host.disk': true,
  vmm: true,
  service: true,
  snapshot: true,
  control: true,
  security: true,
  unknown: true,
};
const confidences: Record<CaseView['confidence'], true> = { proved: true, likely: true, possible: true };
const closings: Record<NonNullable<CaseView['closed']>['why'], true> = { verified: true, deleted: true };
const networkKinds: Record<Network['kind'], true> = { bridge: true, user: true };

export function vmIdOf(text: string): VmId {
  if (!text.startsWith('vm_')) throw new Error(`not the id of a VM: ${text}`);
  return text as VmId;
}
function bootIdOf(place: Place, text: string): BootId {
  if (!text.startsWith('boot_')) throw unreadable(place, 'boot', `'${text}' is not the id of a boot`);
  return text as BootId;
}

/** A record without the manifest, which the caller has from the shelf of goldens. */
export function vmOf(row: VmRow, golden: GoldenManifest): Vm {
  const place = { table: 'vms', row: row.id };
  const claim =
    row.claim_boot === null || row.claim_slot === null || row.claim_host_boot === null
      ? null
      : { id: bootIdOf(place, row.claim_boot), slot: row.claim_slot, hostBoot: row.claim_host_boot };
  return {
    id: vmIdOf(row.id),
    name: row.name,
    // rows older than the settings about VMMs had no say in them
    settings: {
      golden,
      vmmVersion: null,
      firecracker: null,
      ...fromJson<Omit<VmSettings, 'golden' | 'vmmVersion' | 'firecracker'>>(place, 'settings', row.settings),
    },
    wish: wordOf(wishes, place, 'wish', row.wish),
    wishNo: row.wish_no,
    wishBy: row.wish_by,
    phase: wordOf(phases, place, 'phase', row.phase),
    claim,
    verified: row.verified === null ? null : wordOf(verdicts, place, 'verified', row.verified),
    reprove: row.reprove === 1,
    paused: row.paused === 1,
    deadline: row.deadline,
    stumble: fromJsonOrNull<Fault>(place, 'stumble', row.stumble),
    fault: fromJsonOrNull<Fault>(place, 'fault', row.fault),
    createdAt: row.created_at,
    version: row.version,
  };
}

export type VmMade = Pick<VmRow, 'id' | 'name' | 'golden' | 'settings' | 'created_at'>;

/** What never changes of a VM. */
export function vmMade(vm: Vm): VmMade {
  const { golden, ...settings } = vm.settings;
  return { id: vm.id, name: vm.name, golden: golden.digest, settings: toJson(settings), created_at: vm.createdAt };
}

export type VmMoved = Omit<VmRow, keyof VmMade | 'gone_at' | 'due' | 'wake_seq' | 'rented_by' | 'rent_until' | 'fence' | 'tries' | 'turns'>;

/** What wishes and progress change of a VM. */
export function vmMoved(vm: Vm): VmMoved {
  return {
    wish: vm.wish,
    wish_no: vm.wishNo,
    wish_by: vm.wishBy,
    phase: vm.phase,
    claim_boot: vm.claim?.id ?? null,
    claim_slot: vm.claim?.slot ?? null,
    claim_host_boot: vm.claim?.hostBoot ?? null,
    verified: vm.verified,
    reprove: flag(vm.reprove),
    paused: flag(vm.paused),
    deadline: vm.deadline,
    stumble: toJsonOrNull(vm.stumble),
    fault: toJsonOrNull(vm.fault),
    version: vm.version,
  };
}

export type StoredMilestone = { what: string; at: number };
export const milestoneLine = (milestone: StoredMilestone): string => `${toJson(milestone)}\n`;

export function bootOf(row: BootRow): BootRecord {
  const place = { table: 'boots', row: row.id };
  return {
    id: row.id,
    vm: row.vm,
    vmName: row.vm_name,
    kind: wordOf(bootKinds, place, 'kind', row.kind),
    startedAt: row.started_at,
    endedAt: row.ended_at,
    end: row.end_reason === null ? null : { reason: row.end_reason, actor: row.end_actor ?? '', exit: row.end_exit },
    golden: { name: row.golden_name, version: row.golden_version, digest: row.golden_digest },
    vmm: row.vmm,
    accelerator: row.accelerator,
    networkIndex: row.network_index,
    slot: row.slot,
    milestones: row.milestones
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => fromJson<StoredMilestone>(place, 'milestones', line)),
    proof: fromJsonOrNull<Proof>(place, 'proof', row.proof),
    fault: fromJsonOrNull<Fault>(place, 'fault', row.fault),
  };
}

export const caseColumns = [
  'id',
  'vm',
  'vm_name',
  'code',
  'title',
  'layer',
  'confidence',
  'guest_word',
  'boots',
  'opened_at',
  'seen_at',
  'first_boot',
  'boot',
  'closed_at',
  'closed_why',
  'closed_boot',
] as const satisfies readonly (keyof CaseRow)[];

/** A case without its diagnosis, which only who asks for one case needs. */
export function caseViewOf(row: Omit<CaseRow, 'diagnosis'>): CaseView {
  const place = { table: 'cases', row: row.id };
  return {
    id: row.id,
    code: row.code,
    title: row.title,
    layer: wordOf(layers, place, 'layer', row.layer),
    confidence: wordOf(confidences, place, 'confidence', row.confidence),
    guestWord: row.guest_word === 1,
    vm: row.vm,
    vmName: row.vm_name,
    state: row.closed_at === null ? 'open' : 'closed',
    boots: row.boots,
    openedAt: row.opened_at,
    seenAt: row.seen_at,
    firstBoot: row.first_boot,
    boot: row.boot,
    closedAt: row.closed_at,
    closed: row.closed_why === null ? null : { why: wordOf(closings, place, 'closed_why', row.closed_why), boot: row.closed_boot },
  };
}

export function caseOf(row: CaseRow): Case {
  return { ...caseViewOf(row), diagnosis: fromJson<Diagnosis>({ table: 'cases', row: row.id }, 'diagnosis', row.diagnosis) };
}

export function caseRow(one: Case): CaseRow {
  return {
    id: one.id,
    vm: one.vm,
    vm_name: one.vmName,
    code: one.code,
    title: one.title,
    layer: one.layer,
    confidence: one.confidence,
    guest_word: flag(one.guestWord),
    boots: one.boots,
    opened_at: one.openedAt,
    seen_at: one.seenAt,
    first_boot: one.firstBoot,
    boot: one.boot,
    closed_at: one.closedAt,
    closed_why: one.closed?.why ?? null,
    closed_boot: one.closed?.boot ?? null,
    diagnosis: toJson(one.diagnosis),
  };
}

export function goldenRecordOf(row: GoldenVersionRow): GoldenRecord {
  const place = { table: 'golden_versions', row: `${row.name}@${row.version}` };
  return {
    name: row.name,
    version: row.version,
    digest: row.digest,
    state: wordOf(goldenStates, place, 'state', row.state),
    vm: row.vm === null ? null : vmIdOf(row.vm),
    boot: row.boot === null ? null : bootIdOf(place, row.boot),
    why: row.why,
  };
}

export function goldenTagOf(row: GoldenTagRow): GoldenTag {
  const { golden, tag, version, revision, moved_at: movedAt, moved_by: movedBy } = row;
  return { golden, tag, version, revision, movedAt, movedBy };
}

export function goldenDeedOf(row: GoldenDeedRow): GoldenDeed {
  return {
    at: row.at,
    by: row.by_whom,
    what: wordOf(goldenDeeds, { table: 'golden_deeds', row: `${row.golden} ${row.n}` }, 'what', row.what),
    version: row.version,
    tag: row.tag,
    from: row.from_version,
    boot: row.boot,
    reason: row.reason,
  };
}

export function goldenDeedRow(golden: string, n: number, deed: GoldenDeed): GoldenDeedRow {
  const { at, by: by_whom, what, version, tag, from: from_version, boot, reason } = deed;
  return { golden, n, at, by_whom, what, version, tag, from_version, boot, reason };
}

export function networkOf(row: NetworkRow): Network {
  return {
    id: row.id,
    index: row.idx,
    name: row.name,
    kind: wordOf(networkKinds, { table: 'networks', row: row.id }, 'kind', row.kind),
    subnet: row.subnet,
    gateway: row.gateway,
    bridge: row.bridge,
    egress: row.egress === 1,
    isolated: row.isolated === 1,
  };
}

export function networkRow(network: Network): NetworkRow {
  return {
    id: network.id,
    idx: network.index,
    name: network.name,
    kind: network.kind,
    subnet: network.subnet,
    gateway: network.gateway,
    bridge: network.bridge,
    egress: flag(network.egress),
    isolated: flag(network.isolated),
  };
}

export function operationOf(row: OperationRow): Operation {
  const place = { table: 'operations', row: row.id };
  return {
    id: row.id,
    kind: row.kind,
    subject: row.subject,
    by: row.by_whom,
    state: wordOf(operationStates, place, 'state', row.state),
    openedAt: row.opened_at,
    endedAt: row.ended_at,
    fault: fromJsonOrNull<Fault>(place, 'fault', row.fault),
  };
}

export function operationRow(operation: Operation, wishNo: number): OperationRow {
  return {
    id: operation.id,
    kind: operation.kind,
    subject: operation.subject,
    by_whom: operation.by,
    wish_no: wishNo,
    state: operation.state,
    opened_at: operation.openedAt,
    ended_at: operation.endedAt,
    fault: toJsonOrNull(operation.fault),
  };
}

export function eventOf(row: EventRow): LinstockEvent {
  return { ...row, data: fromJson<Record<string, unknown>>({ table: 'events', row: row.seq }, 'data', row.data) };
}

export function historyOf(row: HistoryRow): HistoryEntry {
  return { at: row.at, phase: row.phase, decision: row.decision, outcome: row.outcome, ms: row.ms };
}

export function hostFactsOf(row: { id: string; facts: string }): HostFacts {
  return fromJson<HostFacts>({ table: 'host_facts', row: row.id }, 'facts', row.facts);
}
