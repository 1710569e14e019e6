import { FaultError, vmSpecSchema, type Network, type Operation, type VmId, type VmSpecInput } from '@linstock/contract';
import { slotsOf, usableGoldens, type Reader, type Tx, type Vm, type Wish } from '@linstock/core';
import type { Parts } from './parts.ts';
import { planVm } from './plan-vm.ts';

/** A VM that is to be added in the same transaction, with the operation that opens its life. */
export async function createVm(
  tx: Tx,
  parts: Parts,
  given: VmSpecInput & { id?: VmId },
  by: string,
  known: Pick<Parameters<typeof planVm>[1], 'goldens' | 'facts'>,
): Promise<{ vm: Vm; operation: Operation }> {
  const now = parts.now();
  const { id = parts.ids.next('vm', now), ...rest } = given;
  const spec = vmSpecSchema.parse(rest);
  const name = spec.name ?? id.replace('vm_', 'vm-').slice(0, 24);
  const taken = (await tx.vmsNamed(name)).find((vm) => vm.phase !== 'gone'); // a deleted VM has given its name back
  if (taken) throw new FaultError('vm-name-taken', { name, id: taken.id });
  const settings = planVm(spec, {
    ...known,
    goldens: usableGoldens(known.goldens, await tx.goldenRecords()),
    tags: await tx.goldenTags(),
    networks: await tx.networks(),
    mark: parts.host.mark,
    id,
  });
  if (spec.start) await refuseFull(tx, settings.network);
  const wish: Wish = spec.start ? 'running' : 'stopped';
  const vm: Vm = {
    id,
    name,
    settings,
    wish,
    wishNo: 1,
    wishBy: by,
    phase: 'new',
    claim: null,
    verified: null,
    reprove: false,
    paused: false,
    deadline: null,
    stumble: null,
    fault: null,
    createdAt: now,
    version: 1,
  };
  const operation: Operation = {
    id: parts.ids.next('op', now),
    kind: 'vm.create',
    subject: id,
    by,
    state: 'running',
    openedAt: now,
    endedAt: null,
    fault: null,
  };
  return { vm, operation };
}

/** At once, instead of a VM that fails a moment later. The claim itself is made with the boot, and it has the last word. */
export async function refuseFull(tx: Reader, network: Network): Promise<void> {
  const slots = slotsOf(network);
  if ((await tx.leases(network.index)).length >= slots) throw new FaultError('network-full', { network: network.name, slots });
}
