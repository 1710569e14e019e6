import {
  sentenceOf,
  type BootId,
  type Fault,
  type FaultCode,
  type FirecrackerSettings,
  type Goal,
  type GoldenManifest,
  type Instant,
  type Network,
  type PromisedPort,
  type Proof,
  type Verdict,
  type VmAction,
  type VmId,
  type VmState,
} from '@linstock/contract';

/**
 * The life of a VM: what was asked for (wish), how far it is (phase), what is really there (sight),
 * and the one pure function that compares them and names one next step.
 *
 *   new ─ rooting ─ idle ─ wiring ─ launching ─ booting ─ proving ─ up ─ asking
 *                    │        └────────┴──────────┴────────┴───────┴──────┤
 *                    │                                 (with a fault) autopsy
 *                    │◄─────────── unwiring ◄────────────────────────── killing
 *                    └─ unrooting ─ gone
 *
 * One way up, one way down. Every failure on the way up takes the way down and leaves a fault;
 * there is no second clean-up path. What failed is looked at (autopsy) before anything of it ends.
 */

/** What somebody asked for. Written by the API, read by the program, never the other way round. */
export type Wish = 'running' | 'paused' | 'stopped' | 'absent';

/** What has been done so far. Stored; renaming one needs a migration. */
export type Phase =
  | 'new' // nothing on the host yet
  | 'rooting' // private disk being made
  | 'idle' // disk only: this is "stopped", and "failed" when a fault is set
  | 'wiring' // boot and claims are in the store; network being made
  | 'launching' // network is there; VMM being started
  | 'booting' // VMM seen; guest not yet
  | 'proving' // guest answered; its conditions are being looked at
  | 'up'
  | 'asking' // guest was asked to power off
  | 'autopsy' // something failed: the evidence is taken before anything is ended
  | 'killing' // the one way down starts here
  | 'unwiring'
  | 'unrooting'
  | 'gone';

/** The kernel's boot id of the host: what was made under another one is gone, whatever the record says. */
export type HostBoot = string;

/** Everything a boot will ever own on the host, chosen and committed before any of it is made. */
export type Claim = { id: BootId; slot: number; hostBoot: HostBoot };

/** What the VM is made of, resolved and normalised when it was created; it never changes. */
export type VmSettings = {
  golden: GoldenManifest;
  memoryMiB: number;
  vcpus: number;
  /** boot argument template with the caller's changes applied; placeholders still in it */
  bootArgs: readonly string[];
  ports: readonly PromisedPort[];
  network: Network;
  vmm: 'qemu' | 'firecracker' | 'stub';
  /** the exact version that was asked for; null = the newest of the host at each boot */
  vmmVersion: string | null;
  /** what only Firecracker has; null where nothing of it was asked for */
  firecracker: FirecrackerSettings | null;
};

export type Vm = {
  id: VmId;
  name: string;
  settings: VmSettings;
  wish: Wish;
  /** counts wishes; an operation is settled by the wish it made, never by a later one */
  wishNo: number;
  /** who made the present wish: the actor of whatever follows from it */
  wishBy: string;
  phase: Phase;
  claim: Claim | null;
  /** what the proof of the present boot came to; null until it was examined */
  verified: Verdict | null;
  /** somebody asked for the proof to be made again */
  reprove: boolean;
  /** the guest's vcpus stand still, by the last look */
  paused: boolean;
  /** when the way up is given up; the way down has no deadline, it is retried for ever */
  deadline: Instant | null;
  /** why the last try of the present step failed; cleared by progress */
  stumble: Fault | null;
  /** why the last life ended badly; cleared by the next wish */
  fault: Fault | null;
  createdAt: Instant;
  /** resource version, counts every write */
  version: number;
};

/** Why a kernel panicked, by its console. */
export type PanicCause = {
  code: string;
  title: string;
  /** where the console shows it */
  consoleLine: number | null;
  /** any process of the guest may have written every line of it: the guest's word, and no more */
  guestWord: boolean;
};

