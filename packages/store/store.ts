/**
 * The one Store, over whichever dialect it is given.
 *
 * Whose turn it is, per VM:   due ──rent──► rented ──commit──► rented ──nap, stumble──► asleep ──wake, time──► due
 * A rent has a fence, one higher each time. What bears an old fence writes nothing.
 * Transactions wait for each other, so one inside the work of another would wait for ever: work uses its `tx` only.
 */
import { sentenceOf, type Fault, type Instant, type VmId } from '@linstock/contract';
import type { Change, HistoryEntry, Ids, Lease, Reader, Store, Tx } from '@linstock/core';
import { sql, type Transaction } from 'kysely';
import type { Dialect, Hint, Log } from './dialects/dialect.ts';
import { GoldenShelf } from './goldens.ts';
import { SqlTx } from './intents.ts';
import { forgetBuilds } from './builds.ts';
import { settle } from './operations.ts';
import { SqlReader, vmsOf } from './reader.ts';
import { toJson, type Tables } from './rows.ts';
import { Journal, type Scope } from './scope.ts';
import { heldRow, recordTurn } from './turn.ts';

/** How long a rent lasts without `renew`, `ms`: long enough for a slow step, short enough to wait for after a crash. */
const rentMs = 30_000;
/** What a VM on its way up has left at least when a new worker takes over, `ms`. */
const graceMs = 60_000;
/** First pause after a stumble and the longest one, `ms`; it doubles in between. */
const firstPause = 200;
const longestPause = 30_000;
/** How often a transaction is run that loses against others. */
const mostRuns = 8;

export type StoreParts = {
  dialect: Dialect;
  ids: Ids;
  /** 0 ≤ x < 1 */
  random: () => number;
  log: Log;
  /** events kept before the oldest are dropped */
  keepEvents: number;
};

