import { command, UsageError } from '../../command.ts';
import { tagPage } from './tag.ts';

export const goldenRollback = command({
  path: ['golden', 'rollback'],
  summary: 'Move a tag back to the version that it was at before; VMs that run are not touched',
  args: { golden: { kind: 'text', doc: '`name:tag`' } },
  options: {
    ifRevision: { kind: 'number', flag: '--if-revision <n>', doc: 'only when the tag is at this revision' },
    reason: { kind: 'text', flag: '--reason <text>', doc: 'kept with it' },
  },
  async run({ args, options }, tools) {
    const match = /^([^@:]+):([^@:]+)$/.exec(args.golden);
    if (match?.[1] === undefined || match[2] === undefined) throw new UsageError(`${args.golden}: a tag is named as in tiny:stable`);
    const { ifRevision, reason } = options;
    const body = { ...(ifRevision === undefined ? {} : { ifRevision }), ...(reason === undefined ? {} : { reason }) };
    await tagPage(tools, await (await tools.api()).goldens.rollback(match[1], match[2], body, { signal: tools.signal }));
  },
});
