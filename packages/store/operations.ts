import { type Fault, type Instant, type VmId } from '@linstock/contract';
import { stateOf, type Vm, type Wish } from '@linstock/core';
import { toJsonOrNull } from './rows.ts';
import type { Scope } from './scope.ts';

type End = { state: 'succeeded' } | { state: 'failed'; fault: Fault } | { state: 'replaced' };

/** The state in which a wish has come true. */
const wished = { running: 'running', paused: 'paused', stopped: 'stopped', absent: 'deleted' } as const satisfies Record<Wish, string>;

/** What the operation behind the present wish has come to; null while it is under way. */
export function endOf(kind: string, vm: Vm): End | null {
  const state = stateOf(vm);
  if (state === 'failed' && vm.fault) return { state: 'failed', fault: vm.fault };
  if (state !== wished[vm.wish]) return null;
  // a running VM is no answer to the wish to look at it again
  if (kind === 'vm.verify' && (vm.reprove || vm.phase !== 'up')) return null;
  return { state: 'succeeded' };
}

/** Ends the open operation of a VM when `end` says so. The state is part of the condition, so it ends once. */
export async function endOperation(scope: Scope, vm: VmId, end: (kind: string) => End | null, now: Instant): Promise<void> {
  const open = await scope.db
    .selectFrom('operations')
    .select(['id', 'kind'])
    .where('subject', '=', vm)
    .where('state', '=', 'running')
    .executeTakeFirst();
  const ended = open && end(open.kind);
  if (!open || !ended) return;
  const fault = ended.state === 'failed' ? ended.fault : null;
  const done = await scope.db
    .updateTable('operations')
    .set({ state: ended.state, ended_at: now, fault: toJsonOrNull(fault) })
    .where('id', '=', open.id)
    .where('state', '=', 'running')
    .executeTakeFirst();
  if (done.numUpdatedRows === 1n) {
    scope.journal.emit('operation.ended', vm, { operation: open.id, kind: open.kind, state: ended.state, ...(fault && { fault }) }, now);
  }
}

export async function settle(scope: Scope, vm: Vm, now: Instant): Promise<void> {
  await endOperation(scope, vm.id, (kind) => endOf(kind, vm), now);
}
