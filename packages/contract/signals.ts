/** What each signal of `anySignal` follows: as long as the one is held, so are the others. */
const followed = new WeakMap<AbortSignal, readonly AbortSignal[]>();

/**
 * The signal that fires with the first of several. `AbortSignal.any` by itself holds its sources weakly: in Node 24.16 and later a time limit,
 * or an abort, of a source that nobody else holds is lost when it is collected before somebody listens (nodejs/node#65995), and the wait that
 * it should have ended has no end.
 */
export function anySignal(signals: readonly AbortSignal[]): AbortSignal {
  const any = AbortSignal.any([...signals]);
  followed.set(any, signals);
  return any;
}
