import { command, UsageError } from '../../command.ts';
import { tagPage } from './tag.ts';

export const goldenPromote = command({
  path: ['golden', 'promote'],
  summary: 'Move a tag to a version that was proved',
  args: { golden: { kind: 'text', doc: '`name@version`' }, tag: { kind: 'text', doc: 'such as stable or canary' } },
  options: {
    ifRevision: { kind: 'number', flag: '--if-revision <n>', doc: 'only when the tag is at this revision; 0: only when it is not there' },
    waive: { kind: 'text', flag: '--waive <reason>', doc: 'promote a version that was not proved; the reason is kept' },
  },
  async run({ args, options }, tools) {
    const match = /^([^@:]+)@(\d{1,9})$/.exec(args.golden);
    if (match?.[1] === undefined) throw new UsageError(`${args.golden}: a version is named as in tiny@3`);
    const { ifRevision, waive } = options;
    const body = { version: Number(match[2]), ...(ifRevision === undefined ? {} : { ifRevision }), ...(waive === undefined ? {} : { waive }) };
    await tagPage(tools, await (await tools.api()).goldens.promote(match[1], args.tag, body, { signal: tools.signal }));
  },
});
