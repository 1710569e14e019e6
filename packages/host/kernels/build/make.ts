/** `make` in a source tree: always in the same surroundings, into a log, ended with everything it started. */
import { open, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { barOf, lastErrors, StepCounter } from '@linstock/core/kernel-build';
import { describeFailure, exec, succeeded } from '../../tools/exec.ts';
import { sizeIfThere } from '../../tools/files.ts';
import { allPids } from '../../tools/procs.ts';
import { imageFault } from '../../images/refusal.ts';
import type { Progress } from '../../images/store.ts';
import { BUILD_PATH } from './needs.ts';

export type Making = {
  /** of the unpacked source: builds happen inside of it, so that every path a compiler sees is relative */
  tree: string;
  log: string;
  jobs: number;
  signal: AbortSignal | undefined;
  /** how long what it started may take to be gone once it has ended */
  goneMs?: number;
};

/** A whole distribution's configuration on one slow core. */
const BUILD_TIMEOUT_MS = 12 * 3_600_000;
const LOOK_MS = 1_000;
/** What got SIGKILL is gone in milliseconds, unless its disk hangs. */
const GONE_MS = 10_000;
const LOOK_GONE_MS = 10;
const MAX_LOG_PIECE = 4 * 1024 * 1024;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** Part of what decides a kernel's bytes: a change of it is another recipe. */
export const HOW_MADE = {
  target: 'vmlinux',
  variables: ['ARCH=x86_64', 'LOCALVERSION='],
  environment: {
    LC_ALL: 'C',
    TZ: 'UTC',
    HOME: '/nonexistent',
    KBUILD_BUILD_USER: 'linstock',
    KBUILD_BUILD_HOST: 'linstock',
    KBUILD_BUILD_VERSION: '1',
  },
} as const;

/** Runs `make TARGET…`; what went wrong is a fault with the last errors of the log. Ended, it goes on where it was the next time. */
export async function make(o: Making, targets: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<void> {
  const { tree, log, jobs, signal } = o;
  const result = await exec(await makeArgv(tree, jobs, targets, more), { cwd: tree, logFile: log, timeoutMs: BUILD_TIMEOUT_MS, signal });
  if (succeeded(result)) return;
  // make may end before the compilers that it was told to end: whoever is told that it is over may begin again in the same tree.
  const goneMs = o.goneMs ?? GONE_MS;
  const gone = await untilGone(tree, goneMs);
  if (!gone)
    throw imageFault(
      `The build was ended, and ${goneMs / 1_000} s later something that it started still works in ${tree}. Wait until that is over (a disk that hangs?) before this kernel is built again.`,
    );
  if (result.aborted) signal?.throwIfAborted();
  const errors = lastErrors(await tailOf(log));
  throw imageFault(
    `The kernel could not be built: ${describeFailure({ ...result, argv: ['make'], stderr: '', stdout: '' })} ${errors.length === 0 ? '' : `The log says: ${errors.join(' | ')} `}(all of it: ${log})`,
  );
}

/**
 * When this process dies nobody else would end what it started, and two builds must not work in one tree: timeout(1) is then told, and tells
 * the whole group.
 */
async function makeArgv(tree: string, jobs: number, targets: readonly string[], more: Readonly<Record<string, string>>): Promise<string[]> {
  const environment = { PATH: BUILD_PATH, ...HOW_MADE.environment, KBUILD_BUILD_TIMESTAMP: await dateOf(tree), ...more };
  const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const ending = ['setpriv', '--pdeathsig', 'TERM', 'timeout', '--kill-after=5', String(BUILD_TIMEOUT_MS / 1_000)];
  return [...ending, 'env', '-i', ...words, 'make', `-j${jobs}`, ...HOW_MADE.variables, ...targets];
}

/** Everything that a build starts works inside of its tree; false when something still did after all of the time. */
async function untilGone(tree: string, goneMs: number): Promise<boolean> {
  const until = performance.now() + goneMs;
  while (await worksIn(tree)) {
    if (performance.now() >= until) return false;
    await sleep(LOOK_GONE_MS);
  }
  return true;
}

async function worksIn(tree: string): Promise<boolean> {
  for (const pid of allPids()) {
    const at = await readlink(`/proc/${pid}/cwd`).catch(() => ''); // it has ended, or is somebody else's
    if (at === tree || at.startsWith(`${tree}/`)) return true;
  }
  return false;
}

/** The date in the banner is that of the sources: the same for everybody who builds them. */
async function dateOf(tree: string): Promise<string> {
  return kernelDate((await stat(join(tree, 'Makefile'))).mtime);
}

/** As date(1) writes it in the C locale, which is what kernels say. */
export function kernelDate(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = String(at.getUTCDate()).padStart(2, ' ');
  const time = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two).join(':');
  return `${DAYS[at.getUTCDay()]} ${MONTHS[at.getUTCMonth()]} ${day} ${time} UTC ${at.getUTCFullYear()}`;
}

/** Tells how far a build is, from its log, while `work` lasts. */
export async function watching<T>(o: { log: string; steps: number; progress: Progress | undefined }, work: () => Promise<T>): Promise<T> {
  const { log, steps, progress } = o;
  if (progress === undefined) return work();
  const counter = new StepCounter();
  let at = 0;
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    const piece = await pieceOf(log, at);
    at += piece.length;
    counter.add(piece.toString('latin1'));
    busy = false;
    progress({ name: 'build the kernel', ...barOf(counter.done, steps), unit: 'steps' });
  };
  // What hinders the look is told by the build itself.
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

async function pieceOf(path: string, from: number): Promise<Buffer> {
  const bytes = Math.min((await sizeIfThere(path)) ?? 0, from + MAX_LOG_PIECE) - from;
  if (bytes <= 0) return Buffer.alloc(0);
  await using file = await open(path, 'r');
  const piece = Buffer.alloc(bytes);
  return piece.subarray(0, (await file.read(piece, 0, bytes, from)).bytesRead);
}

async function tailOf(path: string): Promise<string> {
  const bytes = (await sizeIfThere(path)) ?? 0;
  return (await pieceOf(path, Math.max(0, bytes - MAX_LOG_PIECE))).toString('latin1');
}
