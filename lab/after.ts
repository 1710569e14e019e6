import { setTimeout as wait } from 'node:timers/promises';

/** Resolves after that time, or at once when the signal fires: the port of time for the product's organs. */
export async function after(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error; // being woken is what the signal is for
  }
}
