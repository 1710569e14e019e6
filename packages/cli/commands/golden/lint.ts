import { command, exitCodes } from '../../command.ts';
import { findingLines } from '../../rootfs-page.ts';

export const goldenLint = command({
  path: ['golden', 'lint'],
  summary: 'Say what a static look at a version finds, before any boot',
  args: { golden: { kind: 'text', doc: '`name` for its newest version, `name@version` or `name:tag`' } },
  options: {},
  async run({ args }, tools) {
    const { golden, findings } = await (await tools.api()).goldens.lint(args.golden, { signal: tools.signal });
    await tools.out.answer({ golden, findings }, () => findingLines(golden, findings, tools.out.style));
    return findings.some(({ severity }) => severity === 'error') ? exitCodes.fault : exitCodes.done;
  },
});
