import type { Store } from '@linstock/core';

/**
 * A signal that fires at the next event or with the given one. To be had before the rows are read, so that nothing that happens between the look
 * and the sleep is missed; `using` lets go of both.
 */
export function untilEvent(store: Pick<Store, 'onEvents'>, signal: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const changed = new AbortController();
  const stop = (): void => changed.abort();
  const unsubscribe = store.onEvents(stop);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return {
    signal: changed.signal,
    [Symbol.dispose]: () => {
      unsubscribe();
      signal.removeEventListener('abort', stop);
    },
  };
}
