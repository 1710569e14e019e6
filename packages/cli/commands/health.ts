import type { Health } from '@linstock/contract';
import { command } from '../command.ts';
import { moment } from '../render.ts';

export const health = command({
  path: ['health'],
  summary: 'Show which build serves since when, and whether it is the one on disk',
  args: {},
  options: {},
  async run(_, tools) {
    const one = await (await tools.api()).health({ signal: tools.signal });
    const { cases } = one as { cases?: Health['cases'] }; // an older controller, which is what this command tells, has none
    await tools.out.page(one, [
      ['version', `${one.version}${one.commit === null ? '' : ` (${one.commit})`}`],
      ['since', `${moment(one.startedAt)}  pid ${one.pid}`],
      ['state', one.stateFolder],
      [
        'code',
        one.current
          ? { text: 'the one on disk', paint: 'green' }
          : { text: `older than the one on disk; restart it: ${tools.self} down, then ${tools.self} up`, paint: 'yellow' },
      ],
      ['vms', String(one.vms)],
      ['open cases', Object.entries(cases ?? {}).map(([code, n]) => `${n} × ${code}`)],
    ]);
  },
});
