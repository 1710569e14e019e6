import { command } from '../../command.ts';
import { loadKernels } from '../../daemon-face.ts';
import { kernelPairs, optionLines } from '../../kernel-page.ts';
import { page } from '../../render.ts';
import { kernelNamed } from './page.ts';

export const kernelInspect = command({
  path: ['kernel', 'inspect'],
  summary: 'Show what a kernel file is and which options are in it, each with how it is known; no controller, no root',
  args: {
    file: {
      kind: 'text',
      doc: 'vmlinux, bzImage, arm64 Image or EFI zboot image; where there is no such file, the name of a kernel that is kept',
    },
  },
  options: {
    config: { kind: 'text', flag: '--config <file>', doc: 'its configuration; not believed where the kernel contradicts it' },
    option: { kind: 'list', flag: '--option <name>', doc: 'only this option, with or without CONFIG_ (repeatable)' },
    all: { kind: 'flag', flag: '--all', doc: 'every option that its configuration names' },
  },
  async run({ args, options }, tools) {
    const { out } = tools;
    const { lookIntoKernel } = await loadKernels();
    const names = options.option.map((name) => name.replace(/^CONFIG_/, ''));
    const wanted = names.length > 0 ? names : options.all ? 'all' : 'known';
    const report = await lookIntoKernel(await kernelNamed(args.file, options.config, tools), wanted);
    await out.answer(report, () => [
      ...(names.length > 0 ? [] : [...page(kernelPairs(report), out.style), '']),
      ...optionLines(report.options, out.style),
    ]);
    if (names.length > 0 && report.config.by === 'none')
      out.say(
        'There is no configuration of this kernel. `strings vmlinux | grep CONFIG_` finds nothing in any kernel, with the option or without: that is no evidence.',
      );
  },
});
