import { FaultError, type Instant } from '@linstock/contract';
import type { Store, Tx } from '@linstock/core';
import type { Caller } from './caller.ts';

export type Once = <T extends object>(caller: Caller, why: string, work: (tx: Tx) => Promise<T>) => Promise<T & { replayed: boolean }>;

/** Runs `work` once per idempotency key; the key is written in the same transaction as what it stands for. What `work` gives must be JSON. */
export function onceIn(parts: { store: Store; now(): Instant }): Once {
  const { store, now } = parts;
  return async <T extends object>(caller: Caller, why: string, work: (tx: Tx) => Promise<T>) =>
    store.write(why, async (tx) => {
      if (caller.once) {
        const before = await tx.answer(caller.once.scope, now());
        if (before && before.bodyHash !== caller.once.bodyHash) throw new FaultError('idempotency-key-reused', { key: caller.once.key });
        if (before) return { ...(before.body as T), replayed: true };
      }
      const made = await work(tx);
      if (caller.once) await tx.keepAnswer(caller.once.scope, { bodyHash: caller.once.bodyHash, status: 202, body: made }, now());
      return { ...made, replayed: false };
    });
}
