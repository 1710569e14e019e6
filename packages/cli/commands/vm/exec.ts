import { constants } from 'node:os';
import type { ExecEnd } from '@linstock/sdk';
import { command, UsageError } from '../../command.ts';
import { ConsoleFilter } from '../../console-filter.ts';
import { safeJson } from '../../render.ts';

/** As `timeout(1)` and shells say it. */
const TIMED_OUT = 124;
const BY_SIGNAL = 128;

export function exitCodeOf(end: ExecEnd): number {
  if (end.timedOut) return TIMED_OUT;
  if (end.code !== null) return end.code;
  const numbers: Record<string, number> = constants.signals;
  // the agent says KILL, Node says SIGKILL
  return BY_SIGNAL + (end.signal === null ? 0 : (numbers[`SIG${end.signal.replace(/^SIG/, '')}`] ?? 0));
}

export const vmExec = command({
  path: ['vm', 'exec'],
  summary: 'Run a command in a VM; the exit code is that of the command (124: its time was up)',
  args: { vm: { kind: 'text', doc: 'name or id' }, argv: { kind: 'rest', doc: 'the command, after --' } },
  options: {
    timeout: { kind: 'number', flag: '--timeout <seconds>', doc: 'end the command after this time (60)' },
    cwd: { kind: 'text', flag: '--cwd <folder>', doc: 'folder to run in' },
    env: { kind: 'list', flag: '--env <key=value>', doc: 'set a variable (repeatable)' },
    raw: { kind: 'flag', flag: '--raw', doc: 'do not clean what goes to a terminal' },
  },
  async run({ args, options }, tools) {
    if (args.argv.length === 0) throw new UsageError('no command was given: linstock vm exec VM -- COMMAND ARGUMENTS');
    const env = Object.fromEntries(
      options.env.map((pair) => {
        const at = pair.indexOf('=');
        if (at < 1) throw new UsageError(`--env ${pair}: it is KEY=VALUE`);
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    );
    const { out } = tools;
    const api = await tools.api();
    const exec = await api.vms.exec(args.vm, args.argv, {
      signal: tools.signal,
      ...(options.timeout === undefined ? {} : { timeoutMs: Math.round(options.timeout * 1000) }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env.length === 0 ? {} : { env }),
    });
    // A file or a pipe gets the bytes; a terminal gets them cleaned, because the guest is not trusted with it.
    const clean = { stdout: !options.raw && out.stdoutIsTerminal, stderr: !options.raw && out.stderrIsTerminal };
    const filters = { stdout: new ConsoleFilter(), stderr: new ConsoleFilter() };
    for await (const { stream, data } of exec) {
      if (out.json) await out.lines([safeJson({ stream, data: Buffer.from(data).toString('base64') })]);
      else if (stream === 'stdout') await out.bytes(clean.stdout ? filters.stdout.push(data) : data);
      else await out.errorBytes(clean.stderr ? filters.stderr.push(data) : data);
    }
    const end = await exec.result();
    if (out.json) await out.lines([safeJson({ exit: end })]);
    else if (end.timedOut) out.say('The command was ended: its time was up. Give it more with --timeout.');
    return exitCodeOf(end);
  },
});
