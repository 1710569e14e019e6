/**
 * Starts a program that outlives this process. Promises:
 * - it runs in a session of its own, with nothing of ours open but one pipe, which it closes when it is started (what we inherited
 *   ourselves is let go by closeInheritedFiles, which the daemon calls when it starts);
 * - it gets the given environment and nothing else: ours may hold tokens;
 * - waiting for it never throws: the answer says what its last words before closing the pipe were, or why there was no program.
 */
import { spawn } from 'node:child_process';
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** More than this before "started" is not a sentence, it is a flood. */
const MAX_WORDS_BYTES = 4_096;

export type Start = { is: 'closed'; words: string } | { is: 'late' } | { is: 'missing'; errno: string };

export type DetachedOptions = {
  env: Readonly<Record<string, string>>;
  /** How long it may take to close its standard output. */
  timeoutMs: number;
  signal: AbortSignal;
};

/** Settles when the program has closed its standard output (by itself or by ending). An abort ends the waiting, not the program. */
export function startDetached(argv: readonly [string, ...string[]], options: DetachedOptions): Promise<Start> {
  const [file, ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: '/', env: { ...options.env }, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    let words = '';
    const settle = (start: Start): void => {
      clearTimeout(timer);
      options.signal.removeEventListener('abort', late);
      child.stdout.destroy();
      resolve(start);
    };
    const late = (): void => settle({ is: 'late' });
    const timer = setTimeout(late, options.timeoutMs);
    options.signal.addEventListener('abort', late, { once: true });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) settle({ is: 'missing', errno: error.code ?? 'EIO' });
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (words.length < MAX_WORDS_BYTES) words += chunk.toString('utf8');
    });
    // A reset pipe is a closed pipe.
    child.stdout.on('error', () => {});
    child.stdout.on('close', () => settle({ is: 'closed', words: words.slice(0, MAX_WORDS_BYTES) }));
    // Node reaps it if it ends while we live, and does not wait for it when we leave.
    child.unref();
  });
}

/** O_CLOEXEC as /proc/self/fdinfo shows it, in octal. */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * Closes what this process was given by whoever started it, standard streams apart: a terminal, a lock or a pipe that a careless parent
 * left open would otherwise be held by every VMM for as long as it lives. Node opens its own files close-on-exec, so the others are not
 * ours. For the start of a program, never for a library.
 */
export function closeInheritedFiles(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // ENOENT, EBADF: it was the descriptor of the folder being listed.
    }
  }
}
