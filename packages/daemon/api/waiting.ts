import type { Goal, VmId } from '@linstock/contract';
import { reachOf, type GoalReach, type Store, type Vm } from '@linstock/core';
import { untilEvent } from '../until-event.ts';

/** Hints may be lost, so the row is read at least this often. */
const lookEveryMs = 1_000;

/**
 * Waits on a level, not on an edge: reads, listens, reads again. Ends when the goal is reached, when it cannot be
 * reached any more, or when the time is up; the work itself goes on whatever happens to the waiter.
 */
export async function waitFor(
  parts: { store: Store; now(): number; sleep(ms: number, signal: AbortSignal): Promise<void> },
  id: VmId,
  goal: Goal,
  forMs: number,
  signal: AbortSignal,
): Promise<{ vm: Vm | undefined; reach: GoalReach }> {
  const until = parts.now() + forMs;
  for (;;) {
    using changed = untilEvent(parts.store, signal);
    const vm = await parts.store.read((tx) => tx.vm(id));
    if (vm === undefined) return { vm, reach: goal === 'deleted' ? { is: 'reached' } : { is: 'unreachable', why: 'it is gone' } };
    const reach = reachOf(vm, goal);
    const left = until - parts.now();
    if (reach.is !== 'not-yet' || left <= 0 || signal.aborted) return { vm, reach };
    await parts.sleep(Math.min(left, lookEveryMs), changed.signal);
  }
}
