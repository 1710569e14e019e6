import { buildOf, buildOptions, recipeArg } from '../../building.ts';
import { command } from '../../command.ts';
import { loadBuilder } from '../../daemon-face.ts';
import { rootfsPage } from './page.ts';

export const rootfsBuild = command({
  path: ['rootfs', 'build'],
  summary: 'Build a root file system from a recipe or a container image',
  args: { recipe: recipeArg },
  options: buildOptions,
  async run(given, tools) {
    const build = buildOf(given, tools);
    const { rootfs, built } = await (await loadBuilder()).buildRootfsFrom(build);
    tools.out.quiet();
    await tools.out.page({ rootfs, built }, rootfsPage(rootfs, built));
  },
});
