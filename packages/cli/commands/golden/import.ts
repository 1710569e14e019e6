import { command, UsageError } from '../../command.ts';
import { loadGoldenFiles } from '../../daemon-face.ts';

export const goldenImport = command({
  path: ['golden', 'import'],
  summary: 'Take in a file that `golden export` wrote, as the next version of its name',
  args: { file: { kind: 'text', doc: 'the file' } },
  options: {},
  async run({ args }, tools) {
    if (tools.url !== undefined) throw new UsageError('golden import writes to the images of this host: run it there, without --url');
    const { out, signal, stateFolder } = tools;
    const { importFromGoldenFile } = await loadGoldenFiles();
    const done = await importFromGoldenFile({ ...args, stateFolder, signal, progress: (step) => out.progress(step) });
    out.quiet();
    const { golden, from, made } = done;
    await out.page(done, [
      ['golden', `${golden.name}@${golden.version}${made ? '' : ' (the same was there already)'}`],
      ['was', `${from.name}@${from.version}`],
      ['digest', golden.digest],
    ]);
  },
});
