import { command } from '../../command.ts';
import { buildPairs } from './page.ts';

/** What a build does lets go in seconds; a tool that does not is killed. */
const WAIT_SECONDS = 30;

export const buildCancel = command({
  path: ['build', 'cancel'],
  summary: 'End a build of the controller; what it has made so far is used by the next one',
  args: { build: { kind: 'text', doc: 'its id' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).builds.cancel(args.build, { signal: tools.signal, waitSeconds: WAIT_SECONDS });
    await tools.out.page(one, buildPairs(one));
  },
});
