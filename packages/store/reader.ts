import type {
  BootId,
  BuildView,
  Case,
  CaseView,
  GoldenDeed,
  GoldenState,
  GoldenTag,
  HostFacts,
  HostId,
  Instant,
  LinstockEvent,
  Network,
  Operation,
  VmId,
} from '@linstock/contract';
import { buildsWhere } from './builds.ts';
import type { BootNews, BootRecord, GoldenRecord, HistoryEntry, Reader, Vm } from '@linstock/core';
import {
  bootOf,
  caseColumns,
  caseOf,
  caseViewOf,
  eventOf,
  fromJson,
  goldenDeedOf,
  goldenRecordOf,
  goldenTagOf,
  historyOf,
  hostFactsOf,
  networkOf,
  operationOf,
  vmIdOf,
  vmOf,
  type VmRow,
} from './rows.ts';
import type { Scope } from './scope.ts';

/** Lists without a limit of the caller's end here; whoever wants more pages with `after`. */
const mostRows = 10_000;

/** Rows and the manifests they name, as records. */
export async function vmsOf(scope: Scope, rows: readonly VmRow[]): Promise<Vm[]> {
  const goldens = await scope.goldens.of(scope.db, rows);
  return rows.map((row) => {
    const golden = goldens.get(row.golden);
    if (!golden) throw new Error(`${row.id} names the golden ${row.golden}, which is not there`); // a foreign key forbids it
    return vmOf(row, golden);
  });
}

