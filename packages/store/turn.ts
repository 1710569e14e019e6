/**
 * What one turn of the program leaves behind: the change, the boot, the claims, the history and the events
 * are one transaction, so a crash shows either all of it or nothing.
 */
import { faults, type Fault, type FaultCode, type Instant } from '@linstock/contract';
import { slotsOf, stateOf, type Change, type Claim, type HistoryEntry, type Lease, type Vm } from '@linstock/core';
import { sql } from 'kysely';
import { closeCases } from './cases.ts';
import { settle } from './operations.ts';
import { vmsOf } from './reader.ts';
import { fromJson, hostFactsOf, milestoneLine, toJson, toJsonOrNull, vmMoved, type VmRow } from './rows.ts';
import type { Scope } from './scope.ts';

/** Turns kept per VM: some hours of a restless one, the whole life of a quiet one. */
const mostHistory = 200;
/** Characters of milestones per boot. A boot has a dozen; one that is proved again every minute must not grow for ever. */
const mostMilestones = 8_000;

/** The row behind a lease, locked; undefined when the lease was lost or given back. */
export async function heldRow(scope: Scope, lease: Lease): Promise<VmRow | undefined> {
  const query = scope.db
    .selectFrom('vms')
    .selectAll()
    .where('id', '=', lease.vm.id)
    .where('fence', '=', lease.fence)
    .where('rented_by', 'is not', null);
  // a rent that ran out but was taken by nobody is still ours: the fence proves that no one else acted
  return (scope.locks ? query.forUpdate() : query).executeTakeFirst();
}

export async function recordTurn(
  scope: Scope,
  lease: Lease,
  change: Change,
  now: Instant,
  entry: HistoryEntry,
  rentMs: number,
): Promise<Lease | null> {
  const row = await heldRow(scope, lease);
  if (!row) return null;
  const [before] = await vmsOf(scope, [row]);
  if (!before) return null;
  const wishIsNewer = before.wishNo !== lease.vm.wishNo;
  const taken = change.boot && 'take' in change.boot ? await takeSlot(scope, before, change.boot.take, now) : null;
  const vm = taken && 'fault' in taken ? refused(before, taken.fault) : changed(before, change, taken, now, wishIsNewer);

  await keepBoot(scope, before, vm, change, now);
  const until = now + rentMs;
  const turns = row.turns + 1;
  await scope.db
    .updateTable('vms')
    .set({ ...vmMoved(vm), gone_at: vm.phase === 'gone' ? now : null, due: now, rent_until: until, tries: 0, turns })
    .where('id', '=', vm.id)
    .execute();
  if (vm.phase === 'gone' && before.phase !== 'gone') await closeCases(scope, vm.id, { why: 'deleted', boot: null }, now);
  await keepHistory(scope, vm, turns, entry);
  tell(scope, before, vm, change, now);
  await settle(scope, vm, now);
  return { vm, fence: lease.fence, wakeSeq: row.wake_seq, until };
}

/** The record after the change. Progress clears the stumble. */
function changed(before: Vm, change: Change, claim: Claim | null, now: Instant, wishIsNewer: boolean): Vm {
  const release = change.boot !== undefined && 'release' in change.boot;
  const vm: Vm = { ...before, stumble: null, version: before.version + 1 };
  if (change.phase !== undefined) vm.phase = change.phase;
  if (change.fault !== undefined) vm.fault = change.fault;
  // somebody asked for it to end while the program found that it had ended: that is no failure of the new wish
  if (change.fault && wishIsNewer && (before.wish === 'stopped' || before.wish === 'absent')) vm.fault = before.fault;
  if (change.proof !== undefined) vm.verified = change.proof.verified;
  // a proof that was begun before somebody asked again is not the answer to that
  if (change.reprove === false && !wishIsNewer) vm.reprove = false;
  if (change.paused !== undefined) vm.paused = change.paused;
  if (change.deadlineInMs !== undefined) vm.deadline = change.deadlineInMs === null ? null : now + change.deadlineInMs;
  if (claim) Object.assign(vm, { claim, verified: null, paused: false } satisfies Partial<Vm>);
  if (release) Object.assign(vm, { claim: null, verified: null, paused: false } satisfies Partial<Vm>);
  return vm;
}

/** Nothing was taken, so there is nothing to take down: it stays where it was, with the reason. */
function refused(before: Vm, fault: Fault): Vm {
  return { ...before, phase: 'idle', fault, deadline: null, stumble: null, version: before.version + 1 };
}

