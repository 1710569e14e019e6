import { command } from '../../command.ts';

export const goldenDelete = command({
  path: ['golden', 'delete'],
  summary: 'Delete a version that no VM and no tag uses; its number is never given again',
  args: { golden: { kind: 'text', doc: '`name@version`' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).goldens.delete(args.golden, { signal: tools.signal });
    await tools.out.page(one, [
      ['golden', `${one.name}@${one.version}`],
      ['state', one.state],
    ]);
  },
});
