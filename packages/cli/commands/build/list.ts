import { command } from '../../command.ts';
import { moment } from '../../render.ts';
import { resultOf, stateCell } from './page.ts';

export const buildList = command({
  path: ['build', 'list'],
  summary: 'List the builds of the controller, newest first',
  args: {},
  options: {},
  async run(_, tools) {
    const items = await (await tools.api()).builds.list({ signal: tools.signal });
    await tools.out.rows(
      { items },
      ['build', 'of', 'state', 'asked', 'result', 'step'],
      items.map((one) => [one.id, one.subject, stateCell(one), moment(one.openedAt), resultOf(one), one.steps.at(-1)?.name ?? '-']),
      'The controller has built nothing yet.',
    );
  },
});
