/** Gathers the readings of this host. Thin: it decides nothing, and leaves nothing behind. */
import { constants } from 'node:fs';
import { access, copyFile, mkdtemp, realpath, stat, statfs, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { Network } from '@linstock/contract';
import { renderRules } from '../network/rules.ts';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { errnoName, removeTree } from '../tools/files.ts';
import { Paths } from '../tools/paths.ts';
import { cgroup2Mount } from '../tools/procs.ts';
import { probePathfinder } from '../vmm/accelerator.ts';
import { probeFirecracker } from '../vmm/firecracker/probe.ts';
import { textOf } from './check.ts';
import { readFolder, readText, tryDevice } from './read-files.ts';
import { lookAtFirecrackers } from './read-programs.ts';
import { lookAtRunning } from './read-running.ts';
import {
  kernelFiles,
  type Answer,
  type CgroupSight,
  type HostReadings,
  type KernelFile,
  type LackingPackages,
  type ProbeSight,
  type Reading,
  type StateSight,
} from './readings.ts';

const TOOL_TIMEOUT_MS = 10_000;
/** Routes and links of a thousand VMs are 400 KB of JSON, whose beginning may not be lost. */
const MOST_OUTPUT_BYTES = 16 * 1024 * 1024;

export type ReadOrder = {
  /** absolute path of QEMU */
  qemu: string;
  stateFolder: string;
  subnet: string;
  /** where programs are looked for */
  programFolders: readonly string[];
  /** absolute paths of the Firecrackers to use; null: look for them */
  firecrackers: readonly string[] | null;
  packages: LackingPackages;
  /** false: no guest is started */
  probe: boolean;
  signal: AbortSignal;
  progress(step: { name: string }): void;
};

export async function readHost(o: ReadOrder): Promise<HostReadings> {
  const uid = process.getuid?.() ?? -1;
  const ask = (argv: readonly string[], input?: string): Promise<Answer> => askTool(argv, o.signal, input);
  const asRoot = (argv: readonly string[], input?: string): Promise<Answer> =>
    uid === 0 ? ask(argv, input) : Promise.resolve({ is: 'skipped', why: `only root may ask ${argv[0] ?? ''}`, needsRoot: true });
  o.progress({ name: 'reading this host' });
  const files = Object.fromEntries(await Promise.all(kernelFiles.map(async (path) => [path, await readText(path)] as const))) as Record<
    KernelFile,
    Reading
  >;
  const cgroup = await lookAtCgroup(textOf(files['/proc/mounts']) ?? '');
  const [nftRules, nftChains, addresses, routes, clock, version] = await Promise.all([
    asRoot(['nft', '--check', '--file', '-'], renderRules('d0c0', sampleNetwork(o.subnet))),
    asRoot(['nft', '--json', 'list', 'chains']),
    ask(['ip', '-json', '-4', 'address', 'show']),
    ask(['ip', '-json', '-4', 'route', 'show', 'table', 'all']),
    ask(['busybox', 'adjtimex']),
    ask([o.qemu, '--version']),
  ]);
  return {
    uid,
    architecture: process.arch,
    kernel: release(),
    files,
    vulnerabilities: await readFolder('/sys/devices/system/cpu/vulnerabilities', /./),
    governors: await readFolder('/sys/devices/system/cpu/cpufreq', /^policy\d+$/, 'scaling_governor'),
    memoryControllers: await readFolder('/sys/devices/system/edac/mc', /^mc\d+$/, 'mc_name'),
    kvm: await tryDevice('/dev/kvm'),
    tun: await tryDevice('/dev/net/tun'),
    userfaultfd: (await tryDevice('/dev/userfaultfd')).is === 'absent' ? 'absent' : 'there',
    mayForward: await may('/proc/sys/net/ipv4/ip_forward'),
    qemu: { path: o.qemu, version },
    packages: o.packages,
    nftRules,
    nftChains,
    addresses,
    routes,
    clock,
    subnet: o.subnet,
    cgroup,
    state: await lookAtState(o.stateFolder),
    firecrackers: await lookAtFirecrackers({
      paths: o.firecrackers,
      folders: o.programFolders,
      uid,
      ask,
      probe: o.probe ? (path) => probeFirecracker(path, o.signal) : null,
    }),
    ...(await lookAtRunning(cgroup.mount)),
    probes: await probe(o, version),
  };
}

async function askTool(argv: readonly string[], signal: AbortSignal, input?: string): Promise<Answer> {
  const result = await exec(argv, {
    timeoutMs: TOOL_TIMEOUT_MS,
    maxOutputBytes: MOST_OUTPUT_BYTES,
    signal,
    ...(input === undefined ? {} : { input: Buffer.from(input) }),
  });
  signal.throwIfAborted();
  if (result.spawnError === 'ENOENT') return { is: 'absent' };
  const how = succeeded(result) ? `it printed ${JSON.stringify(result.stdout.slice(0, 60))}` : describeFailure(result);
  return { is: 'ran', code: result.code, stdout: result.stdout, how };
}

/** What a first `up` would make, for the rules of it. */
function sampleNetwork(subnet: string): Network {
  return {
    id: 'net_doctor',
    index: 0,
    name: 'doctor',
    kind: 'bridge',
    subnet,
    gateway: subnet.replace(/\d+\/\d+$/, '1'),
    bridge: null,
    egress: true,
    isolated: true,
  };
}

async function may(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch {
    return false; // EACCES, EROFS, ENOENT: in any case it may not be written
  }
}

async function lookAtCgroup(mounts: string): Promise<CgroupSight> {
  const mount = cgroup2Mount(mounts);
  if (mount === null) return { mount, mayWrite: false, controllers: { is: 'absent' }, delegated: { is: 'absent' }, nested: false };
  return {
    mount,
    mayWrite: await may(mount),
    controllers: await readText(join(mount, 'cgroup.controllers')),
    delegated: await readText(join(mount, 'cgroup.subtree_control')),
    nested: (await readText(join(mount, 'cgroup.type'))).is !== 'absent', // every cgroup has it but the root of the whole tree (cgroups(7))
  };
}

async function lookAtState(path: string): Promise<StateSight> {
  let own: StateSight['own'] = { is: 'absent' };
  let nearest = path;
  for (; ; nearest = dirname(nearest)) {
    try {
      const { mode, uid } = await stat(nearest);
      if (nearest === path) own = { is: 'there', mode, uid };
      break;
    } catch (error) {
      const errno = errnoName(error);
      if (errno === undefined || nearest === dirname(nearest)) throw error;
      if (nearest === path && errno !== 'ENOENT') own = { is: 'denied', errno };
    }
  }
  nearest = await realpath(nearest);
  return {
    path,
    nearest,
    own,
    freeBytes: await freeBytes(nearest),
    sharesBlocks: await trySharing(nearest),
    installation: await readText(new Paths(path).installation),
  };
}

async function freeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if (errnoName(error) === undefined) throw error;
    return null; // EIO, ENOSYS: a disk that answers nothing
  }
}