/** What is really there, by the last look. Absence is a value, not an error. */
export type Seen = {
  hostBoot: HostBoot;
  vmm:
    | { is: 'absent' }
    /** `doubted`: a line of its console says that its kernel panicked, and its agent goes on answering */
    | { is: 'alive'; guest: 'unknown' | 'up' | 'paused'; doubted?: true }
    /** its kernel has panicked, whether or not the process is still there; `line` is the console's */
    | { is: 'panicked'; line: string; process: 'alive' | 'ended'; cause?: PanicCause | null }
    | { is: 'ended'; hint: string; refused?: boolean };
  /** the conditions of the present boot, looked at only in the phases that need them */
  proof: Proof | null;
};

export type Step = 'make-disk' | 'drop-disk' | 'make-network' | 'drop-network' | 'launch' | 'ask-off' | 'pause' | 'resume' | 'end-vmm';

export type StepOutcome = { is: 'done' } | { is: 'busy'; lookAgainInMs: number };

/** What changes in the record. `take` and `release` happen in the same transaction. */
export type Change = {
  phase?: Phase;
  boot?: { take: HostBoot } | { release: string; exit?: string };
  fault?: Fault | null;
  proof?: Proof;
  reprove?: false;
  paused?: boolean;
  deadlineInMs?: number | null;
};

export type Decision =
  | { do: 'perform'; step: Step; then: Change } // effect first, record after
  | { do: 'record'; change: Change } // no effect at all
  | { do: 'wait'; forMs: number; why: string }
  | { do: 'rest' }; // wish and world agree

/** How long each part of the way up may take, `ms`. TCG guests on a busy two-core machine need minutes, KVM ones milliseconds. */
export const limits = {
  rooting: 300_000,
  wiring: 60_000,
  /** a launch takes milliseconds; the rest is for waiting its turn, since no more guests than cores are emulated on their way up */
  launching: 600_000,
  booting: 120_000,
  proving: 30_000,
  /** a refutation that stands so long after init finished is taken as it is */
  refuted: 5_000,
  asking: 20_000,
} as const;
/** How often a guest is looked at whose console says that it panicked and whose agent answers, `ms`: a true panic after a forged one tells nothing new. */
const doubtedMs = 5_000;

const down: Change = { phase: 'killing', deadlineInMs: null };
const downBecause = (fault: Fault): Change => ({ phase: 'autopsy', deadlineInMs: null, fault });
const claiming = (seen: Seen): Change => ({ phase: 'wiring', boot: { take: seen.hostBoot }, deadlineInMs: limits.wiring });
const proven: Change = { phase: 'up', reprove: false, deadlineInMs: null };
/** Phases whose step does something: these give up by the clock alone. */
const acting: ReadonlySet<Phase> = new Set<Phase>(['rooting', 'wiring', 'launching']);
const live: ReadonlySet<Phase> = new Set<Phase>(['wiring', 'launching', 'booting', 'proving', 'up', 'asking', 'autopsy']);
const wantsRun = (vm: Vm): boolean => vm.wish === 'running' || vm.wish === 'paused';

/**
 * How long until the next look, `ms`: a quarter of the time that was waited already. What is quick is seen quickly, what is slow costs some
 * dozen looks instead of hundreds, and hints come in between anyway.
 */
function patience(vm: Vm, limit: number, now: Instant): number {
  return Math.round(Math.min(2_000, Math.max(100, waited(vm, limit, now) / 4)));
}

function waited(vm: Vm, limit: number, now: Instant): number {
  return vm.deadline === null ? 0 : limit - (vm.deadline - now);
}

/** Proved; or refuted though init says that it has finished, and the services it started have had some seconds to say otherwise. */
function isSettled(proof: Proof, waitedMs: number): boolean {
  if (proof.verified === 'proved') return true;
  const finished = proof.conditions.some((c) => c.id === 'init.finished' && c.verdict === 'proved');
  return proof.verified === 'refuted' && finished && waitedMs >= limits.refuted;
}

