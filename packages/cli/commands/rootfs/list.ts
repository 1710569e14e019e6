import { command } from '../../command.ts';
import { loadBuilder } from '../../daemon-face.ts';
import { moment } from '../../render.ts';

const MiB = 1024 * 1024;

export const rootfsList = command({
  path: ['rootfs', 'list'],
  summary: 'List root file systems that were built from recipes',
  args: {},
  options: {},
  async run(_, tools) {
    const { items, recipes } = await (await loadBuilder()).listRootfs(tools.stateFolder);
    await tools.out.rows(
      { items, recipes },
      ['rootfs', 'made from', 'packages', 'MiB', 'ports', 'agent', 'created', 'image'],
      items.map((one) => [
        one.name,
        one.from,
        one.packages === null ? '-' : String(Object.keys(one.packages).length),
        String(Math.ceil(one.rootfs.virtualBytes / MiB)),
        one.ports.map((port) => `${port.port}:${port.level}`).join(' ') || '-',
        one.agent ? 'yes' : 'no',
        moment(one.createdAt),
        one.rootfs.blob.slice(0, 12),
      ]),
      `No root file system was built from a recipe yet. There are the recipes ${recipes.join(', ')}: \`${tools.self} rootfs build base\`.`,
    );
  },
});
