/** Looks at the Firecracker processes of this host, whoever started them, and at the kernel's timer threads of VMs. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { allPids, commandOf } from '../tools/procs.ts';
import { errnoName } from '../tools/files.ts';
import { failed, readText } from './read-files.ts';
import type { Reading, RootSight, RunningVmm } from './readings.ts';

/** As many as a network carries, and more; what holds for them holds for the rest. */
const MOST_LOOKED_AT = 2_000;

export async function lookAtRunning(cgroupMount: string | null): Promise<{ running: RunningVmm[]; pits: Reading[] }> {
  const running: RunningVmm[] = [];
  const pits: Reading[] = [];
  for (const pid of allPids()) {
    const comm = await readText(`/proc/${pid}/comm`);
    const name = comm.is === 'text' ? comm.text.trim() : '';
    if (name.startsWith('kvm-pit/') && pits.length < MOST_LOOKED_AT) pits.push(await readText(`/proc/${pid}/cgroup`));
    if (isFirecracker(name, commandOf(pid)[0] ?? '') && running.length < MOST_LOOKED_AT) running.push(await lookAt(pid, cgroupMount));
  }
  return { running, pits };
}

/** By its name or by what it was called as: a release file is `firecracker-v1.16.1-x86_64`, of which the kernel keeps 15 characters. */
function isFirecracker(name: string, called: string): boolean {
  return /^firecracker(?:$|-v)/.test(name) || /^firecracker(?:$|-v)/.test(basename(called));
}

async function lookAt(pid: number, cgroupMount: string | null): Promise<RunningVmm> {
  const folder = `/proc/${pid}`;
  const cgroup = await readText(`${folder}/cgroup`);
  const inside = cgroup.is === 'text' ? /^0::(\/.*)$/m.exec(cgroup.text)?.[1] : undefined;
  const control = (file: string): Promise<Reading> =>
    cgroupMount === null || inside === undefined ? Promise.resolve({ is: 'absent' }) : readText(join(cgroupMount, inside, file));
  const sight = {
    pid,
    limits: await readText(`${folder}/limits`),
    root: await rootOf(pid),
    cgroup,
    control: { cpu: await control('cpu.max'), memory: await control('memory.max'), pids: await control('pids.max') },
  };
  // last: who still has threads now had all of the above when it was read
  const threads = (await threadsOf(pid)).map((thread) => readText(`${folder}/task/${thread}/status`));
  return { ...sight, threads: await Promise.all(threads) };
}

/**
 * By what the link leads to and never by what it says: of a process that the jailer has put into a mount namespace of its own and that called
 * pivot_root it says `/`, as of one that sees everything.
 */
async function rootOf(pid: number): Promise<RootSight> {
  try {
    const [theirs, ours] = [await stat(`/proc/${pid}/root`), await stat('/')];
    return { is: theirs.dev === ours.dev && theirs.ino === ours.ino ? 'shared' : 'own' };
  } catch (error) {
    return failed(error);
  }
}

async function threadsOf(pid: number): Promise<readonly string[]> {
  try {
    return await readdir(`/proc/${pid}/task`);
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return []; // it has just gone
  }
}