async function takeSlot(scope: Scope, vm: Vm, hostBoot: string, now: Instant): Promise<Claim | { fault: Fault }> {
  const { db, dialect, ids } = scope;
  const { network, golden, vmm } = vm.settings;
  await dialect.lock(db, { what: 'slots', network: network.index });
  // the lowest free slot is 0, or follows one that is taken
  const { rows } = await sql<{ slot: number | null }>`
    select min(c.slot) as slot
    from (select 0 as slot union all select slot + 1 from leases where network_index = ${network.index}) c
    where not exists (select 1 from leases l where l.network_index = ${network.index} and l.slot = c.slot)`.execute(db);
  const slot = rows[0]?.slot ?? 0;
  const slots = slotsOf(network);
  if (slot >= slots) return { fault: { code: 'network-full', data: { network: network.name, slots } } };
  const facts = await db.selectFrom('host_facts').select(['id', 'facts']).orderBy('probed_at', 'desc').limit(1).executeTakeFirst();
  const id = ids.next('boot', now);
  await db
    .insertInto('boots')
    .values({
      id,
      vm: vm.id,
      vm_name: vm.name,
      kind: 'cold',
      started_at: now,
      ended_at: null,
      end_reason: null,
      end_actor: null,
      end_exit: null,
      golden_name: golden.name,
      golden_version: golden.version,
      golden_digest: golden.digest,
      vmm,
      // Firecracker knows no other; of the rest the host's probe boot decided
      accelerator: vmm === 'firecracker' ? 'kvm' : facts ? hostFactsOf(facts).accelerator : 'unknown',
      network_index: network.index,
      slot,
      milestones: '',
      proof: null,
      fault: null,
      news: 0,
      news_told: 0,
    })
    .execute();
  await db.insertInto('leases').values({ network_index: network.index, slot, vm: vm.id, boot: id }).execute();
  return { id, slot, hostBoot };
}

/** Who ended a boot that a fault ended. Time limits are ours; what the guest or the host did is theirs. */
function actorOf(code: FaultCode): string {
  if (code === 'took-too-long') return 'controller';
  return faults[code].family === 'guest' ? 'guest' : 'host';
}

async function keepBoot(scope: Scope, before: Vm, vm: Vm, change: Change, now: Instant): Promise<void> {
  const claim = vm.claim ?? before.claim;
  if (!claim) return;
  const { db } = scope;
  const boot = db.updateTable('boots').where('id', '=', claim.id);
  if (change.proof) await boot.set({ proof: toJson(change.proof) }).execute();
  // a boot that failed is news when it is over: while it is taken down, half of it is missing for no reason of its own
  if (change.proof && before.phase !== 'autopsy') await boot.set((e) => ({ news: e('news', '+', 1) })).execute();
  if (change.fault) await boot.set({ fault: toJsonOrNull(change.fault) }).execute();
  if (vm.phase !== before.phase && vm.claim) {
    const line = milestoneLine({ what: vm.phase, at: now });
    await boot
      .set((e) => ({ milestones: sql<string>`${e.ref('milestones')} || ${line}` }))
      .where(({ fn }) => fn<number>('length', ['milestones']), '<', mostMilestones)
      .execute();
  }
  if (change.boot === undefined || !('release' in change.boot)) return;
  const { release, exit = null } = change.boot;
  const ended = await db.selectFrom('boots').select('fault').where('id', '=', claim.id).executeTakeFirst();
  // the boot knows its own fault, even when a later wish cleared that of the VM
  const fault = ended?.fault ? fromJson<Fault>({ table: 'boots', row: claim.id }, 'fault', ended.fault) : null;
  const actor = fault ? actorOf(fault.code) : release === 'host-rebooted' ? 'host' : vm.wishBy;
  if (fault) await boot.set((e) => ({ news: e('news', '+', 1) })).execute();
  await boot.set({ ended_at: now, end_reason: fault?.code ?? release, end_actor: actor, end_exit: exit }).execute();
  await db.deleteFrom('leases').where('boot', '=', claim.id).execute();
}

async function keepHistory(scope: Scope, vm: Vm, n: number, entry: HistoryEntry): Promise<void> {
  const { at, phase, decision, outcome, ms } = entry;
  await scope.db.insertInto('history').values({ vm: vm.id, n, at, phase, decision, outcome, ms }).execute();
  if (n > mostHistory) {
    await scope.db
      .deleteFrom('history')
      .where('vm', '=', vm.id)
      .where('n', '<=', n - mostHistory)
      .execute();
  }
}

/** Everything that happened to a VM has the VM as its subject: one filter shows its whole story. */
function tell(scope: Scope, before: Vm, vm: Vm, change: Change, now: Instant): void {
  const boot = vm.claim?.id ?? before.claim?.id ?? null;
  if (vm.phase !== before.phase) {
    const data = { from: before.phase, to: vm.phase, state: stateOf(vm), boot, ...(vm.fault && { fault: vm.fault }), version: vm.version };
    scope.journal.emit('vm.phase', vm.id, data, now);
  } else if (vm.paused !== before.paused || vm.fault !== before.fault) {
    scope.journal.emit('vm.state', vm.id, { state: stateOf(vm), boot, ...(vm.fault && { fault: vm.fault }), version: vm.version }, now);
  }
  if (change.proof) scope.journal.emit(`boot.${change.proof.verified}`, vm.id, { boot, furthest: change.proof.furthest }, now);
}
