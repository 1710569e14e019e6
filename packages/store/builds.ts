import { FaultError, type BuildOrder, type BuildResult, type BuildView, type Instant } from '@linstock/contract';
import type { BuildEnd, BuildProgress } from '@linstock/core';
import type { Db } from './dialects/dialect.ts';
import { fromJson, fromJsonOrNull, operationOf, operationRow, toJson, toJsonOrNull, type BuildRow, type OperationRow } from './rows.ts';
import type { Scope } from './scope.ts';

/** Newest first. */
export async function buildsWhere({ db }: Pick<Scope, 'db'>, where: { id?: string; running?: true; limit?: number }): Promise<BuildView[]> {
  let query = db.selectFrom('builds').innerJoin('operations', 'operations.id', 'builds.operation').selectAll();
  if (where.id !== undefined) query = query.where('operations.id', '=', where.id);
  if (where.running === true) query = query.where('operations.state', '=', 'running');
  if (where.limit !== undefined) query = query.limit(where.limit);
  return (await query.orderBy('operations.id', 'desc').execute()).map(viewOf);
}

/** A fault when the same is under way: an index allows one open operation of a subject. */
export async function addBuild({ db, journal }: Scope, build: BuildView): Promise<void> {
  const { id, order, steps, far, tries, cancelBy, result, ...operation } = build;
  const added = await db
    .insertInto('operations')
    .values(operationRow({ id, ...operation }, 0))
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  if (added.numInsertedOrUpdatedRows !== 1n) {
    const { subject } = build;
    const same = (await buildsWhere({ db }, { running: true })).find((one) => one.subject === subject);
    throw new FaultError('build-under-way', { subject, id: same?.id ?? id });
  }
  const row = {
    work: toJson(order),
    steps: toJson(steps),
    far: toJsonOrNull(far),
    tries,
    cancel_by: cancelBy,
    result: toJsonOrNull(result),
  };
  await db
    .insertInto('builds')
    .values({ operation: id, ...row })
    .execute();
  journal.emit('build.asked', id, { kind: build.kind, subject: build.subject, by: build.by }, build.openedAt);
}

export async function keepBuild({ db, journal }: Scope, id: string, progress: BuildProgress, now: Instant): Promise<void> {
  const { tries, steps, far, began } = progress;
  await db
    .updateTable('builds')
    .set({ tries, steps: toJson(steps), far: toJsonOrNull(far) })
    .where('operation', '=', id)
    .execute();
  if (began !== null) journal.emit('build.step', id, { step: began }, now);
}

/** Of two who ask the first is named. */
export async function cancelBuild({ db, journal }: Scope, id: string, by: string, now: Instant): Promise<void> {
  const done = await db
    .updateTable('builds')
    .set({ cancel_by: by })
    .where('operation', '=', id)
    .where('cancel_by', 'is', null)
    .executeTakeFirst();
  if (done.numUpdatedRows === 1n) journal.emit('build.cancel', id, { by }, now);
}

/** Those that ended before then. */
export async function forgetBuilds(db: Db, before: Instant): Promise<void> {
  const old = db.selectFrom('operations').select('id').where('ended_at', '<', before);
  const gone = (await db.selectFrom('builds').select('operation').where('operation', 'in', old).execute()).map(
    ({ operation }) => operation,
  );
  if (gone.length === 0) return;
  await db.deleteFrom('builds').where('operation', 'in', gone).execute();
  await db.deleteFrom('operations').where('id', 'in', gone).execute();
}

/** It ends once. */
export async function endBuild({ db, journal }: Scope, id: string, end: BuildEnd, now: Instant): Promise<void> {
  const [state, fault, result] = end.is === 'done' ? ['succeeded' as const, null, end.result] : ['failed' as const, end.fault, null];
  const done = await db
    .updateTable('operations')
    .set({ state, ended_at: now, fault: toJsonOrNull(fault) })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirst();
  if (done.numUpdatedRows !== 1n) return;
  await db
    .updateTable('builds')
    .set({ result: toJsonOrNull(result), far: null })
    .where('operation', '=', id)
    .execute();
  journal.emit('operation.ended', id, { operation: id, state, ...(fault === null ? {} : { fault }) }, now);
}

function viewOf(row: BuildRow & OperationRow): BuildView {
  const place = { table: 'builds', row: row.operation };
  return {
    ...operationOf(row),
    order: fromJson<BuildOrder>(place, 'work', row.work),
    steps: fromJson<BuildView['steps']>(place, 'steps', row.steps),
    far: fromJsonOrNull<NonNullable<BuildView['far']>>(place, 'far', row.far),
    tries: row.tries,
    cancelBy: row.cancel_by,
    result: fromJsonOrNull<BuildResult>(place, 'result', row.result),
  };
}
