import { command } from '../../command.ts';
import { vmPairs } from '../../vm-page.ts';

export const vmShow = command({
  path: ['vm', 'show'],
  summary: 'Show a VM as it stands',
  args: { vm: { kind: 'text', doc: 'name or id' } },
  options: {},
  async run({ args }, tools) {
    const vm = await (await tools.api()).vms.show(args.vm, { signal: tools.signal });
    await tools.out.page(vm, vmPairs(vm));
  },
});
