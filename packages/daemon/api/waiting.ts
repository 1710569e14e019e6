import type { Goal, VmId } from '@linstock/contract';
import { reachOf, type GoalReach, type Reader, type Store, type Vm } from '@linstock/core';
import { untilEvent } from '../until-event.ts';

/** Hints may be lost, so the row is read at least this often. */
const lookEveryMs = 1_000;

type WaitParts = { store: Store; now(): number; sleep(ms: number, signal: AbortSignal): Promise<void> };

/** Waits on a level, not on an edge: reads, listens, reads again, until it is as wanted or the time is up. */
export async function waitOn<T>(
  parts: WaitParts,
  look: (tx: Reader) => Promise<T>,
  asWanted: (seen: T) => boolean,
  forMs: number,
  signal: AbortSignal,
): Promise<T> {
  const until = parts.now() + forMs;
  for (;;) {
    using changed = untilEvent(parts.store, signal);
    const seen = await parts.store.read(look);
    const left = until - parts.now();
    if (asWanted(seen) || left <= 0 || signal.aborted) return seen;
    await parts.sleep(Math.min(left, lookEveryMs), changed.signal);
  }
}

/**
 * Ends when the goal is reached, when it cannot be reached any more, or when the time is up; the work itself goes on whatever happens to the
 * waiter.
 */
export async function waitFor(
  parts: WaitParts,
  id: VmId,
  goal: Goal,
  forMs: number,
  signal: AbortSignal,
): Promise<{ vm: Vm | undefined; reach: GoalReach }> {
  const look = async (tx: Reader): Promise<{ vm: Vm | undefined; reach: GoalReach }> => {
    const vm = await tx.vm(id);
    if (vm === undefined) return { vm, reach: goal === 'deleted' ? { is: 'reached' } : { is: 'unreachable', why: 'it is gone' } };
    return { vm, reach: reachOf(vm, goal) };
  };
  return waitOn(parts, look, ({ reach }) => reach.is !== 'not-yet', forMs, signal);
}
