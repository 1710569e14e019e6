/** Finds the Firecracker binaries of a host and looks at them. What somebody else could have put there is not run. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { isStaticElf } from '../tools/elf.ts';
import { errnoName } from '../tools/files.ts';
import { isSafeStep } from './firecracker.ts';
import { readHead } from './read-files.ts';
import type { Answer, FirecrackerSight, PathStep, ProgramSight } from './readings.ts';

const usualFolders = ['/usr/local/bin', '/usr/bin'] as const;
/** Enough of an ELF file: its program headers follow the file header. */
const HEAD_BYTES = 4_096;

type Ask = (argv: readonly string[]) => Promise<Answer>;

/** `paths`: the ones to use; null: those of the folders, and of the usual ones. */
export async function lookAtFirecrackers(o: {
  paths: readonly string[] | null;
  folders: readonly string[];
  uid: number;
  ask: Ask;
}): Promise<FirecrackerSight[]> {
  const candidates = o.paths ?? [...new Set([...o.folders, ...usualFolders])].map((folder) => join(folder, 'firecracker'));
  const seen = new Set<string>();
  const found: FirecrackerSight[] = [];
  for (const path of candidates) {
    const real = await realFile(path);
    // one that was named and is not there is said; of those that were only looked for, it is no news
    if (real === null && o.paths === null) continue;
    if (real !== null && seen.has(real)) continue; // /bin is often /usr/bin
    if (real !== null) seen.add(real);
    const jailer = await findJailer(path, real ?? path);
    found.push({ firecracker: await lookAtProgram(path, o), jailer: jailer === null ? null : await lookAtProgram(jailer, o) });
  }
  return found;
}

/** Beside the name it is called by, or beside the file that this leads to; release files are called `jailer-v1.16.1-x86_64`. */
async function findJailer(path: string, real: string): Promise<string | null> {
  for (const one of [path, real]) {
    const jailer = join(dirname(one), basename(one).replace('firecracker', 'jailer'));
    if (jailer !== one && (await realFile(jailer)) !== null) return jailer;
  }
  return null;
}

async function realFile(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isFile() ? real : null;
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return null; // not there, or not to be seen by this user
  }
}

async function lookAtProgram(path: string, { uid, ask }: { uid: number; ask: Ask }): Promise<ProgramSight> {
  const [head, steps] = [await readHead(path, HEAD_BYTES), await stepsTo(path)];
  const linking = head.is === 'bytes' ? (isStaticElf(head.bytes) ? 'static' : 'dynamic') : 'unreadable';
  const safe = steps.length > 0 && steps.every((step) => isSafeStep(step, uid));
  const version: Answer = safe
    ? await ask([path, '--version'])
    : head.is === 'absent'
      ? { is: 'absent' }
      : { is: 'skipped', why: 'not run, because others could have replaced it', needsRoot: false };
  return { path, version, linking, steps };
}

/** Each folder on the way, links as such, by the name that is called and by where it leads. */
async function stepsTo(path: string): Promise<PathStep[]> {
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
