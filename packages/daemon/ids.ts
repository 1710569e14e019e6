import { randomBytes } from 'node:crypto';
import { makeId, type Id, type IdKind, type Instant } from '@linstock/contract';

/** The one source of randomness for names and back-off. */
export const ids = {
  next: <K extends IdKind>(kind: K, now: Instant): Id<K> => makeId(kind, now, randomBytes(10)),
};
/** In [0, 1), for jitter. */
export const random = (): number => randomBytes(4).readUInt32BE() / 2 ** 32;
