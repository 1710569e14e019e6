import { command, UsageError } from '../../command.ts';
import { loadGoldenFiles } from '../../daemon-face.ts';

const MiB = 1024 * 1024;

export const goldenExport = command({
  path: ['golden', 'export'],
  summary: 'Write a version to one file that another installation can import',
  args: { golden: { kind: 'text', doc: '`name` for its newest version, or `name@version`' }, file: { kind: 'text', doc: 'a file that is not there yet' } },
  options: {},
  async run({ args }, tools) {
    if (tools.url !== undefined) throw new UsageError('golden export reads the images of this host: run it there, without --url');
    const { out, signal, stateFolder } = tools;
    const { exportGoldenFile } = await loadGoldenFiles();
    const done = await exportGoldenFile({ ...args, stateFolder, signal, progress: (step) => out.progress(step) });
    out.quiet();
    await out.page(done, [
      ['golden', `${done.golden.name}@${done.golden.version}`],
      ['digest', done.golden.digest],
      ['file', `${args.file}, ${Math.ceil(done.bytes / MiB)} MiB`],
    ]);
  },
});
