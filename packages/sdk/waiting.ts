/**
 * Waiting for a VM: asks the controller again and again for what is true *now* (a level, never an edge that could be
 * missed), any total time, and survives a controller that restarts meanwhile. It never cancels the work it waits for.
 */
import { FaultError, type Goal, type VmView } from '@linstock/contract';
import { pause, type BackOff } from './back-off.ts';
import type { Calls } from './calls.ts';

export type WaitOptions = {
  /** how long to wait in all, `ms`; ten minutes when absent */
  withinMs?: number;
  signal?: AbortSignal;
  /** told each time the controller answered, for progress; with it the answers come about every second */
  onView?: (vm: VmView) => void;
};

/** `reached: false` means that the time was up; the work goes on. */
export type Waited = { reached: boolean; vm: VmView };

const USUAL_WITHIN_MS = 600_000;
/** Proxies cut answers that are held for a minute and more. */
const HELD_SECONDS = 30;
const HELD_SECONDS_WITH_PROGRESS = 1;
/** A controller that answers at once although it was asked to hold must not make us spin. */
const LEAST_ROUND_MS = 100;

export async function waitFor(calls: Calls, backOff: BackOff, id: string, goal: Goal, options: WaitOptions): Promise<Waited> {
  const deadline = performance.now() + (options.withinMs ?? USUAL_WITHIN_MS);
  const signal = calls.transport.signalFor(options.signal);
  let last: VmView | null = null;
  let failures = 0;
  for (;;) {
    const began = performance.now();
    const leftSeconds = Math.max(0, deadline - began) / 1000;
    const timeout = Math.min(leftSeconds, options.onView === undefined ? HELD_SECONDS : HELD_SECONDS_WITH_PROGRESS);
    try {
      const { reached, vm } = await calls.json(
        'vm.wait',
        { params: { id }, query: { until: goal, timeout } },
        signal === undefined ? {} : { signal },
        timeout * 1000,
      );
      failures = 0;
      last = vm;
      options.onView?.(vm);
      if (reached || performance.now() >= deadline) return { reached, vm };
      const tookMs = performance.now() - began;
      if (timeout * 1000 > LEAST_ROUND_MS && tookMs < LEAST_ROUND_MS)
        await pause({ firstMs: LEAST_ROUND_MS, mostMs: LEAST_ROUND_MS, attempts: 1 }, 1, signal);
    } catch (error) {
      // A controller that never answered is absent; one that answered before may be restarting.
      const away = FaultError.is(error, 'daemon-unreachable') || FaultError.is(error, 'shutting-down');
      failures += 1;
      if (!away || last === null || failures >= backOff.attempts) throw error;
      if (performance.now() >= deadline) return { reached: false, vm: last };
      await pause(backOff, failures, signal);
    }
  }
}
