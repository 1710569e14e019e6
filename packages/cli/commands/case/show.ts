import { command } from '../../command.ts';
import { diagnosisPage } from '../../diagnosis-page.ts';
import { moment, page } from '../../render.ts';

export const caseShow = command({
  path: ['case', 'show'],
  summary: 'Show one case: what is wrong, the lines that show it, what to do',
  args: { case: { kind: 'text', doc: 'case id' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).cases.show(args.case, { signal: tools.signal });
    const { out } = tools;
    const { closed, closedAt } = one;
    const over = closed?.why === 'deleted' ? 'its VM was deleted' : `boot ${closed?.boot ?? '?'} was proved`;
    await out.answer(one, () => [
      ...page(
        [
          ['case', one.id],
          ['code', one.code],
          ['title', { text: one.title, paint: one.state === 'open' ? 'red' : 'dim' }],
          ['vm', `${one.vmName}  ${one.vm}`],
          [
            'confidence',
            one.guestWord ? `${one.confidence}; any process of the guest could have written every line of it` : one.confidence,
          ],
          ['opened', `${moment(one.openedAt)}  boot ${one.firstBoot}`],
          ['last seen', `${moment(one.seenAt)}  boot ${one.boot}  (${one.boots} boot${one.boots === 1 ? '' : 's'})`],
          ['closed', closedAt === null ? '-' : `${moment(closedAt)}  ${over}`],
        ],
        out.style,
      ),
      '',
      ...diagnosisPage(one.diagnosis, out.style),
    ]);
  },
});
