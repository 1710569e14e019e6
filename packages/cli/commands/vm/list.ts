import type { VmView } from '@linstock/contract';
import { command } from '../../command.ts';
import { age } from '../../render.ts';
import { reachOf, stateCell, verifiedCell } from '../../vm-page.ts';

export const vmList = command({
  path: ['vm', 'list'],
  summary: 'List VMs, oldest first',
  args: {},
  options: { deleted: { kind: 'flag', flag: '--deleted', doc: 'those that were deleted too' } },
  async run({ options }, tools) {
    const api = await tools.api();
    const items: VmView[] = [];
    for await (const vm of api.vms.list({ signal: tools.signal, ...(options.deleted ? { deleted: true } : {}) })) items.push(vm);
    await tools.out.rows(
      { items },
      ['name', 'state', 'verified', 'golden', 'address', 'vcpus', 'memory', 'age', 'reach', 'id'],
      items.map((vm) => [
        vm.name,
        stateCell(vm),
        verifiedCell(vm),
        `${vm.golden.name}@${vm.golden.version}`,
        vm.address ?? '-',
        String(vm.vcpus),
        `${vm.memoryMiB} MiB`,
        age(vm.createdAt, tools.chance.now()),
        reachOf(vm),
        vm.id,
      ]),
      `There are no VMs. Make one: ${tools.self} vm create --wait verified`,
    );
  },
});
