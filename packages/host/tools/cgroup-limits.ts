/**
 * What a unit may use, as files of its cgroup (Linux Documentation/admin-guide/cgroup-v2.rst). A host whose memory or pids controller is not
 * on cgroup v2 (a hybrid one, an old one) has no such files: then there are no limits of that kind, and `doctor` and `host show` say so.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isAbsence } from './files.ts';
import { readKernelFile } from './procs.ts';

export type UnitLimits = { memoryMaxBytes: number; pidsMax: number };

/** The controllers that the limits need. */
const needed = ['memory', 'pids'] as const;

/** File and value, in the order of writing. Pure. */
export function limitFiles(limits: UnitLimits): readonly (readonly [file: string, value: string])[] {
  return [
    ['memory.max', String(limits.memoryMaxBytes)],
    // what a tenant had in memory is never to be found on a disk
    ['memory.swap.max', '0'],
    ['pids.max', String(limits.pidsMax)],
  ];
}

/** Passes the controllers that are there down to the units of our folder; what is passed already stays. */
export function passControllers(folder: string): void {
  for (const above of [dirname(folder), folder]) {
    const there = words(join(above, 'cgroup.controllers'));
    const passed = words(join(above, 'cgroup.subtree_control'));
    for (const one of needed) if (there.includes(one) && !passed.includes(one)) put(join(above, 'cgroup.subtree_control'), `+${one}`);
  }
}

/** To be called before anything runs in the cgroup. */
export function limit(cgroup: string, limits: UnitLimits): void {
  for (const [file, value] of limitFiles(limits)) put(join(cgroup, file), value);
}

/** How often the kernel killed in this cgroup because its memory was used up; 0 where nobody counts. */
export function memoryKills(cgroup: string): number {
  const text = readKernelFile(join(cgroup, 'memory.events'))?.toString('latin1') ?? '';
  return Number(/^oom_kill (\d{1,9})$/m.exec(text)?.[1] ?? 0);
}

function words(path: string): readonly string[] {
  return (readKernelFile(path)?.toString('latin1') ?? '').split(/\s+/).filter(Boolean);
}

/** `r+`: a file that is not there is a controller that is not there, and must not become a file of its own. */
function put(path: string, value: string): void {
  try {
    writeFileSync(path, value, { flag: 'r+' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EBUSY: the folder has processes of its own; EACCES, EPERM, EROFS: not ours to change. Then there is no limit of this kind.
    if (!isAbsence(error) && code !== 'EBUSY' && code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') throw error;
  }
}
