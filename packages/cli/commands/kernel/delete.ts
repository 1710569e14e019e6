import { command } from '../../command.ts';
import { loadKernelStore } from '../../daemon-face.ts';
import { storeHere } from './page.ts';

const MiB = 1024 * 1024;
const size = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`;

export const kernelDelete = command({
  path: ['kernel', 'delete'],
  summary: 'Delete a kernel that no golden version is made with; its number is never given again',
  args: { kernel: { kind: 'text', doc: '`name@version`; the name alone where there is one version' } },
  options: {},
  async run({ args }, tools) {
    storeHere(tools, 'kernel delete');
    const { deleteKernel } = await loadKernelStore();
    const done = await deleteKernel(tools.stateFolder, args.kernel);
    await tools.out.page(done, [
      ['deleted', done.deleted],
      ['freed', size(done.freed.bytes)],
      ...(done.freed.kept.length === 0
        ? []
        : [['kept', done.freed.kept.map(({ blob, bytes, why }) => `${blob.slice(0, 12)} (${size(bytes)}): ${why}`)] as const]),
    ]);
  },
});
