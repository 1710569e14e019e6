import { open, readdir, readlink } from 'node:fs/promises';
import { FaultError } from '@linstock/contract';
import { readTextIfThere, type Paths } from '@linstock/host';
import { holdFile } from '@linstock/store';

/**
 * One controller per state folder. The lock is a file lock of the kernel, so it ends with the process that holds it,
 * however it ends: there is no stale lock to clean.
 */
export async function lockFolder(paths: Paths): Promise<{ release(): Promise<void> }> {
  await (await open(paths.lock, 'a')).close(); // says which system call failed and why, which SQLite does not
  const held = holdFile(paths.lock);
  if (held !== null) return held;
  throw new FaultError('daemon-already-running', { pid: (await runningPid(paths)) ?? 'unknown', folder: paths.state });
}

/** Who says that it serves this folder; a rumour until its health answers. */
export async function runningPid(paths: Paths): Promise<number | null> {
  return (await readServing(paths))?.pid ?? null;
}

export type Serving = { url: string; pid: number; token: string | null; startedAt: number };

export async function readServing(paths: Paths): Promise<Serving | null> {
  const text = await readTextIfThere(paths.serving);
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as Serving;
  } catch {
    return null; // half a file: nobody serves by it
  }
}

/** Asks the controller of a folder to end; whether one was asked. A pid in a file is a rumour: the process must bear this folder's name. */
export async function askToEnd(paths: Paths): Promise<boolean> {
  const serving = await readServing(paths);
  if (serving === null || !(await servesFolder(serving.pid, paths))) return false;
  try {
    process.kill(serving.pid, 'SIGTERM');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false; // it has just ended by itself
    throw error;
  }
}

/** A controller holds its log open, in its own folder; nobody else does. */
async function servesFolder(pid: number, paths: Paths): Promise<boolean> {
  try {
    const names = await readdir(`/proc/${pid}/fd`);
    const targets = await Promise.all(names.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))); // closed while we looked
    return targets.includes(paths.log);
  } catch {
    return false; // no such process, or one of another user: not ours to end
  }
}
