import { command } from '../../command.ts';

export const goldenDiff = command({
  path: ['golden', 'diff'],
  summary: 'Show what changed from one golden image version to another',
  args: { from: { kind: 'text', doc: '`name@version` or `name:tag`' }, to: { kind: 'text', doc: 'the other' } },
  options: {},
  async run({ args }, tools) {
    const diff = await (await tools.api()).goldens.diff(args.from, args.to, { signal: tools.signal });
    await tools.out.rows(
      diff,
      ['what', diff.from, diff.to],
      diff.parts.map(({ what, from, to }) => [what, from ?? '-', to ?? '-']),
      `${diff.from} and ${diff.to} are made of the same.`,
    );
  },
});
