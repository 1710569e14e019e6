import type { Instant } from '@linstock/contract';
import type { Ids } from '@linstock/core';
import type { Db, Dialect } from './dialects/dialect.ts';
import type { GoldenShelf } from './goldens.ts';
import { toJson, type EventRow } from './rows.ts';

/** What one transaction works with. */
export type Scope = {
  db: Db;
  dialect: Dialect;
  goldens: GoldenShelf;
  ids: Ids;
  journal: Journal;
  /** rows that are read here will be changed here, and others write at the same time */
  locks: boolean;
};

/** Events are deleted in steps of so many: a delete per event would double the work of each write. */
const trimEvery = 1_000;

/**
 * The events of one transaction and whether it woke a program.
 * Events get their numbers at its very end: the counter is one row, and whoever holds it holds up all other writers.
 * The number and the event become visible together, so readers never see a gap.
 */
export class Journal {
  readonly #ids: Ids;
  readonly #keep: number;
  #pending: Omit<EventRow, 'seq'>[] = [];
  #emitted = 0;
  #woke = false;

  constructor(ids: Ids, keep: number) {
    this.#ids = ids;
    this.#keep = keep;
  }

  emit(type: string, subject: string, data: Record<string, unknown>, now: Instant): void {
    this.#pending.push({ id: this.#ids.next('evt', now), source: 'linstock', type, subject, time: now, data: toJson(data) });
    this.#emitted += 1;
  }

  wake(): void {
    this.#woke = true;
  }

  get woke(): boolean {
    return this.#woke;
  }

  get eventful(): boolean {
    return this.#emitted > 0;
  }

  async flush(db: Db): Promise<void> {
    const events = this.#pending;
    if (events.length === 0) return;
    this.#pending = [];
    const { value: newest } = await db
      .updateTable('meta')
      .set((e) => ({ value: e('value', '+', events.length) }))
      .where('name', '=', 'event_seq')
      .returning('value')
      .executeTakeFirstOrThrow();
    const before = newest - events.length;
    await db
      .insertInto('events')
      .values(events.map((event, i) => ({ seq: before + 1 + i, ...event })))
      .execute();
    if (Math.floor(newest / trimEvery) !== Math.floor(before / trimEvery)) {
      await db
        .deleteFrom('events')
        .where('seq', '<=', newest - this.#keep)
        .execute();
    }
  }
}
