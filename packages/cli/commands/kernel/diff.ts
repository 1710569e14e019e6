import { command } from '../../command.ts';
import { loadKernels } from '../../daemon-face.ts';
import { diffLines } from '../../kernel-page.ts';

export const kernelDiff = command({
  path: ['kernel', 'diff'],
  summary: 'Show in what two kernel files differ, as far as it is known of both',
  args: { a: { kind: 'text', doc: 'a kernel file' }, b: { kind: 'text', doc: 'another' } },
  options: {
    configA: { kind: 'text', flag: '--config-a <file>', doc: 'the configuration of the first' },
    configB: { kind: 'text', flag: '--config-b <file>', doc: 'the configuration of the second' },
  },
  async run({ args, options }, { out, signal }) {
    const { lookAtTwoKernels } = await loadKernels();
    const diff = await lookAtTwoKernels(
      { path: args.a, configPath: options.configA, signal },
      { path: args.b, configPath: options.configB, signal },
    );
    await out.answer(diff, () => diffLines(diff, out.style));
  },
});
