import { command, exitCodes, UsageError } from '../../command.ts';
import { loadKernels } from '../../daemon-face.ts';
import { checkLines, kernelPairs } from '../../kernel-page.ts';
import { page } from '../../render.ts';
import { kernelNamed } from './page.ts';

export const kernelCheck = command({
  path: ['kernel', 'check'],
  summary: 'Check whether a kernel has what a VMM and an image need; exit code 1 when something is missing',
  args: { file: { kind: 'text', doc: 'vmlinux or bzImage; where there is no such file, the name of a kernel that is kept' } },
  options: {
    for: { kind: 'text', flag: '--for <vmm>', doc: 'firecracker, firecracker@1.9.1 or qemu' },
    transport: { kind: 'text', flag: '--transport <bus>', doc: 'how devices are attached: mmio (usual) or pci' },
    needs: { kind: 'list', flag: '--needs <list>', doc: 'what the image needs besides, with commas (see docs/kernels.md)' },
    golden: { kind: 'text', flag: '--golden <image>', doc: 'with what this golden image version needs; asks the controller' },
    config: { kind: 'text', flag: '--config <file>', doc: 'its configuration; not believed where the kernel contradicts it' },
  },
  async run({ args, options }, tools) {
    const { api, out, signal } = tools;
    if (options.for === undefined) throw new UsageError('--for is missing: say firecracker, firecracker@1.9.1 or qemu');
    const { checkTargetOf, lookWhetherKernelFits, needsOfGolden } = await loadKernels();
    const needs = [...new Set(options.needs.flatMap((list) => list.split(',')).map((word) => word.trim()))].filter((word) => word !== '');
    const image = options.golden === undefined ? null : needsOfGolden(await (await api()).goldens.show(options.golden, { signal }));
    const asked = checkTargetOf({
      for: options.for,
      transport: options.transport,
      needs: [...new Set([...needs, ...(image?.needs ?? [])])],
    });
    if (!asked.ok) throw new UsageError(asked.say);
    const check = await lookWhetherKernelFits(
      await kernelNamed(args.file, options.config, tools),
      image === null ? asked.target : { ...asked.target, golden: image.golden },
    );
    const shown = new Set(['file', 'format', 'release', 'config', 'not believed', 'unreadable']);
    await out.answer(check, () => [
      ...page(
        kernelPairs(check.kernel).filter(([name]) => shown.has(name)),
        out.style,
      ),
      '',
      ...checkLines(check, out.style),
    ]);
    return check.verdict === 'missing' ? exitCodes.fault : exitCodes.done;
  },
});
