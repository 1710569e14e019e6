import { command } from '../../command.ts';
import { moment, took } from '../../render.ts';

export const operationShow = command({
  path: ['operation', 'show'],
  summary: 'Show where a change stands',
  args: { operation: { kind: 'text', doc: 'operation id' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).operations.show(args.operation, { signal: tools.signal });
    await tools.out.page(one, [
      ['operation', one.id],
      ['kind', one.kind],
      ['subject', one.subject],
      ['by', one.by],
      ['state', one.state === 'failed' ? { text: one.state, paint: 'red' } : one.state],
      ['opened', moment(one.openedAt)],
      ['ended', one.endedAt === null ? '-' : `${moment(one.endedAt)}  after ${took(one.endedAt - one.openedAt)}`],
      ['fault', one.fault === null ? '-' : `${one.fault.code}: ${Object.values(one.fault.data).join(' ')}`],
    ]);
  },
});
