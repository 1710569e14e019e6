import { build, buildOptions, recipeArg, recipeOf } from '../../building.ts';
import { command, UsageError } from '../../command.ts';

const MiB = 1024 * 1024;

export const goldenBuild = command({
  path: ['golden', 'build'],
  summary: 'Build a golden image version from a recipe or a container image',
  args: { recipe: recipeArg },
  options: {
    ...buildOptions,
    name: { kind: 'text', flag: '--name <name>', doc: 'what the golden image is called (as the recipe)' },
    kernel: { kind: 'text', flag: '--kernel <name>', doc: 'a kernel of the store, with the modules that were kept with it (see kernel list)' },
  },
  async run(given, tools) {
    const { out, self } = tools;
    if (given.args.recipe === 'tiny' && given.options.name !== undefined)
      throw new UsageError('--name: the image tiny is always called tiny');
    if (given.args.recipe === 'tiny' && given.options.kernel !== undefined)
      throw new UsageError('--kernel: the image tiny boots with the kernel of the distribution');
    const { name, kernel } = given.options;
    const order = { what: 'golden' as const, ...recipeOf(given), name: name ?? null, kernel: kernel ?? null };
    const { golden, rootfs, built } = await build(order, tools);
    const named = `${golden.name}@${golden.version}`;
    await out.page({ golden, rootfs, built }, [
      ['golden', named],
      ['state', built ? 'built now' : 'as it was built; --newest asks for newer packages'],
      ['made from', rootfs?.from ?? 'busybox'],
      ['kernel', golden.kernel.release],
      ['size', `${Math.ceil(golden.rootfs.virtualBytes / MiB)} MiB`],
      ['machine', `${golden.machine.vcpus} vCPU, ${golden.machine.memoryMiB} MiB`],
      ['ports', golden.ports.map((port) => `${port.port} up to ${port.level}`).join(', ') || '-'],
      ['agent', golden.agent ? 'yes' : 'no'],
      ['next', [`${self} golden verify ${named}`, `${self} vm create --golden ${named} --wait verified`]],
    ]);
  },
});
