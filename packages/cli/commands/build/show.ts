import { command } from '../../command.ts';
import { buildPairs } from './page.ts';

export const buildShow = command({
  path: ['build', 'show'],
  summary: 'Show how far a build of the controller is, or what came of it',
  args: { build: { kind: 'text', doc: 'its id' } },
  options: {},
  async run({ args }, tools) {
    const one = await (await tools.api()).builds.show(args.build, { signal: tools.signal });
    await tools.out.page(one, buildPairs(one));
  },
});
