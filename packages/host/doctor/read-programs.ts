/** Finds the Firecracker binaries of a host and looks at them. What somebody else could have put there is not run. */
import { join } from 'node:path';
import { isStaticElf } from '../tools/elf.ts';
import { isSafeStep, realFile, stepsTo } from '../tools/trusted-path.ts';
import { jailerBeside } from '../vmm/firecracker/find.ts';
import type { FirecrackerProbe } from '../vmm/firecracker/probe.ts';
import { readHead } from './read-files.ts';
import type { Answer, FirecrackerSight, ProgramSight } from './readings.ts';

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
  /** null: no guest is to be started */
  probe: ((path: string) => Promise<FirecrackerProbe>) | null;
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
    const jailer = await jailerBeside(path);
    const firecracker = await lookAtProgram(path, o);
    found.push({
      firecracker,
      jailer: jailer === null ? null : await lookAtProgram(jailer, o),
      // what was not asked its version is not run for more either
      boot: firecracker.version.is === 'ran' && real !== null ? ((await o.probe?.(real)) ?? null) : null,
    });
  }
  return found;
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
