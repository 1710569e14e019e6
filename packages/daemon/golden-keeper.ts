import type { GoldenDeed } from '@linstock/contract';
import { decideGolden, type GoldenRecord, type Ids, type Store } from '@linstock/core';
import { untilEvent } from './until-event.ts';

/** Looked at this often even when nothing happens: an event may have been missed. */
const lookEveryMs = 5_000;

export type GoldenKeeperParts = {
  /** removes the files of a version that nobody uses; fine when they are gone */
  drop(golden: { name: string; version: number; digest: string }): Promise<void>;
  store: Store;
  ids: Ids;
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** throws what is a bug */
  failed(error: unknown): void;
};

/**
 * Brings verifications and deletions of golden versions to their end: compares the record with the throw-away VM, and records what its proof came to together
 * with the wish that the VM be gone. All of it in the store, so a crash costs a repetition.
 */
export class GoldenKeeper {
  readonly #parts: GoldenKeeperParts;
  constructor(parts: GoldenKeeperParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, sleep, failed } = this.#parts;
    while (!signal.aborted) {
      using changed = untilEvent(store, signal);
      try {
        await this.pass();
      } catch (error) {
        failed(error);
      }
      await sleep(lookEveryMs, changed.signal);
    }
  }

  async pass(): Promise<void> {
    const { store, drop } = this.#parts;
    for (const record of await store.read((tx) => tx.goldenRecords({ state: 'verifying' }))) await this.#look(record);
    for (const record of await store.read((tx) => tx.goldenRecords({ state: 'deleted' }))) await drop(record);
  }

  async #look(record: GoldenRecord): Promise<void> {
    const { store, ids, now } = this.#parts;
    const id = record.vm;
    if (id === null) return;
    await store.write(`golden ${record.name}@${record.version}`, async (tx) => {
      const present = (await tx.goldenRecords({ state: 'verifying' })).find((one) => one.vm === id);
      if (present === undefined) return; // another pass was sooner
      const vm = await tx.vm(id);
      const [boot] = await tx.boots({ vm: id, limit: 1 });
      const decision = decideGolden(vm, boot);
      if (decision.do === 'wait') return;
      const { state, boot: evidence, why } = decision;
      const deed: GoldenDeed = {
        at: now(),
        by: 'controller',
        what: state === 'active' ? 'verified' : 'failed',
        version: record.version,
        tag: null,
        from: null,
        boot: evidence,
        reason: why,
      };
      await tx.keepGolden({ ...present, state, vm: null, boot: evidence, why }, deed);
      if (vm !== undefined && vm.wish !== 'absent')
        await tx.wish(id, 'absent', { by: 'controller', operation: ids.next('op', now()), kind: 'vm.delete', now: now() });
    });
  }
}
