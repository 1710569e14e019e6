import { command } from '../../command.ts';
import { loadKernels } from '../../daemon-face.ts';
import { diffLines } from '../../kernel-page.ts';
import { kernelNamed } from './page.ts';

export const kernelDiff = command({
  path: ['kernel', 'diff'],
  summary: 'Show in what two kernel files differ, as far as it is known of both',
  args: {
    a: { kind: 'text', doc: 'a kernel file; where there is no such file, the name of a kernel that is kept' },
    b: { kind: 'text', doc: 'another' },
  },
  options: {
    configA: { kind: 'text', flag: '--config-a <file>', doc: 'the configuration of the first' },
    configB: { kind: 'text', flag: '--config-b <file>', doc: 'the configuration of the second' },
  },
  async run({ args, options }, tools) {
    const { out } = tools;
    const { lookAtTwoKernels } = await loadKernels();
    const diff = await lookAtTwoKernels(
      await kernelNamed(args.a, options.configA, tools),
      await kernelNamed(args.b, options.configB, tools),
    );
    await out.answer(diff, () => diffLines(diff, out.style));
  },
});
