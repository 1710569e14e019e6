import { readdir, readlink } from 'node:fs/promises';

/** Processes that work in a folder or below it, found without the code that is tested. */
export async function processesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => ''); // ended while we looked, or somebody else's
    if (cwd.startsWith(folder)) found.push(`${pid} in ${cwd}`);
  }
  return found;
}
