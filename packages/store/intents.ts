import {
  FaultError,
  type BuildView,
  type GoldenDeed,
  type GoldenTag,
  type HostFacts,
  type HostId,
  type Instant,
  type Network,
  type Operation,
  type OperationId,
  type VmId,
} from '@linstock/contract';
import {
  stateOf,
  type BootNews,
  type BuildEnd,
  type BuildProgress,
  type CaseChange,
  type GoldenRecord,
  type Tx,
  type Vm,
  type Wish,
} from '@linstock/core';
import { addBuild, cancelBuild, endBuild, keepBuild } from './builds.ts';
import { closeCases, keepCase } from './cases.ts';
import { endOperation } from './operations.ts';
import { SqlReader } from './reader.ts';
import { goldenDeedRow, goldenTagOf, networkRow, operationRow, toJson, vmMade, vmMoved } from './rows.ts';
import type { Scope } from './scope.ts';

/** How long an answer is kept for its idempotency key, `ms`. */
const answerLife = 24 * 3_600_000;

/** What people and callers write: wishes and settings, never phases. */
export class SqlTx extends SqlReader implements Tx {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    super(scope);
    this.#scope = scope;
  }

  async addVm(vm: Vm, operation: Operation): Promise<void> {
    const { db, journal } = this.#scope;
    const taken = await db.selectFrom('vms').select('id').where('name', '=', vm.name).where('gone_at', 'is', null).executeTakeFirst();
    if (taken) throw new FaultError('vm-name-taken', { name: vm.name, id: taken.id });
    const { golden } = vm.settings;
    await db
      .insertInto('goldens')
      .values({ digest: golden.digest, manifest: toJson(golden) })
      .onConflict((c) => c.column('digest').doNothing())
      .execute();
    await db
      .insertInto('vms')
      .values({
        ...vmMade(vm),
        ...vmMoved(vm),
        gone_at: null,
        due: vm.createdAt,
        wake_seq: 1,
        rented_by: null,
        rent_until: null,
        fence: 0,
        tries: 0,
        turns: 0,
      })
      .execute();
    await db.insertInto('operations').values(operationRow(operation, vm.wishNo)).execute();
    journal.emit('vm.created', vm.id, { name: vm.name, by: vm.wishBy }, vm.createdAt);
    journal.emit('vm.wish', vm.id, { wish: vm.wish, by: vm.wishBy, operation: operation.id, kind: operation.kind }, vm.createdAt);
    journal.wake();
  }

  async wish(
    id: VmId,
    wish: Wish,
    options: { by: string; operation: OperationId; kind: string; now: Instant; reprove?: true },
  ): Promise<Vm> {
    const { db, journal } = this.#scope;
    const { by, operation, kind, now } = options;
    const before = await this.vm(id);
    if (!before) throw new FaultError('not-found', { noun: 'VM', id });
    const state = stateOf(before);
    // callers ask `allowedIn` first; this only keeps a deleted VM from coming back, whatever they asked
    if (before.phase === 'gone' || (before.wish === 'absent' && wish !== 'absent')) {
      throw new FaultError('vm-state-forbids', { action: kind, allowed: 'not deleted', id, state });
    }
    await endOperation(this.#scope, id, () => ({ state: 'replaced' }), now);
    const vm: Vm = {
      ...before,
      wish,
      wishNo: before.wishNo + 1,
      wishBy: by,
      fault: null,
      reprove: options.reprove === true,
      version: before.version + 1,
    };
    await db
      .updateTable('vms')
      .set((e) => ({ ...vmMoved(vm), due: now, wake_seq: e('wake_seq', '+', 1) }))
      .where('id', '=', id)
      .execute();
    const opened: Operation = { id: operation, kind, subject: id, by, state: 'running', openedAt: now, endedAt: null, fault: null };
    await db.insertInto('operations').values(operationRow(opened, vm.wishNo)).execute();
    journal.emit('vm.wish', id, { wish, by, operation, kind }, now);
    journal.wake();
    return vm;
  }

  async addNetwork(network: Network): Promise<void> {
    const { db } = this.#scope;
    const taken = await db
      .selectFrom('networks')
      .selectAll()
      .where((e) => e.or([e('name', '=', network.name), e('idx', '=', network.index)]))
      .executeTakeFirst();
    if (taken)
      throw new FaultError('network-clash', {
        subnet: network.subnet,
        other: `${taken.name} (${taken.subnet})`,
        device: taken.bridge ?? 'none',
      });
    await db.insertInto('networks').values(networkRow(network)).execute();
  }

  async changeNetwork(network: Network): Promise<void> {
    const { id: _, ...row } = networkRow(network);
    await this.#scope.db.updateTable('networks').set(row).where('id', '=', network.id).execute();
  }

  async addBuild(build: BuildView): Promise<void> {
    await addBuild(this.#scope, build);
  }

  async keepBuild(id: string, progress: BuildProgress, now: Instant): Promise<void> {
    await keepBuild(this.#scope, id, progress, now);
  }

  async cancelBuild(id: string, by: string, now: Instant): Promise<void> {
    await cancelBuild(this.#scope, id, by, now);
  }

  async endBuild(id: string, end: BuildEnd, now: Instant): Promise<void> {
    await endBuild(this.#scope, id, end, now);
  }

  async keepGolden(record: GoldenRecord, deed: GoldenDeed): Promise<void> {
    const { db } = this.#scope;
    const { name, version: _, ...known } = record;
    await db
      .insertInto('golden_versions')
      .values(record)
      .onConflict((c) => c.columns(['name', 'version']).doUpdateSet(known))
      .execute();
    await this.#did(name, deed);
  }

  async moveTag(move: { golden: string; tag: string; ifRevision: number | undefined }, deed: GoldenDeed): Promise<GoldenTag> {
    const { db } = this.#scope;
    const { golden, tag, ifRevision } = move;
    const there = await db.selectFrom('golden_tags').selectAll().where('golden', '=', golden).where('tag', '=', tag).executeTakeFirst();
    const revision = there?.revision ?? 0;
    if (ifRevision !== undefined && ifRevision !== revision)
      throw new FaultError('golden-tag-moved', { golden, tag, given: ifRevision, current: revision });
    const row = { golden, tag, version: deed.version, revision: revision + 1, moved_at: deed.at, moved_by: deed.by };
    await db
      .insertInto('golden_tags')
      .values(row)
      .onConflict((c) => c.columns(['golden', 'tag']).doUpdateSet(row))
      .execute();
    await this.#did(golden, { ...deed, tag, from: there?.version ?? null });
    return goldenTagOf(row);
  }

  async #did(golden: string, deed: GoldenDeed): Promise<void> {
    const { db, journal } = this.#scope;
    const last = await db
      .selectFrom('golden_deeds')
      .select((e) => e.fn.max('n').as('n'))
      .where('golden', '=', golden)
      .executeTakeFirst();
    await db
      .insertInto('golden_deeds')
      .values(goldenDeedRow(golden, (last?.n ?? 0) + 1, deed))
      .execute();
    const { at, what, ...more } = deed;
    journal.emit(`golden.${what}`, `${golden}@${deed.version}`, more, at);
  }

  async keepCase(change: CaseChange, now: Instant): Promise<void> {
    await keepCase(this.#scope, change, now);
  }

  async closeCases(vm: VmId, boot: string, now: Instant): Promise<void> {
    await closeCases(this.#scope, vm, { why: 'verified', boot }, now);
  }

  async tellNews({ boot, news }: BootNews): Promise<void> {
    await this.#scope.db.updateTable('boots').set({ news_told: news }).where('id', '=', boot).where('news_told', '<', news).execute();
  }

  async keepHostFacts(id: HostId, facts: HostFacts): Promise<void> {
    const row = { id, facts: toJson(facts), probed_at: facts.probedAt };
    await this.#scope.db
      .insertInto('host_facts')
      .values(row)
      .onConflict((c) => c.column('id').doUpdateSet({ facts: row.facts, probed_at: row.probed_at }))
      .execute();
  }

  async keepAnswer(scope: string, answer: { bodyHash: string; status: number; body: unknown }, now: Instant): Promise<void> {
    const { db } = this.#scope;
    await db.deleteFrom('answers').where('expires_at', '<=', now).execute(); // a used-up key among it
    await db
      .insertInto('answers')
      .values({ scope, body_hash: answer.bodyHash, status: answer.status, body: toJson(answer.body ?? null), expires_at: now + answerLife })
      .execute();
  }

  async emit(type: string, subject: string, data: Record<string, unknown>, now: Instant): Promise<void> {
    this.#scope.journal.emit(type, subject, data, now);
  }
}
