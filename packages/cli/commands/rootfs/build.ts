import { build, buildOptions, recipeArg, recipeOf } from '../../building.ts';
import { command } from '../../command.ts';
import { rootfsPage } from './page.ts';

export const rootfsBuild = command({
  path: ['rootfs', 'build'],
  summary: 'Build a root file system from a recipe or a container image',
  args: { recipe: recipeArg },
  options: buildOptions,
  async run(given, tools) {
    const { rootfs, built } = await build({ what: 'rootfs', ...recipeOf(given) }, tools);
    await tools.out.page({ rootfs, built }, rootfsPage(rootfs, built));
  },
});
