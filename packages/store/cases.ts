import type { Case, CaseView, Instant } from '@linstock/contract';
import type { CaseChange } from '@linstock/core';
import { caseRow } from './rows.ts';
import type { Scope } from './scope.ts';

/** Writes a case as it stands now. That it was seen again is no event: a VM that keeps failing would fill the log. */
export async function keepCase(scope: Scope, { is, case: one }: CaseChange, now: Instant): Promise<void> {
  const { id, ...row } = caseRow(one);
  if (is === 'opened')
    await scope.db
      .insertInto('cases')
      .values({ id, ...row })
      .execute();
  else await scope.db.updateTable('cases').set(row).where('id', '=', id).execute();
  if (is !== 'seen') scope.journal.emit(`case.${is}`, one.vm, toldOf(one), now);
}

/** Ends every open case of a VM: because a boot of it was proved, or because it is gone. */
export async function closeCases(scope: Scope, vm: string, closed: NonNullable<Case['closed']>, now: Instant): Promise<void> {
  const ended = await scope.db
    .updateTable('cases')
    .set({ closed_at: now, closed_why: closed.why, closed_boot: closed.boot })
    .where('vm', '=', vm)
    .where('closed_at', 'is', null)
    .returning(['id', 'code', 'title'])
    .execute();
  const sorted = ended.toSorted((a, b) => (a.id < b.id ? -1 : 1)); // `returning` has no order
  for (const { id, code, title } of sorted) scope.journal.emit('case.closed', vm, { case: id, code, title, ...closed }, now);
}

function toldOf(one: CaseView): Record<string, unknown> {
  return { case: one.id, code: one.code, title: one.title, confidence: one.confidence, boot: one.boot };
}