/** The whole lifecycle. Pure: same three arguments, same answer. */
export function decideVm(vm: Vm, seen: Seen, now: Instant): Decision {
  if (live.has(vm.phase) && owned(vm).hostBoot !== seen.hostBoot) return { do: 'record', change: down }; // the host rebooted
  const late = vm.deadline !== null && now >= vm.deadline;
  if (late && acting.has(vm.phase)) return { do: 'record', change: giveUp(vm, seen) };
  switch (vm.phase) {
    case 'new':
      if (vm.wish === 'absent') return { do: 'record', change: { phase: 'unrooting' } };
      if (vm.fault !== null) return { do: 'rest' };
      return { do: 'record', change: { phase: 'rooting', deadlineInMs: limits.rooting } };
    case 'rooting':
      if (vm.wish === 'absent') return { do: 'record', change: { phase: 'unrooting', deadlineInMs: null } };
      // who wants to run goes on at once: the slot is claimed in the transaction that records the disk
      return { do: 'perform', step: 'make-disk', then: wantsRun(vm) ? claiming(seen) : { phase: 'idle', deadlineInMs: null } };
    case 'idle':
      if (vm.wish === 'absent') return { do: 'record', change: { phase: 'unrooting' } };
      if (wantsRun(vm) && vm.fault === null) {
        return { do: 'record', change: claiming(seen) };
      }
      return { do: 'rest' };
    case 'wiring':
      if (!wantsRun(vm)) return { do: 'record', change: down };
      return { do: 'perform', step: 'make-network', then: { phase: 'launching', deadlineInMs: limits.launching } };
    case 'launching':
      if (!wantsRun(vm)) return { do: 'record', change: down };
      if (seen.vmm.is === 'ended') return { do: 'record', change: downBecause(early(seen.vmm)) };
      return { do: 'perform', step: 'launch', then: { phase: 'booting', deadlineInMs: limits.booting } };
    case 'booting':
      if (!wantsRun(vm)) return { do: 'record', change: down };
      if (seen.vmm.is === 'panicked') return { do: 'record', change: downBecause(panicked(seen.vmm)) };
      if (seen.vmm.is === 'ended' || seen.vmm.is === 'absent') return { do: 'record', change: downBecause(early(seen.vmm)) };
      if (seen.vmm.guest !== 'unknown') return { do: 'record', change: { phase: 'proving', deadlineInMs: limits.proving } };
      // only now the clock: a guest that came up, panicked or died while nobody looked is what it is, not late
      if (late) return { do: 'record', change: giveUp(vm, seen) };
      return { do: 'wait', forMs: patience(vm, limits.booting, now), why: 'guest not up yet' };
    case 'proving': {
      const trouble = lost(vm, seen);
      if (trouble) return trouble;
      if (!wantsRun(vm)) return { do: 'record', change: proven };
      if (seen.proof && (late || isSettled(seen.proof, waited(vm, limits.proving, now)))) {
        return { do: 'record', change: { ...proven, proof: seen.proof } };
      }
      if (late) return { do: 'record', change: proven };
      return { do: 'wait', forMs: patience(vm, limits.proving, now), why: 'conditions not proved yet' };
    }
    case 'up': {
      if (vm.wish === 'absent') return { do: 'record', change: down };
      const trouble = lost(vm, seen);
      if (trouble) return trouble;
      const paused = seen.vmm.is === 'alive' && seen.vmm.guest === 'paused';
      if (vm.wish === 'stopped') return { do: 'perform', step: 'ask-off', then: { phase: 'asking', deadlineInMs: limits.asking } };
      if (vm.wish === 'paused' && !paused) return { do: 'perform', step: 'pause', then: { paused: true } };
      if (vm.wish === 'running' && paused) return { do: 'perform', step: 'resume', then: { paused: false } };
      if (vm.paused !== paused) return { do: 'record', change: { paused } };
      if (vm.reprove && !paused) return { do: 'record', change: { phase: 'proving', deadlineInMs: limits.proving } };
      if (seen.vmm.is === 'alive' && seen.vmm.doubted) return { do: 'wait', forMs: doubtedMs, why: 'its console says that it panicked' };
      return { do: 'rest' };
    }
    case 'asking':
      if (seen.vmm.is !== 'alive' || late || vm.wish === 'absent') return { do: 'record', change: down };
      return { do: 'wait', forMs: 100, why: 'guest powering off' };
    case 'autopsy':
      // the look itself is the work: what it saw is kept in the boot record before anything is ended
      return { do: 'record', change: seen.proof ? { ...down, proof: seen.proof } : down };
    case 'killing':
      return { do: 'perform', step: 'end-vmm', then: { phase: 'unwiring' } };
    case 'unwiring':
      return {
        do: 'perform',
        step: 'drop-network',
        then: { phase: 'idle', boot: { release: whyEnded(vm), ...(seen.vmm.is === 'ended' ? { exit: seen.vmm.hint } : {}) } },
      };
    case 'unrooting':
      return { do: 'perform', step: 'drop-disk', then: { phase: 'gone' } };
    case 'gone':
      return { do: 'rest' };
  }
}

