/** Whether a program may be run: nobody but root and this user could have put it there. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { errnoName } from './files.ts';

/** One part of a path, from `/` on; of a link itself, not of what it leads to. */
export type PathStep = { path: string; uid: number; mode: number; link: boolean };

/**
 * The mode of a link means nothing: who may change its folder may replace it. In a folder with the sticky bit only its owner may replace what
 * lies in it (unlink(2), S_ISVTX), and whose that is the next step says.
 */
export function isSafeStep(step: PathStep, user: number): boolean {
  return (step.uid === 0 || step.uid === user) && (step.link || (step.mode & 0o022) === 0 || (step.mode & 0o1000) !== 0);
}

/** Each folder on the way, links as such, by the name that is called and by where it leads; none when it cannot be looked at. */
export async function stepsTo(path: string): Promise<PathStep[]> {
  const steps = new Map<string, PathStep>();
  const real = await realFile(path);
  for (const way of [path, ...(real === null ? [] : [real])]) {
    const parts = way.split(sep);
    for (let many = 1; many <= parts.length; many += 1) {
      const step = parts.slice(0, many).join(sep) || sep;
      try {
        const info = await lstat(step);
        steps.set(step, { path: step, uid: info.uid, mode: info.mode, link: info.isSymbolicLink() });
      } catch (error) {
        if (errnoName(error) === undefined) throw error;
        return []; // what cannot be looked at is not known to be safe
      }
    }
  }
  return [...steps.values()];
}

/** Where a path leads, when that is a file. */
export async function realFile(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isFile() ? real : null;
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return null; // not there, or not to be seen by this user
  }
}
