import type { BootId, BootView, Case, CaseView, Cause, Diagnosis, Id, Instant } from '@linstock/contract';
import { isGuestWord } from './panic.ts';
import type { Vm } from './vm.ts';

/**
 * Cases: what is wrong with a VM, for as long as it is.
 *
 *   a boot failed, or its proof is refuted ──► diagnosed ──► a case per cause that is more than a guess: opened, or seen again
 *   a boot is proved ──► the open cases of its VM are closed
 *   neither ──► nothing changes: unknown opens no case, and closes none
 */

/** That something was learned about a boot, and how often so far. */
export type BootNews = { boot: BootId; news: number };

/** What a boot has come to: a fault outweighs an earlier proof. */
export function standingOf(boot: Pick<BootView, 'fault' | 'proof'>): 'good' | 'bad' | 'unknown' {
  if (boot.fault !== null || boot.proof?.verified === 'refuted') return 'bad';
  return boot.proof?.verified === 'proved' ? 'good' : 'unknown';
}

/** What the record of a boot says of how it went. */
export type BootSoFar = Pick<BootView, 'id' | 'fault' | 'proof' | 'endedAt'>;
/** `newest`: the newest boot of the VM, which may be this one. */
export type KnownOfBoot = { vm: Vm | undefined; boot: BootSoFar | undefined; newest: BootSoFar | undefined };

/** What to do about news of a boot. */
export function decideNews({ vm, boot, newest }: KnownOfBoot): 'diagnose' | 'close' | 'nothing' {
  if (vm === undefined || boot === undefined || vm.phase === 'gone' || vm.wish === 'absent') return 'nothing';
  const isNewest = newest === undefined || newest.id === boot.id;
  switch (standingOf(boot)) {
    case 'unknown':
      return 'nothing';
    case 'good':
      return isNewest ? 'close' : 'nothing'; // what came after it says more
    case 'bad':
      return isNewest || standingOf(newest) !== 'good' ? 'diagnose' : 'nothing'; // cured meanwhile
  }
}

/** Most cases that one diagnosis opens: one has a cause or two. */
const mostCauses = 8;

/** The causes that are worth a case. A guess is not, and what is missing never is. */
export function causesOf(diagnosis: Diagnosis): readonly Cause[] {
  if (diagnosis.outcome !== 'failed' && diagnosis.outcome !== 'degraded') return [];
  return diagnosis.causes.filter((one) => one.confidence !== 'possible' && one.layer !== 'unknown').slice(0, mostCauses);
}

export type CaseChange = { is: 'opened' | 'seen' | 'closed'; case: Case };

/** What a diagnosis of one boot changes. `open` are the open cases of its VM; `nextId` is asked once per case that is opened. */
export function casesAfter(
  found: { vm: Pick<Vm, 'id' | 'name'>; boot: string; diagnosis: Diagnosis; now: Instant },
  open: readonly CaseView[],
  nextId: () => Id<'case'>,
): CaseChange[] {
  const { vm, boot, now } = found;
  const diagnosis = bounded(found.diagnosis);
  return causesOf(diagnosis).map((cause): CaseChange => {
    const about = {
      title: cause.title,
      confidence: cause.confidence,
      guestWord: isGuestWord(cause.because),
      seenAt: now,
      boot,
      diagnosis,
    };
    const known = open.find((one) => one.code === cause.code);
    if (known !== undefined)
      return { is: 'seen', case: { ...known, ...about, vmName: vm.name, boots: known.boots + (known.boot === boot ? 0 : 1) } };
    const made = { id: nextId(), code: cause.code, layer: cause.layer, vm: vm.id, vmName: vm.name, firstBoot: boot };
    return { is: 'opened', case: { ...made, ...about, state: 'open', boots: 1, openedAt: now, closedAt: null, closed: null } };
  });
}

/** How much of each list of a diagnosis is kept with a case, and of each text. Rules stay far below; a guest must not fill a database. */
const mostListed = 32;
const mostText = 1_000;

/** A diagnosis as it is kept. */
export function bounded(diagnosis: Diagnosis): Diagnosis {
  return boundedValue(diagnosis) as Diagnosis;
}

function boundedValue(value: unknown): unknown {
  if (typeof value === 'string') return value.length > mostText ? `${value.slice(0, mostText - 1)}…` : value;
  if (Array.isArray(value)) return value.slice(0, mostListed).map(boundedValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, boundedValue(part)]));
}