/** A VM that was up and is not there any more: as asked when the wish says so, else a fault. */
function lost(vm: Vm, seen: Seen): Decision | null {
  if (seen.vmm.is === 'alive') return null;
  if (!wantsRun(vm)) return { do: 'record', change: down };
  if (seen.vmm.is === 'panicked') return { do: 'record', change: downBecause(panicked(seen.vmm)) };
  return { do: 'record', change: downBecause({ code: 'vmm-ended', data: { hint: hintOf(seen.vmm) } }) };
}

type Dead = { is: 'absent' } | { is: 'ended'; hint: string; refused?: boolean };
const hintOf = (vmm: Dead): string => (vmm.is === 'ended' ? vmm.hint : 'no process of it is left');
const early = (vmm: Dead): Fault => ({
  code: vmm.is === 'ended' && vmm.refused ? 'vmm-refused' : 'vmm-exited-early',
  data: { hint: hintOf(vmm) },
});

/** That it panicked was seen: its VMM ended, or its agent stopped answering. Why is told by its console, and by whose word. */
function panicked({ line, cause }: Extract<Seen['vmm'], { is: 'panicked' }>): Fault {
  if (!cause) return { code: 'guest-panicked', data: { line } };
  const { code, title, consoleLine, guestWord } = cause;
  const where = consoleLine === null ? '' : `, console line ${consoleLine}`;
  const because = `; the cause: ${title} (${code}${where}${guestWord ? '; any process of the guest can write that line' : ''})`;
  return { code: 'guest-panicked', data: { line, because, cause: code, title, ...(consoleLine === null ? {} : { consoleLine }) } };
}

function giveUp(vm: Vm, seen: Seen): Change {
  const furthest = seen.proof?.furthest ?? 'none';
  const needs = seen.proof?.conditions.find((c) => c.verdict !== 'proved');
  const code: FaultCode = 'took-too-long';
  const seconds = (limits as Partial<Record<Phase, number>>)[vm.phase] ?? limits.wiring;
  const needed =
    vm.phase === 'launching' ? 'its turn among the boots on their way up' : (needs?.next ?? needs?.expected ?? 'a look at the console');
  // the last failure of a step that does something is why it was not done; of a phase that only looks it explains nothing
  const failed = acting.has(vm.phase) ? vm.stumble : null;
  const fault = failed ?? { code, data: { phase: vm.phase, seconds: seconds / 1000, furthest, needs: needed.replace(/\.$/, '') } }; // the sentence has a full stop of its own
  return vm.claim ? downBecause(fault) : { phase: 'new', deadlineInMs: null, fault };
}

function whyEnded(vm: Vm): string {
  if (vm.fault) return vm.fault.code;
  return wantsRun(vm) ? 'host-rebooted' : `wished-${vm.wish}`;
}

/** The claim of a VM in a phase that has one. */
export function owned(vm: Vm): Claim {
  if (vm.claim === null) throw new Error(`${vm.id} is in phase ${vm.phase} without a claim`); // programmer error: crash
  return vm.claim;
}

/** Phases in which a look should also examine the conditions of the boot: it costs probes, so not in every one. */
export const looksAtConditions: ReadonlySet<Phase> = new Set<Phase>(['proving', 'autopsy']);

