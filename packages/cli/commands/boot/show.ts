import { command } from '../../command.ts';
import { bootPairs } from '../../vm-page.ts';
import { page } from '../../render.ts';

export const bootShow = command({
  path: ['boot', 'show'],
  summary: 'Show one boot: what was asked, what took effect, timeline, proof, end',
  args: { boot: { kind: 'text', doc: 'boot id' } },
  options: { evidence: { kind: 'flag', flag: '--evidence', doc: 'with the evidence of every condition' } },
  async run({ args, options }, tools) {
    const boot = await (await tools.api()).boots.show(args.boot, { signal: tools.signal });
    const { out } = tools;
    await out.answer(boot, () => [
      ...page(bootPairs(boot), out.style),
      '',
      ...out.timeline(boot.timeline),
      ...(boot.proof === null ? [] : ['', ...out.proof(boot.proof, { evidence: options.evidence })]),
    ]);
  },
});
