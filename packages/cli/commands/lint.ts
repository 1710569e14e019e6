import { command, exitCodes, type Command, type ExitCode } from '../command.ts';
import { firecrackerOption, firecrackerOf, readConfigFile } from '../config-file.ts';
import { loadLint, type LintFace } from '../daemon-face.ts';
import { lintPage, summaryOf } from '../lint-page.ts';

export function lintCommand(load: () => Promise<LintFace>): Command {
  return command({
    path: ['lint'],
    summary: 'Say what is wrong with a Firecracker config file; needs no controller',
    args: { file: { kind: 'text', doc: 'the file for --config-file, or - for standard input' } },
    options: {
      firecracker: firecrackerOption,
      noHost: { kind: 'flag', flag: '--no-host', doc: 'do not look at this machine: files, sockets, TAPs' },
    },
    async run({ args, options }, { out, signal }): Promise<ExitCode> {
      const lint = await load();
      const version = firecrackerOf(options.firecracker, lint);
      const { name, bytes, folder } = await readConfigFile(args.file, lint.mostConfigBytes, signal);
      const result = await lint.lintFile({ bytes, folder, version, host: !options.noHost, signal });
      const summary = summaryOf({ file: name, firecracker: result.version, host: !options.noHost }, result.findings);
      await out.answer({ ...summary, findings: result.findings }, () => lintPage(summary, result.findings, out.style));
      return summary.errors > 0 ? exitCodes.fault : exitCodes.done;
    },
  });
}

export const lint = lintCommand(loadLint);
