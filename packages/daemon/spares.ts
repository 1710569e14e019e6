import type { Network } from '@linstock/contract';
import { slotsOf, type Store } from '@linstock/core';
import { untilEvent } from './until-event.ts';

/** Nothing may have happened for so long before a spare is made: whoever is starting a VM comes first. */
const calmMs = 150;
/** Looked at this often even when nothing happens: somebody may have removed a spare. */
const lookEveryMs = 60_000;

export type SparesParts = {
  store: Store;
  network: Network;
  count: number;
  /** makes these slots ahead of need, one at a time until the signal fires, and forgets other spares */
  keep(slots: readonly number[], signal: AbortSignal): Promise<void>;
  /** a tool failed: a spare is a convenience, so the controller goes on */
  failed(error: unknown): void;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};

/**
 * Keeps the next free slots of a network made ahead of need. Names are arithmetic and claims are the store's, so a spare is only an early
 * step of whichever VM will claim its number; who claims it looks whether it is there, and makes it when it is not.
 */
export class Spares {
  readonly #parts: SparesParts;
  constructor(parts: SparesParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, sleep } = this.#parts;
    while (!signal.aborted) {
      using changed = untilEvent(store, signal);
      await sleep(calmMs, changed.signal);
      if (changed.signal.aborted) continue;
      await this.#fill(changed.signal);
      if (!changed.signal.aborted) await sleep(lookEveryMs, changed.signal);
    }
  }

  async #fill(signal: AbortSignal): Promise<void> {
    const { store, network, count, keep, failed } = this.#parts;
    try {
      const taken = new Set((await store.read((tx) => tx.leases(network.index))).map((lease) => lease.slot));
      await keep(freeSlots(taken, slotsOf(network), count), signal);
    } catch (error) {
      failed(error);
    }
  }
}

/** The lowest free numbers: those that the store gives out next. Pure. */
export function freeSlots(taken: ReadonlySet<number>, slots: number, count: number): number[] {
  const free: number[] = [];
  for (let slot = 0; slot < slots && free.length < count; slot += 1) if (!taken.has(slot)) free.push(slot);
  return free;
}