export class SqlStore implements Store {
  readonly #parts: StoreParts;
  readonly #goldens = new GoldenShelf();
  readonly #listeners: Record<Hint, Set<() => void>> = { wake: new Set(), events: new Set() };

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  async write<T>(why: string, work: (tx: Tx) => Promise<T>): Promise<T> {
    const { dialect } = this.#parts;
    return this.#change(why, async (scope) => {
      // intents come one after the other, as they do in SQLite: what one of them checked still holds when it writes
      await dialect.lock(scope.db, { what: 'intents' });
      return work(new SqlTx(scope));
    });
  }

  async read<T>(work: (tx: Reader) => Promise<T>): Promise<T> {
    const { db } = this.#parts.dialect;
    return db
      .transaction()
      .setAccessMode('read only')
      .setIsolationLevel('repeatable read')
      .execute((transaction) => work(new SqlReader(this.#scope(transaction, false))));
  }

  async rent(worker: string, now: Instant, limit: number): Promise<readonly Lease[]> {
    const until = now + rentMs;
    return this.#change('rent', async (scope) => {
      const { db, locks } = scope;
      const rows = await db
        .with(
          (cte) => cte('picked').materialized(),
          (q) => {
            const due = q
              .selectFrom('vms')
              .select('id')
              .where('due', '<=', now)
              .where((e) => e.or([e('rent_until', 'is', null), e('rent_until', '<=', now)]))
              .orderBy('due')
              .orderBy('id')
              .limit(limit);
            // what another worker is renting this moment is not ours to wait for
            return locks ? due.forUpdate().skipLocked() : due;
          },
        )
        .updateTable('vms')
        .set((e) => ({ rented_by: worker, rent_until: until, fence: e('fence', '+', 1) }))
        .where('id', 'in', (q) => q.selectFrom('picked').select('picked.id'))
        .returningAll()
        .execute();
      rows.sort((a, b) => (a.due ?? 0) - (b.due ?? 0) || (a.id < b.id ? -1 : 1)); // `returning` has no order
      const vms = await vmsOf(scope, rows);
      return rows.flatMap((row, i) => {
        const vm = vms[i];
        return vm ? [{ vm, fence: row.fence, wakeSeq: row.wake_seq, until }] : [];
      });
    });
  }

  async commit(lease: Lease, change: Change, now: Instant, history: HistoryEntry): Promise<Lease | null> {
    return this.#change('commit', (scope) => recordTurn(scope, lease, change, now, history, rentMs));
  }

  async nap(lease: Lease, until: Instant | null, now: Instant): Promise<void> {
    await this.#change('nap', async (scope) => {
      const row = await heldRow(scope, lease);
      if (!row) return;
      const woken = row.wake_seq !== lease.wakeSeq;
      await scope.db
        .updateTable('vms')
        // a good look: what failed before is not being retried any more
        .set({
          due: woken ? now : until,
          rented_by: null,
          rent_until: null,
          tries: 0,
          ...(row.stumble === null ? {} : { stumble: null, version: row.version + 1 }),
        })
        .where('id', '=', row.id)
        .execute();
      if (woken) return scope.journal.wake();
      // rest under this very wish: when it asked for what was there already, nothing else will end its operation
      const [vm] = await vmsOf(scope, [row]);
      if (vm) await settle(scope, vm, now);
    });
  }

  async stumble(lease: Lease, fault: Fault, now: Instant): Promise<void> {
    await this.#change('stumble', async (scope) => {
      const row = await heldRow(scope, lease);
      if (!row) return;
      const woken = row.wake_seq !== lease.wakeSeq;
      const tries = row.tries + 1;
      const pause = Math.min(longestPause, firstPause * 2 ** Math.min(tries - 1, 20));
      const jittered = Math.round(pause * (0.5 + this.#parts.random() / 2)); // many that failed together must not come back together
      const text = toJson(fault);
      const news = row.stumble !== text;
      await scope.db
        .updateTable('vms')
        .set({
          due: woken ? now : now + jittered,
          rented_by: null,
          rent_until: null,
          tries,
          stumble: text,
          version: row.version + (news ? 1 : 0),
        })
        .where('id', '=', row.id)
        .execute();
      if (news) scope.journal.emit('vm.stumble', row.id, { fault, says: sentenceOf(fault), phase: row.phase }, now);
      if (woken) scope.journal.wake();
    });
  }

  async renew(lease: Lease, now: Instant): Promise<boolean> {
    return this.#change('renew', async (scope) => {
      const done = await scope.db
        .updateTable('vms')
        .set({ rent_until: now + rentMs })
        .where('id', '=', lease.vm.id)
        .where('fence', '=', lease.fence)
        .where('rented_by', 'is not', null)
        .executeTakeFirst();
      return done.numUpdatedRows === 1n;
    });
  }

  async takeOver(now: Instant): Promise<void> {
    await this.#change('take over', async ({ db, journal }) => {
      await db
        .updateTable('vms')
        .set((e) => ({ rented_by: null, rent_until: null, fence: e('fence', '+', 1) }))
        .where('rented_by', 'is not', null)
        .execute();
      await db
        .updateTable('vms')
        .set({ deadline: now + graceMs })
        .where('deadline', '<', now + graceMs)
        .execute();
      await db
        .updateTable('vms')
        .set((e) => ({ due: now, wake_seq: e('wake_seq', '+', 1) }))
        .where('gone_at', 'is', null)
        .execute();
      journal.wake();
    });
  }

  async wake(vm: VmId | 'all', now: Instant): Promise<void> {
    await this.#change('wake', async (scope) => {
      const all = scope.db
        .updateTable('vms')
        .set((e) => ({ due: now, wake_seq: e('wake_seq', '+', 1) }))
        .where('gone_at', 'is', null);
      const done = await (vm === 'all' ? all : all.where('id', '=', vm)).executeTakeFirst();
      if (done.numUpdatedRows > 0n) scope.journal.wake();
    });
  }

  async forget(before: Instant): Promise<void> {
    await this.#change('forget', async ({ db }) => {
      await db.deleteFrom('cases').where('closed_at', '<', before).execute();
      await db
        .deleteFrom('boots')
        .where('ended_at', '<', before)
        // the proof of a golden version stands as long as that is what it is known by
        .where((e) =>
          e.not(e.exists(e.selectFrom('golden_versions').select('golden_versions.boot').whereRef('golden_versions.boot', '=', 'boots.id'))),
        )
        .where((e) =>
          e.or([
            e.exists(
              e
                .selectFrom('boots as later')
                .select('later.id')
                .whereRef('later.vm', '=', 'boots.vm')
                .whereRef('later.started_at', '>', 'boots.started_at'),
            ),
            e.exists(e.selectFrom('vms').select('vms.id').whereRef('vms.id', '=', 'boots.vm').where('vms.gone_at', 'is not', null)),
          ]),
        )
        .execute();
      const gone = db
        .selectFrom('vms')
        .select('id')
        .where('gone_at', '<', before)
        .where((e) => e.not(e.exists(e.selectFrom('boots').select('boots.id').whereRef('boots.vm', '=', 'vms.id'))));
      await db.deleteFrom('history').where('vm', 'in', gone).execute();
      await db.deleteFrom('operations').where('subject', 'in', gone).execute();
      await db.deleteFrom('vms').where('id', 'in', gone).execute();
      await forgetBuilds(db, before);
    });
  }

  async nextDue(): Promise<Instant | null> {
    // what is rented can be rented again only when the rent has run out
    const row = await this.#parts.dialect.db
      .selectFrom('vms')
      .select(sql<number | null>`min(case when rent_until > due then rent_until else due end)`.as('due'))
      .where('due', 'is not', null)
      .executeTakeFirst();
    return row?.due ?? null;
  }

  onWake(listener: () => void): () => void {
    return this.#listen('wake', listener);
  }

  onEvents(listener: () => void): () => void {
    return this.#listen('events', listener);
  }

  /** Passes on what other processes told; only the opener calls it. */
  hint(hint: Hint): void {
    // a listener that throws is a bug and must not look like a failed write to whoever wrote
    for (const listener of this.#listeners[hint]) queueMicrotask(listener);
  }

  async close(): Promise<void> {
    await this.#parts.dialect.close();
  }

  #listen(hint: Hint, listener: () => void): () => void {
    const own = (): void => listener(); // the same function given twice is two listeners
    this.#listeners[hint].add(own);
    return () => void this.#listeners[hint].delete(own);
  }

  #scope(db: Transaction<Tables>, writes: boolean): Scope {
    const { dialect, ids, keepEvents } = this.#parts;
    return { db, dialect, ids, goldens: this.#goldens, journal: new Journal(ids, keepEvents), locks: writes && dialect.manyWriters };
  }

  /** One write transaction, run again when it lost against another one; tells the listeners after it is on the disk. */
  async #change<T>(why: string, work: (scope: Scope) => Promise<T>): Promise<T> {
    const { dialect, log } = this.#parts;
    for (let run = 1; ; run += 1) {
      try {
        const { result, journal } = await dialect.db.transaction().execute(async (transaction) => {
          const scope = this.#scope(transaction, true);
          const done = await work(scope);
          await scope.journal.flush(transaction);
          if (scope.journal.woke) await dialect.tell(transaction, 'wake');
          if (scope.journal.eventful) await dialect.tell(transaction, 'events');
          return { result: done, journal: scope.journal };
        });
        if (journal.woke) this.hint('wake');
        if (journal.eventful) this.hint('events');
        return result;
      } catch (error) {
        if (!dialect.isConflict(error) || run >= mostRuns) throw error;
        log('a transaction lost against another one and is run again', { why, run });
      }
    }
  }
}