export class SqlReader implements Reader {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async vm(id: VmId): Promise<Vm | undefined> {
    const { db, locks } = this.#scope;
    const query = db.selectFrom('vms').selectAll().where('id', '=', id);
    // whoever reads it in a write decides by it: it must stay as it was read
    const rows = await (locks ? query.forUpdate() : query).execute();
    return (await vmsOf(this.#scope, rows))[0];
  }

  async vms(where: { goneAfter?: Instant; after?: VmId; limit?: number } = {}): Promise<readonly Vm[]> {
    const { goneAfter, after, limit } = where;
    let query = this.#scope.db.selectFrom('vms').selectAll();
    query =
      goneAfter === undefined
        ? query.where('gone_at', 'is', null)
        : query.where((e) => e.or([e('gone_at', 'is', null), e('gone_at', '>=', goneAfter)]));
    if (after !== undefined) query = query.where('id', '>', after);
    return vmsOf(
      this.#scope,
      await query
        .orderBy('id')
        .limit(limit ?? mostRows)
        .execute(),
    );
  }

  async vmsNamed(name: string): Promise<readonly Vm[]> {
    const { db } = this.#scope;
    const named = db.selectFrom('vms').selectAll().where('name', '=', name);
    const present = await named.where('gone_at', 'is', null).execute();
    if (present.length > 0) return vmsOf(this.#scope, present);
    return vmsOf(
      this.#scope,
      await named.where('gone_at', 'is not', null).orderBy('gone_at', 'desc').orderBy('id', 'desc').limit(20).execute(),
    );
  }

  async boot(id: string): Promise<BootRecord | undefined> {
    const row = await this.#scope.db.selectFrom('boots').selectAll().where('id', '=', id).executeTakeFirst();
    return row && bootOf(row);
  }

  async boots(where: { vm?: VmId; limit?: number } = {}): Promise<readonly BootRecord[]> {
    let query = this.#scope.db.selectFrom('boots').selectAll();
    if (where.vm !== undefined) query = query.where('vm', '=', where.vm);
    const rows = await query
      .orderBy('started_at', 'desc')
      .orderBy('id', 'desc')
      .limit(where.limit ?? mostRows)
      .execute();
    return rows.map(bootOf);
  }

  async owners(): Promise<readonly { vm: VmId; claim: { networkIndex: number; slot: number } | null }[]> {
    const rows = await this.#scope.db
      .selectFrom('vms')
      .leftJoin('leases', 'leases.vm', 'vms.id')
      .select(['vms.id', 'leases.network_index', 'leases.slot'])
      .where('vms.gone_at', 'is', null)
      .execute();
    return rows.map((row) => ({
      vm: row.id as VmId,
      claim: row.slot === null || row.network_index === null ? null : { networkIndex: row.network_index, slot: row.slot },
    }));
  }

  async bootIds(): Promise<readonly BootId[]> {
    const rows = await this.#scope.db.selectFrom('boots').select('id').execute();
    return rows.map((row) => row.id as BootId);
  }

  async network(name: string): Promise<Network | undefined> {
    const row = await this.#scope.db.selectFrom('networks').selectAll().where('name', '=', name).executeTakeFirst();
    return row && networkOf(row);
  }

  async networks(): Promise<readonly Network[]> {
    return (await this.#scope.db.selectFrom('networks').selectAll().orderBy('idx').execute()).map(networkOf);
  }

  async leases(networkIndex: number): Promise<readonly { slot: number; vm: VmId; boot: string }[]> {
    const rows = await this.#scope.db
      .selectFrom('leases')
      .select(['slot', 'vm', 'boot'])
      .where('network_index', '=', networkIndex)
      .orderBy('slot')
      .execute();
    return rows.map((row) => ({ slot: row.slot, vm: vmIdOf(row.vm), boot: row.boot }));
  }

  async operation(id: string): Promise<Operation | undefined> {
    const row = await this.#scope.db.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirst();
    return row && operationOf(row);
  }

  async operationOf(vm: VmId): Promise<Operation | undefined> {
    const row = await this.#scope.db
      .selectFrom('operations')
      .selectAll()
      .where('subject', '=', vm)
      .where('state', '=', 'running')
      .executeTakeFirst();
    return row && operationOf(row);
  }

  async builds(where: { running?: true; limit?: number } = {}): Promise<readonly BuildView[]> {
    return buildsWhere(this.#scope, where);
  }

  async build(id: string): Promise<BuildView | undefined> {
    return (await buildsWhere(this.#scope, { id }))[0];
  }

  async goldenRecords(where?: { state: GoldenState }): Promise<readonly GoldenRecord[]> {
    let query = this.#scope.db.selectFrom('golden_versions').selectAll();
    if (where !== undefined) query = query.where('state', '=', where.state);
    return (await query.orderBy('name').orderBy('version').execute()).map(goldenRecordOf);
  }

  async goldenTags(): Promise<readonly GoldenTag[]> {
    return (await this.#scope.db.selectFrom('golden_tags').selectAll().orderBy('golden').orderBy('tag').execute()).map(goldenTagOf);
  }

  async goldenDeeds(golden: string, limit: number): Promise<readonly GoldenDeed[]> {
    const rows = await this.#scope.db
      .selectFrom('golden_deeds')
      .selectAll()
      .where('golden', '=', golden)
      .orderBy('n', 'desc')
      .limit(limit)
      .execute();
    return rows.map(goldenDeedOf);
  }

  async cases(where: { state?: 'open' | 'closed'; vm?: VmId; after?: string; limit?: number } = {}): Promise<readonly CaseView[]> {
    const { state, vm, after, limit } = where;
    let query = this.#scope.db.selectFrom('cases').select(caseColumns);
    if (state !== undefined) query = query.where('closed_at', state === 'open' ? 'is' : 'is not', null);
    if (vm !== undefined) query = query.where('vm', '=', vm);
    if (after !== undefined) query = query.where('id', '>', after);
    const rows = await query
      .orderBy('id')
      .limit(limit ?? mostRows)
      .execute();
    return rows.map(caseViewOf);
  }

  async case(id: string): Promise<Case | undefined> {
    const row = await this.#scope.db.selectFrom('cases').selectAll().where('id', '=', id).executeTakeFirst();
    return row && caseOf(row);
  }

  async openCases(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.#scope.db
      .selectFrom('cases')
      .select((e) => ['code', e.fn.countAll<number | string>().as('n')])
      .where('closed_at', 'is', null)
      .groupBy('code')
      .orderBy('code')
      .execute();
    return Object.fromEntries(rows.map(({ code, n }) => [code, Number(n)]));
  }

  async bootEnds(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.#scope.db
      .selectFrom('boots')
      .select((e) => ['end_reason', e.fn.countAll<number | string>().as('n')])
      .groupBy('end_reason')
      .orderBy('end_reason')
      .execute();
    return Object.fromEntries(rows.map(({ end_reason: reason, n }) => [reason ?? 'under-way', Number(n)]));
  }

  async bootNews(limit: number): Promise<readonly BootNews[]> {
    const rows = await this.#scope.db
      .selectFrom('boots')
      .select(['id', 'news'])
      .whereRef('news', '>', 'news_told')
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => ({ boot: row.id as BootId, news: row.news }));
  }

  async events(where: { after: number; limit: number; subject?: string }): Promise<readonly LinstockEvent[]> {
    await this.#scope.journal.flush(this.#scope.db);
    let query = this.#scope.db.selectFrom('events').selectAll().where('seq', '>', where.after);
    if (where.subject !== undefined) query = query.where('subject', '=', where.subject);
    return (await query.orderBy('seq').limit(where.limit).execute()).map(eventOf);
  }

  async eventBounds(): Promise<{ oldest: number; newest: number }> {
    const { db, journal } = this.#scope;
    await journal.flush(db);
    const { value: newest } = await db.selectFrom('meta').select('value').where('name', '=', 'event_seq').executeTakeFirstOrThrow();
    const first = await db.selectFrom('events').select('seq').orderBy('seq').limit(1).executeTakeFirst();
    return { oldest: first?.seq ?? newest + 1, newest };
  }

  async history(vm: VmId, limit: number): Promise<readonly HistoryEntry[]> {
    const rows = await this.#scope.db.selectFrom('history').selectAll().where('vm', '=', vm).orderBy('n', 'desc').limit(limit).execute();
    return rows.map(historyOf);
  }

  async hostFacts(id: HostId): Promise<HostFacts | undefined> {
    const row = await this.#scope.db.selectFrom('host_facts').select(['id', 'facts']).where('id', '=', id).executeTakeFirst();
    return row && hostFactsOf(row);
  }

  async answer(scope: string, now: Instant): Promise<{ bodyHash: string; status: number; body: unknown } | undefined> {
    const row = await this.#scope.db
      .selectFrom('answers')
      .selectAll()
      .where('scope', '=', scope)
      .where('expires_at', '>', now)
      .executeTakeFirst();
    return (
      row && {
        bodyHash: row.body_hash,
        status: row.status,
        body: fromJson<unknown>({ table: 'answers', row: row.scope }, 'body', row.body),
      }
    );
  }
}
