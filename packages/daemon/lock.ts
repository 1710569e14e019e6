import { open } from 'node:fs/promises';
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
  return text === undefined ? null : (JSON.parse(text) as Serving);
}