/** Whether a file system can is known only by doing it: XFS was perhaps made without, and what a container shows is a mixture. */
async function trySharing(folder: string): Promise<StateSight['sharesBlocks']> {
  let scratch: string;
  try {
    scratch = await mkdtemp(join(folder, '.linstock-doctor-'));
  } catch (error) {
    const errno = errnoName(error);
    if (errno === undefined) throw error;
    return { errno };
  }
  try {
    await writeFile(join(scratch, 'original'), Buffer.alloc(65_536, 1));
    try {
      await copyFile(join(scratch, 'original'), join(scratch, 'copy'), constants.COPYFILE_FICLONE_FORCE);
      return 'yes';
    } catch (error) {
      if (errnoName(error) === undefined) throw error;
      return 'no'; // EOPNOTSUPP, EINVAL, ENOSYS: each file system says it in its own way
    }
  } catch (error) {
    const errno = errnoName(error);
    if (errno === undefined) throw error;
    return { errno }; // ENOSPC, EDQUOT: there was no room to try
  } finally {
    await removeTree(scratch);
  }
}

async function probe(o: ReadOrder, version: Answer): Promise<ProbeSight> {
  if (!o.probe) return { is: 'skipped', why: 'no guest was started (--no-probe)' };
  if (version.is === 'absent') return { is: 'skipped', why: `no guest could be started: there is no ${o.qemu}` };
  o.progress({ name: 'starting two small guests, under KVM and under emulation' });
  try {
    const [kvm, tcg] = await Promise.all(
      (['kvm', 'tcg'] as const).map((accelerator) => probePathfinder({ qemu: o.qemu, accelerator, signal: o.signal })),
    );
    return kvm === undefined || tcg === undefined ? { is: 'skipped', why: 'no guest was started' } : { is: 'made', kvm, tcg };
  } catch (error) {
    o.signal.throwIfAborted();
    const errno = errnoName(error);
    if (errno === undefined) throw error;
    return { is: 'skipped', why: `no guest could be started: there is no place for its files (${errno})` };
  }
}
