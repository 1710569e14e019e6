/**
 * The one place that starts other programs. Promises:
 * - a command is an argument vector; no shell ever sees it;
 * - the result has the same shape for success, failure, time-out, abort and "no such program", and nothing is thrown for any of them;
 * - a command that took too long or was aborted is gone, with everything it started, when the promise settles (it runs in a process
 *   group of its own).
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';

export type ExecOptions = {
  signal?: AbortSignal | undefined;
  /** Every wait has a bound: how long the command may take, in milliseconds. */
  timeoutMs: number;
  /** Bytes for the command's standard input; without it the input is empty. */
  input?: Uint8Array;
  cwd?: string;
  /** Added to the inherited environment. */
  env?: Readonly<Record<string, string>>;
  /** How much of the end of each output stream is kept, in bytes. */
  maxOutputBytes?: number;
  /** Standard output goes to this new file, whole and as bytes, instead of into `stdout`. */
  stdoutFile?: string;
  /** Both streams go to the end of this file instead, as they come; not together with `stdoutFile`. */
  logFile?: string;
};

export type ExecResult = {
  argv: readonly string[];
  /** Exit code; null when ended by a signal or never started. */
  code: number | null;
  signal: NodeJS.Signals | null;
  ms: number;
  /** The end of standard output, at most `maxOutputBytes`. */
  stdout: string;
  stderr: string;
  /** How many bytes before the kept end of `stdout` were let go. */
  stdoutDroppedBytes: number;
  stderrDroppedBytes: number;
  timedOut: boolean;
  aborted: boolean;
  /** Why the command could not be started: an errno name such as `ENOENT` or `EACCES`. */
  spawnError: string | null;
};

/** 1 MiB: the longest thing we read from a tool on purpose is a package record of some KB; the rest is a flood. */
const DEFAULT_MAX_OUTPUT_BYTES = 1024 * 1024;
/** A tool that was asked to end (SIGTERM) gets this long to remove its own temporary files. */
const GRACE_MS = 2_000;
/** How long the pipes may stay open after the command itself ended: somebody's grandchild may hold them. */
const PIPE_LINGER_MS = 500;

/** A command that failed, as a thing to throw: a stumble, to be tried again by whoever owns the step. */
export class ToolFailure extends Error {
  readonly result: ExecResult;
  /** what the engine reads: a failed tool is no bug of ours, and ends nothing but the step */
  readonly stumble: string;
  constructor(result: ExecResult, options?: ErrorOptions) {
    super(describeFailure(result), options);
    this.name = 'ToolFailure';
    this.result = result;
    this.stumble = this.message;
  }
}

export function succeeded(result: ExecResult): boolean {
  return result.code === 0 && !result.timedOut && !result.aborted && result.spawnError === null;
}

/** One sentence for people: which program, how it ended, its last words. */
export function describeFailure(result: ExecResult): string {
  const program = result.argv[0] ?? '(nothing)';
  if (result.spawnError === 'ENOENT') return `The program ${program} is not installed (or its working folder is gone).`;
  if (result.spawnError !== null) return `The program ${program} could not be started: ${result.spawnError}.`;
  const how = result.aborted
    ? 'was stopped on request'
    : result.timedOut
      ? `took longer than ${Math.round(result.ms / 1000)} s and was ended`
      : result.signal !== null
        ? `was ended by ${result.signal}`
        : `failed with exit code ${result.code}`;
  const words = lastWords(result.stderr) || lastWords(result.stdout);
  return `${program} ${how}${words === '' ? '.' : `: ${words}`}`;
}

function lastWords(text: string): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.replaceAll(/[^\x20-\x7e\u00a0-\uffff]/g, ' ').trim());
  return lines
    .filter((line) => line !== '')
    .slice(-3)
    .join(' | ')
    .slice(-500);
}

export async function exec(argv: readonly string[], opts: ExecOptions): Promise<ExecResult> {
  const started = performance.now();
  const max = opts.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const never = (spawnError: string | null, aborted: boolean): ExecResult => ({
    argv,
    code: null,
    signal: null,
    ms: performance.now() - started,
    stdout: '',
    stderr: '',
    stdoutDroppedBytes: 0,
    stderrDroppedBytes: 0,
    timedOut: false,
    aborted,
    spawnError,
  });
  const [file, ...args] = argv;
  if (file === undefined || file === '' || argv.some((word) => word.includes('\0'))) return never('EINVAL', false);
  if (opts.signal?.aborted === true) return never(null, true);
  let sink: FileHandle | undefined;
  const sinkPath = opts.logFile ?? opts.stdoutFile;
  if (sinkPath !== undefined) {
    try {
      sink = await open(sinkPath, opts.logFile === undefined ? 'wx' : 'a', 0o600);
    } catch (error) {
      return never(errnoOf(error), false);
    }
  }
  try {
    return await run(file, args, argv, opts, max, started, sink);
  } finally {
    await sink?.close();
  }
}

