import { setTimeout as delay } from 'node:timers/promises';

/** How patient a client is with a controller that went away: it may be restarting. */
export type BackOff = {
  /** first pause, `ms`; each one after it is twice as long */
  firstMs: number;
  /** longest pause, `ms` */
  mostMs: number;
  /** failures in a row after which it gives up */
  attempts: number;
};

/** 0.25 s doubling to 5 s, ten times: about half a minute, longer than a controller needs to restart. */
export const usualBackOff: BackOff = { firstMs: 250, mostMs: 5_000, attempts: 10 };

/** Sleeps before the next try. `failures` counts from 1. */
export async function pause(backOff: BackOff, failures: number, signal: AbortSignal | undefined): Promise<void> {
  const ms = Math.min(backOff.mostMs, backOff.firstMs * 2 ** Math.min(failures - 1, 30));
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted) throw signal.reason; // the caller's reason, not the timer's AbortError around it
    throw error;
  }
}
