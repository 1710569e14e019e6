/**
 * The hand for processes: who bears a mark, in which state they are, and signals. A pid is a rumour: every answer is read from /proc at
 * the moment of asking. Reading is synchronous on purpose: /proc and cgroupfs answer from memory in microseconds, and between looking at
 * a process and signalling it nothing else of ours may run.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

/** An environment variable is inherited by everything a process starts, and cannot be lost by changing the command line. */
export type EnvMark = `${string}=${string}`;

/** Environments are at most this long on Linux unless somebody plays with stack limits (ARG_MAX is 2 MiB). */
const MAX_PROC_FILE_BYTES = 2 * 1024 * 1024;

/** A file of /proc or cgroupfs; undefined when it is not there, not ours to read, or its process has just gone. */
export function readKernelFile(path: string, maxBytes = MAX_PROC_FILE_BYTES): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    // ENOENT, EACCES, ESRCH: for a look all three mean "nothing to see here".
    return undefined;
  }
  try {
    const parts: Buffer[] = [];
    for (let total = 0; total < maxBytes;) {
      const part = Buffer.allocUnsafe(16_384);
      const bytes = readSync(fd, part, 0, part.length, null);
      if (bytes === 0) break;
      parts.push(part.subarray(0, bytes));
      total += bytes;
    }
    return Buffer.concat(parts);
  } catch {
    // ESRCH: it ended while being read.
    return undefined;
  } finally {
    closeSync(fd);
  }
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Whether this process, or what started it, was given exactly this variable. False for other people's processes. */
export function bears(pid: number, mark: EnvMark): boolean {
  const env = readKernelFile(`/proc/${pid}/environ`);
  return env !== undefined && variables(env).includes(mark);
}

export function pidsBearing(mark: EnvMark): number[] {
  return allPids().filter((pid) => bears(pid, mark));
}

/** The values that a variable has among all processes we may look at. */
export function valuesOf(name: string): Set<string> {
  const values = new Set<string>();
  for (const pid of allPids()) {
    const env = readKernelFile(`/proc/${pid}/environ`);
    if (env === undefined || !env.includes(`${name}=`)) continue;
    for (const variable of variables(env)) if (variable.startsWith(`${name}=`)) values.add(variable.slice(name.length + 1));
  }
  return values;
}

/** The scheduler's letter: R, S, D, T (stopped), Z (dead, not yet reaped); undefined when there is no such process. */
export function stateOfPid(pid: number): string | undefined {
  // the name in parentheses may hold anything, so the fields are counted from the last one
  const text = readKernelFile(`/proc/${pid}/stat`)?.toString('latin1');
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[0];
}

/**
 * When a process began, in ticks since the host did: with its pid it names one process for good. undefined when it has let go of all that it
 * had: gone, or dead and not yet reaped, with its last thread. Between SIGKILL and that moment its memory goes first, and its environment with
 * it, and its open files last.
 */
export function aliveSince(pid: number): string | undefined {
  const text = readKernelFile(`/proc/${pid}/stat`)?.toString('latin1');
  if (text === undefined) return undefined;
  // proc(5), from the third field on: state, …, number of threads, …, start time
  const { 0: state, 17: threads, 19: since } = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (state === 'Z' || state === 'X') && Number(threads) <= 1 ? undefined : since;
}

export function commandOf(pid: number): readonly string[] {
  return readKernelFile(`/proc/${pid}/cmdline`)?.toString('utf8').split('\0').slice(0, -1) ?? [];
}

/** False when it was gone already. */
export function signalPid(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Where cgroup v2 is mounted writable: `/sys/fs/cgroup` on most hosts, `/sys/fs/cgroup/unified` where v1 is still in use. */
export function cgroup2Mount(mounts = readFileSync('/proc/mounts', 'utf8')): string | null {
  for (const line of mounts.split('\n')) {
    const [, point, type, options] = line.split(' ');
    if (type === 'cgroup2' && point !== undefined && options?.split(',').includes('rw') === true) return point.replaceAll('\\040', ' ');
  }
  return null;
}

function variables(env: Buffer): string[] {
  return env.toString('utf8').split('\0');
}