/** Like exec, but a failure is thrown as a ToolFailure that carries the result; an abort throws the signal's own reason. */
export async function execOk(argv: readonly string[], opts: ExecOptions): Promise<ExecResult> {
  const result = await exec(argv, opts);
  if (result.aborted) opts.signal?.throwIfAborted();
  if (!succeeded(result)) throw new ToolFailure(result);
  return result;
}

function run(
  file: string,
  args: readonly string[],
  argv: readonly string[],
  opts: ExecOptions,
  max: number,
  started: number,
  sink: FileHandle | undefined,
): Promise<ExecResult> {
  return new Promise((resolve) => {
    let timedOut = false;
    let aborted = false;
    let spawnError: string | null = null;
    let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
    const timers: NodeJS.Timeout[] = [];
    // detached = a process group of its own: apt-get and go start helpers, and killing the parent alone would leave them behind.
    const child = spawn(file, args, {
      ...(opts.cwd === undefined ? {} : { cwd: opts.cwd }),
      env: surroundings(opts.env),
      detached: true,
      stdio: [opts.input === undefined ? 'ignore' : 'pipe', sink?.fd ?? 'pipe', opts.logFile === undefined ? 'pipe' : (sink?.fd ?? 'pipe')],
    });
    const out = new Tail(child.stdout, max);
    const err = new Tail(child.stderr, max);

    const killGroup = (signal: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, signal);
      } catch {
        // ESRCH: the group is gone already, which is what was wanted.
      }
    };
    const end = (): void => {
      killGroup('SIGTERM');
      timers.push(setTimeout(() => killGroup('SIGKILL'), GRACE_MS));
    };
    const onAbort = (): void => {
      aborted = true;
      end();
    };
    timers.push(
      setTimeout(() => {
        timedOut = true;
        end();
      }, opts.timeoutMs),
    );
    opts.signal?.addEventListener('abort', onAbort, { once: true });

    let settled = false;
    const settle = (): void => {
      if (settled) return;
      settled = true;
      for (const timer of timers) clearTimeout(timer);
      opts.signal?.removeEventListener('abort', onAbort);
      // What the command left running in its group must not outlive it.
      if (timedOut || aborted) killGroup('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({
        argv,
        code: ended?.code ?? null,
        signal: ended?.signal ?? null,
        ms: performance.now() - started,
        stdout: out.text(),
        stderr: err.text(),
        stdoutDroppedBytes: out.dropped,
        stderrDroppedBytes: err.dropped,
        timedOut,
        aborted,
        spawnError,
      });
    };
    child.on('error', (error) => {
      // 'error' also reports a failed kill or a lost stdin; only a process that never got a pid was never started.
      if (child.pid === undefined) {
        spawnError = errnoOf(error);
        settle();
      }
    });
    child.on('exit', (code, signal) => {
      ended = { code, signal };
      timers.push(setTimeout(settle, PIPE_LINGER_MS));
    });
    child.on('close', settle);
    if (opts.input !== undefined && child.stdin !== null) {
      // EPIPE: the command ended without reading all of it; its exit code says whether that was wrong.
      child.stdin.on('error', () => {});
      child.stdin.end(opts.input);
    }
  });
}

/** The last `max` bytes of a stream, and how many came before. */
class Tail {
  dropped = 0;
  readonly #max: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  constructor(stream: Readable | null, max: number) {
    this.#max = max;
    stream?.on('data', (chunk: Buffer) => this.#add(chunk));
    // A reset pipe ends the text; the exit code tells the rest.
    stream?.on('error', () => {});
  }
  #add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (let first = this.#chunks[0]; first !== undefined && this.#bytes - first.length >= this.#max; first = this.#chunks[0]) {
      this.#chunks.shift();
      this.#bytes -= first.length;
      this.dropped += first.length;
    }
  }
  text(): string {
    const all = Buffer.concat(this.#chunks);
    const cut = Math.max(0, all.length - this.#max);
    this.dropped += cut;
    this.#chunks.length = 0;
    return all.subarray(cut).toString('utf8');
  }
}

/**
 * What the command finds around it: ours (PATH, proxies, HOME for Go's cache), in the C locale so that tools print what was parsed and
 * tested, and without our own settings, which may hold tokens.
 */
function surroundings(more: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith('LINSTOCK_')) env[name] = value;
  }
  // Daemons are often started with a PATH without sbin, where mke2fs, debugfs and depmod live.
  env['PATH'] = [env['PATH'], '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin']
    .filter((part) => part !== undefined && part !== '')
    .join(':');
  env['LC_ALL'] = 'C';
  return { ...env, ...more };
}

function errnoOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (typeof code === 'string') return code;
  const number = (error as NodeJS.ErrnoException | undefined)?.errno;
  return Object.entries(constants.errno).find(([, value]) => value === Math.abs(number ?? 0))?.[0] ?? 'EIO';
}
