import { command } from '../../command.ts';
import { loadKernelStore } from '../../daemon-face.ts';
import { moment } from '../../render.ts';
import { originOf, storeHere } from './page.ts';

const MiB = 1024 * 1024;

export const kernelList = command({
  path: ['kernel', 'list'],
  summary: 'List the kernels that are kept here',
  args: {},
  options: {},
  async run(_, tools) {
    storeHere(tools, 'kernel list');
    const { listKernels } = await loadKernelStore();
    const list = await listKernels(tools.stateFolder);
    await tools.out.rows(
      list,
      ['kernel', 'release', 'MiB', 'config', 'modules', 'from', 'created', 'sha256'],
      list.items.map((one) => [
        `${one.name}@${one.version}`,
        one.kernel.release,
        (one.kernel.bytes / MiB).toFixed(1),
        one.config?.by ?? '-',
        one.modules === null ? '-' : 'yes',
        originOf(one),
        moment(one.createdAt),
        one.kernel.blob.slice(0, 12),
      ]),
      `There are no kernels. \`${tools.self} kernel import\` keeps one.`,
    );
    for (const path of list.damaged)
      tools.out.say(`${path} is damaged. Remove it and import the kernel again; until then no unused file is removed.`);
  },
});
