import { command } from '../../command.ts';
import { unfinished } from '../../golden-build.ts';

export const goldenDelete = command({
  path: ['golden', 'delete'],
  summary: 'Delete a version that no VM and no tag uses; its number is never given again',
  args: { golden: { kind: 'text', doc: '`name@version`' } },
  options: {},
  async run({ args }, tools) {
    const building = await unfinished(args.golden, tools);
    if (building !== undefined) {
      const gone = await (await tools.api()).goldens.abandon(args.golden, { signal: tools.signal });
      return tools.out.page(gone, [
        ['golden', args.golden],
        ['state', 'deleted'],
        ['was', gone.state],
      ]);
    }
    const one = await (await tools.api()).goldens.delete(args.golden, { signal: tools.signal });
    await tools.out.page(one, [
      ['golden', `${one.name}@${one.version}`],
      ['state', one.state],
    ]);
  },
});