/** Total by construction: a new phase does not compile until it is given a face. */
const face: Record<Phase, (vm: Vm) => VmState> = {
  new: (vm) => (vm.fault ? 'failed' : 'creating'),
  rooting: () => 'creating',
  idle: (vm) => (vm.fault ? 'failed' : wantsRun(vm) ? 'starting' : 'stopped'),
  wiring: () => 'starting',
  launching: () => 'starting',
  booting: () => 'starting',
  proving: () => 'running',
  up: (vm) => (vm.paused ? 'paused' : 'running'),
  asking: () => 'stopping',
  autopsy: () => 'stopping',
  killing: () => 'stopping',
  unwiring: () => 'stopping',
  unrooting: () => 'deleting',
  gone: () => 'deleted',
};

export function stateOf(vm: Vm): VmState {
  return vm.wish === 'absent' && vm.phase !== 'gone' ? 'deleting' : face[vm.phase](vm);
}

/** The one table of who may do what; the API enforces it and `VmView.allowed` exports it. */
export const allowedIn: Record<VmState, readonly VmAction[]> = {
  creating: ['delete'],
  stopped: ['start', 'delete'],
  starting: ['stop', 'delete'],
  running: ['stop', 'pause', 'verify', 'exec', 'delete'],
  paused: ['stop', 'resume', 'delete'],
  stopping: ['delete'],
  failed: ['start', 'delete'],
  deleting: [],
  deleted: [],
};

/** `fault`: what the VM failed with, when that is why. */
export type GoalReach = { is: 'reached' } | { is: 'not-yet' } | { is: 'unreachable'; why: string; fault?: Fault };

/** What waiting for a goal comes to, by what is known now: callers fail fast instead of waiting for what cannot come. */
export function reachOf(vm: Vm, goal: Goal): GoalReach {
  const state = stateOf(vm);
  switch (goal) {
    case 'accepted':
      return { is: 'reached' };
    case 'deleted':
      if (state === 'deleted') return { is: 'reached' };
      return vm.wish === 'absent' ? { is: 'not-yet' } : { is: 'unreachable', why: `nobody asked to delete it; it is ${state}` };
    case 'stopped':
      if (state === 'stopped' || state === 'failed' || state === 'deleted') return { is: 'reached' };
      return wantsRun(vm) ? { is: 'unreachable', why: `nobody asked to stop it; it is ${state}` } : { is: 'not-yet' };
    case 'paused':
      if (state === 'paused') return { is: 'reached' };
      return (
        beyond(vm, state) ??
        (vm.wish === 'paused' ? { is: 'not-yet' } : { is: 'unreachable', why: `nobody asked to pause it; it is ${state}` })
      );
    case 'running':
      if (state === 'running' && vm.wish === 'running') return { is: 'reached' };
      return beyond(vm, state) ?? pausedInstead(vm) ?? { is: 'not-yet' };
    case 'verified':
      if (vm.verified === 'proved' && !vm.reprove && state === 'running') return { is: 'reached' };
      if (vm.phase === 'up' && vm.verified !== null && vm.verified !== 'proved' && !vm.reprove) {
        return {
          is: 'unreachable',
          why: `its boot was examined and is ${vm.verified}; \`linstock vm proof ${vm.name}\` shows each condition`,
        };
      }
      return beyond(vm, state) ?? pausedInstead(vm) ?? { is: 'not-yet' };
  }
}

function pausedInstead(vm: Vm): GoalReach | null {
  return vm.wish === 'paused' ? { is: 'unreachable', why: 'somebody asked for it to be paused' } : null;
}

/** Nothing on the way up can follow from here. */
function beyond(vm: Vm, state: VmState): GoalReach | null {
  // a fault on the way down is final as well: waiting for `failed` would only hide the reason
  if (vm.fault) return { is: 'unreachable', why: sentenceOf(vm.fault), fault: vm.fault };
  if (!wantsRun(vm)) return { is: 'unreachable', why: `it is ${state}, and somebody asked for it to be ${vm.wish}` };
  return null;
}
