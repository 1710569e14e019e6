import type { Diagnosis } from '@linstock/contract';
import type { PanicCause } from './vm.ts';

/** The first cause that a diagnosis does not merely guess, in the few words that a fault has room for. */
export function panicCauseOf(diagnosis: Diagnosis): PanicCause | null {
  const cause = diagnosis.causes.find((one) => one.confidence !== 'possible');
  if (cause === undefined) return null;
  return {
    code: cause.code,
    title: cause.title,
    consoleLine: cause.because.find((one) => one.source === 'console')?.line ?? null,
    guestWord: isGuestWord(cause.because),
  };
}

/** Any process of the guest could have written all of it. */
export function isGuestWord(because: Diagnosis['causes'][number]['because']): boolean {
  return because.length > 0 && because.every((one) => one.guestControlled === true);
}
