import type { Fault } from '@linstock/contract';
import type { Host, Marked, Store } from '@linstock/core';
import { slotName } from '@linstock/core';
import { stumbleOf } from './engine.ts';

/** How long the records and files of ended boots are kept: a week, so that Monday can ask what happened on Friday. */
const keepEvidenceMs = 7 * 86_400_000;
/** How long something marked as ours and claimed by nobody is left alone: a claim may just be on its way. */
const graceMs = 30_000;

/**
 * The pass that runs at start, every minute, and is the same in both: compare what bears our mark with what the
 * store knows, remove what nobody claims, and wake every VM that is not gone. There is no recovery mode.
 */
export class Reclaim {
  readonly #parts: { store: Store; host: Host; mark: string; now(): number };
  /** unclaimed things and when they were first seen so; forgetting them costs one grace time */
  readonly #unclaimed = new Map<string, number>();

  constructor(parts: { store: Store; host: Host; mark: string; now(): number }) {
    this.#parts = parts;
  }

  async pass(): Promise<{ removed: readonly Marked[]; failed: readonly { what: Marked; why: Fault }[] }> {
    const { store, host, now } = this.#parts;
    await store.wake('all', now()); // first: whatever fails below, every VM is looked at
    await store.forget(now() - keepEvidenceMs);
    const there = await host.inventory();
    const known = await this.#claimed();
    const orphans = there.filter((m) => !known.has(m.owner));
    const keys = new Set(orphans.map(keyOf));
    for (const key of this.#unclaimed.keys()) if (!keys.has(key)) this.#unclaimed.delete(key);
    const removed: Marked[] = [];
    const failed: { what: Marked; why: Fault }[] = [];
    for (const orphan of orphans) {
      try {
        if (await this.#judge(orphan)) removed.push(orphan);
      } catch (error) {
        failed.push({ what: orphan, why: stumbleOf(error, `remove ${orphan.kind} ${orphan.name}`) }); // one that stays must not keep the others
      }
    }
    return { removed, failed };
  }

  /** Remembers what is unclaimed for the first time, removes what has been so for a while; whether it is gone now. */
  async #judge(orphan: Marked): Promise<boolean> {
    const { store, host, now } = this.#parts;
    const since = this.#unclaimed.get(keyOf(orphan));
    if (since === undefined) {
      this.#unclaimed.set(keyOf(orphan), now());
      await store.write('orphan', (tx) => tx.emit('reclaim.unclaimed', orphan.owner, { ...orphan }, now()));
      return false;
    }
    if (now() - since < graceMs || !(await host.remove(orphan, async () => !(await this.#claimed()).has(orphan.owner)))) return false;
    this.#unclaimed.delete(keyOf(orphan));
    await store.write('removed', (tx) => tx.emit('reclaim.removed', orphan.owner, { ...orphan, why: 'nobody claimed it' }, now()));
    return true;
  }

  /** Every owner that the store stands for: VMs that are not gone, their boots, and the slots they hold. */
  async #claimed(): Promise<ReadonlySet<string>> {
    const { store, mark } = this.#parts;
    return store.read(async (tx) => {
      const owners = new Set<string>(await tx.bootIds());
      for (const { vm, claim } of await tx.owners()) {
        owners.add(vm);
        if (claim) owners.add(slotName(mark, claim.networkIndex, claim.slot));
      }
      return owners;
    });
  }
}

const keyOf = (m: Marked): string => `${m.kind} ${m.name}`;
