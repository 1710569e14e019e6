/** The CLI in this process: what is about parsing and printing needs no process of its own. */
import type { Command } from '../command.ts';
import { readEnvironment } from '../environment.ts';
import { runCli } from '../main.ts';
import type { CliRun } from './run.ts';
import { memorySink } from './sink.ts';

export async function here(argv: readonly string[], stateFolder = '/nonexistent/linstock', commands?: readonly Command[]): Promise<CliRun> {
  const stdout = memorySink();
  const stderr = memorySink();
  const code = await runCli(argv, {
    environment: { ...readEnvironment({}), stateFolder },
    stdout,
    stderr,
    signal: new AbortController().signal,
    self: 'linstock',
    chance: { now: () => 1_760_000_090_000, word: () => 'abcd1234' },
    ...(commands === undefined ? {} : { commands }),
  });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}
