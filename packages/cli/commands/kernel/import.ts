import { command } from '../../command.ts';
import { loadKernelStore } from '../../daemon-face.ts';
import { recordPairs, storeHere } from './page.ts';

export const kernelImport = command({
  path: ['kernel', 'import'],
  summary: 'Keep a kernel by name: a vmlinux, a bzImage (the vmlinux in it is kept) or a Debian kernel package',
  args: { file: { kind: 'text', doc: 'vmlinux, bzImage or linux-image-*.deb' } },
  options: {
    name: { kind: 'text', flag: '--name <name>', doc: 'what it is called; made of its release unless told' },
    config: { kind: 'text', flag: '--config <file>', doc: 'its configuration; refused where the kernel contradicts it' },
    modules: { kind: 'flag', flag: '--modules', doc: 'of a package, keep its modules too' },
  },
  async run({ args, options }, tools) {
    storeHere(tools, 'kernel import');
    const { out, signal, stateFolder } = tools;
    const { importKernel } = await loadKernelStore();
    const done = await importKernel({ ...options, file: args.file, stateFolder, signal, progress: (step) => out.progress(step) });
    out.quiet();
    await out.page(done, [
      ...recordPairs(done.record, done.made),
      ...(done.refused.length === 0 ? [] : [['not believed', done.refused.map(({ file, why }) => `${file}: ${why}`)] as const]),
    ]);
  },
});
