import type { CaseView } from '@linstock/contract';
import { command, UsageError } from '../../command.ts';
import { age } from '../../render.ts';

export const caseList = command({
  path: ['case', 'list'],
  summary: 'List what is wrong with VMs now, oldest first',
  args: {},
  options: {
    vm: { kind: 'text', flag: '--vm <vm>', doc: 'of this VM only' },
    closed: { kind: 'flag', flag: '--closed', doc: 'those that are over' },
    all: { kind: 'flag', flag: '--all', doc: 'open and closed ones' },
  },
  async run({ options }, tools) {
    if (options.closed && options.all) throw new UsageError('--closed and --all: one of them');
    const state = options.all ? 'all' : options.closed ? 'closed' : 'open';
    const api = await tools.api();
    const items: CaseView[] = [];
    for await (const one of api.cases.list({ signal: tools.signal, state, ...(options.vm === undefined ? {} : { vm: options.vm }) }))
      items.push(one);
    await tools.out.rows(
      { items },
      ['case', 'vm', 'state', 'code', 'confidence', 'boots', 'seen', 'title'],
      items.map((one) => [
        one.id,
        one.vmName,
        one.closed === null ? { text: 'open', paint: 'red' } : one.closed.why,
        one.code,
        one.guestWord ? `${one.confidence}, said by the guest` : one.confidence,
        String(one.boots),
        age(one.seenAt, tools.chance.now()),
        one.title,
      ]),
      state === 'open' ? 'There is no open case.' : 'There is none.',
    );
  },
});
