import { command } from '../../command.ts';
import { moment } from '../../render.ts';

export const goldenHistory = command({
  path: ['golden', 'history'],
  summary: 'Show who did what to a golden image, when, and on which evidence',
  args: { golden: { kind: 'text', doc: 'its name' } },
  options: { limit: { kind: 'number', flag: '--limit <n>', doc: 'how many, newest first (100)' } },
  async run({ args, options }, tools) {
    const { limit } = options;
    const items = await (await tools.api()).goldens.history(args.golden, { signal: tools.signal, ...(limit === undefined ? {} : { limit }) });
    await tools.out.rows(
      { items },
      ['when', 'who', 'what', 'version', 'tag', 'from', 'evidence', 'reason'],
      items.map((one) => [
        moment(one.at),
        one.by,
        one.what,
        `${args.golden}@${one.version}`,
        one.tag ?? '-',
        one.from === null ? '-' : `${args.golden}@${one.from}`,
        one.boot ?? '-',
        one.reason ?? '-',
      ]),
      `Nothing has happened to ${args.golden} yet.`,
    );
  },
});
