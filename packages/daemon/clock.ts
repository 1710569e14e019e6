import { setTimeout as after } from 'node:timers/promises';
import type { Instant } from '@linstock/contract';

/** The one clock of the process. Everything else gets it handed in. */
export const clock = {
  now: (): Instant => Date.now(),
  /** Resolves after that time, or at once when the signal fires. */
  sleep: async (ms: number, signal: AbortSignal): Promise<void> => {
    try {
      await after(ms, undefined, { signal, ref: true });
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AbortError')) throw error; // being woken is what the signal is for
    }
  },
};
