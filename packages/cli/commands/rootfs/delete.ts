import { command, UsageError } from '../../command.ts';
import { loadBuilder } from '../../daemon-face.ts';

const MiB = 1024 * 1024;

export const rootfsDelete = command({
  path: ['rootfs', 'delete'],
  summary: 'Delete what was built of a recipe, when no golden version is made of it',
  args: { rootfs: { kind: 'text', doc: 'the name of the recipe' } },
  options: {},
  async run({ args }, tools) {
    if (tools.url !== undefined) throw new UsageError('rootfs delete is about the images of this host: run it there, without --url');
    const done = await (await loadBuilder()).deleteRootfs(tools.stateFolder, args.rootfs);
    await tools.out.page(done, [
      ['deleted', `${done.deleted}${done.images === 1 ? '' : `, ${done.images} images`}`],
      ['freed', `${Math.ceil(done.freedBytes / MiB)} MiB`],
      ...(done.young === 0
        ? []
        : [
            [
              'kept',
              'younger than an hour, so that it may belong to a build that is not done yet; a later deletion takes it away',
            ] as const,
          ]),
    ]);
  },
});
