import { readFile, statfs } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { z } from 'zod';
import { FaultError, probeBootSchema, type HostFacts, type VmmFacts } from '@linstock/contract';
import { exec, succeeded } from './tools/exec.ts';
import { readTextIfThere, writeDurably } from './tools/files.ts';
import type { Paths } from './tools/paths.ts';
import { cgroup2Mount } from './tools/procs.ts';
import { probeAccelerators } from './vmm/accelerator.ts';
import { findFirecrackers, usualFirecrackerPaths, type FoundFirecracker } from './vmm/firecracker/find.ts';
import { refusalOfHost } from './vmm/firecracker/plan.ts';
import { probeFirecracker, type FirecrackerProbe } from './vmm/firecracker/probe.ts';
import { abilitiesOf } from './vmm/firecracker/versions.ts';

/** What the probe boots showed, kept beside the state: probing boots two tiny guests and takes a second or two. */
const probedSchema = z.object({
  accelerator: z.enum(['kvm', 'tcg']),
  probes: z.array(probeBootSchema),
  tscKhz: z.int().nullable(),
  /** of each Firecracker, by its path */
  firecrackers: z.record(z.string(), z.object({ works: z.boolean(), evidence: z.string(), ms: z.number() })),
  at: z.number(),
});
type Probed = z.infer<typeof probedSchema>;

export type SurveyOrder = {
  qemu: string;
  /** where to look for Firecracker; null = the usual places */
  firecrackers: readonly string[] | null;
  /** false: never through a jailer; for development */
  jailer: boolean;
  /** what VMs run on when nobody asks for another; null = what the host can do best */
  vmm: HostFacts['usualVmm'] | null;
  paths: Paths;
  /** overrides what the probe boot says; for people who test */
  accelerator: 'kvm' | 'tcg' | null;
  now: number;
  signal: AbortSignal;
};

/**
 * What this machine can do, by probe boots and not by what its devices look like. The probes are kept until the host rebooted or QEMU
 * changed; `probed` tells whether it was probed just now.
 */
export async function surveyHost(o: SurveyOrder): Promise<{ facts: HostFacts; probed: boolean }> {
  const [version, found] = await Promise.all([
    qemuVersion(o),
    findFirecrackers({ paths: o.firecrackers ?? usualFirecrackerPaths, named: o.firecrackers !== null, signal: o.signal }),
  ]);
  const hostBoot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const root = process.getuid?.() === 0;
  const key = JSON.stringify([hostBoot, version, o.qemu, root, found.firecrackers.map(({ path, identity }) => [path, identity])]);
  const kept = await readKept(o.paths, key);
  const probed = kept ?? (await probe(o, root ? found.firecrackers : []));
  if (kept === null) await writeDurably(o.paths.hostFacts, JSON.stringify({ key, probed }));

  const accelerator = o.accelerator ?? probed.accelerator;
  const cgroup = root && cgroup2Mount() !== null;
  const jailed = { wanted: o.jailer, root, cgroup };
  const vmms: VmmFacts[] = [
    ...found.firecrackers.map((one) => firecrackerFacts(one, kvmTruth(probed.firecrackers[one.path], o.accelerator, root), jailed)),
    qemuFacts(o.qemu, version, probed),
    ...(o.vmm === 'stub' ? [stub] : []),
  ];
  const facts: HostFacts = {
    accelerator,
    probes: probed.probes,
    tscKhz: accelerator === 'tcg' ? probed.tscKhz : null,
    vmms,
    usualVmm: o.vmm ?? (vmms.some(({ name, usable }) => name === 'firecracker' && usable) ? 'firecracker' : 'qemu'),
    cores: cpus().length,
    memoryMiB: Math.floor(totalmem() / 1_048_576),
    freeDiskMiB: await freeMiB(o.paths.state),
    cgroup: cgroup ? 'v2' : 'none',
    root,
    kernel: release(),
    advice: [
      ...adviceFor({ accelerator, root, cgroup }),
      ...found.others.map(({ path, why }) => `${path} is not used as Firecracker: ${why}.`),
    ],
    probedAt: probed.at,
  };
  return { facts, probed: kept === null };
}

const stub: VmmFacts = {
  name: 'stub',
  path: '-',
  version: '1',
  usable: true,
  why: 'it runs no guest: for tests and benches',
  jailer: null,
  confinement: 'nothing',
  abilities: [],
};

function qemuFacts(path: string, version: string, probed: Probed): VmmFacts {
  const works = probed.probes.find((probe) => probe.works);
  return {
    name: 'qemu',
    path,
    version,
    usable: true,
    why: works?.evidence ?? 'no probe guest ran',
    jailer: null,
    confinement: 'its own seccomp filter, and the network namespace of the VM',
    abilities: [],
  };
}

type KvmTruth = { works: boolean; why: string };

/** Firecracker runs on KVM or not at all, and needs a TAP; a device that opens says nothing (its probe boot does). */
function kvmTruth(boot: FirecrackerProbe | undefined, override: SurveyOrder['accelerator'], root: boolean): KvmTruth {
  if (!root) return { works: false, why: 'without root there is no TAP for it, and it knows no other network' };
  if (override === 'kvm') return { works: true, why: 'taken for working because LINSTOCK_ACCELERATOR says kvm, against its probe boot' };
  if (boot?.works === true) return { works: true, why: boot.evidence };
  return { works: false, why: `it needs KVM, and KVM cannot run a guest on this host: ${boot?.evidence ?? 'it was not probed'}` };
}

type Jailed = { wanted: boolean; root: boolean; cgroup: boolean };

function firecrackerFacts(found: FoundFirecracker, kvm: KvmTruth, jailed: Jailed): VmmFacts {
  const jail = jailOf(found, jailed);
  const refusal = refusalOfHost({ firecracker: found.path, version: found.version, jailed: 'path' in jail });
  return {
    name: 'firecracker',
    path: found.path,
    version: found.version.text,
    usable: refusal === null && kvm.works,
    why: refusal?.replace(/\.$/, '') ?? kvm.why,
    jailer: 'path' in jail ? jail.path : null,
    confinement:
      'path' in jail
        ? 'its jailer: a folder of its own as root, a user of its own, a pid namespace, the cgroup and network namespace of the VM'
        : `its own seccomp filter only, for development: ${jail.absent}`,
    abilities: [...abilitiesOf(found.version)],
  };
}

function jailOf({ jailer }: FoundFirecracker, { wanted, root, cgroup }: Jailed): FoundFirecracker['jailer'] {
  if (!wanted) return { absent: 'the jailer is switched off (LINSTOCK_JAILER)' };
  if (!root) return { absent: 'a jail needs root' };
  // the jailer clears the environment, and with it the only other mark by which a process of ours is found again
  return cgroup ? jailer : { absent: 'a jail needs a writable cgroup v2' };
}

async function probe(o: SurveyOrder, firecrackers: readonly FoundFirecracker[]): Promise<Probed> {
  const accelerators = await probeAccelerators({ qemu: o.qemu, signal: o.signal });
  const boots: Record<string, FirecrackerProbe> = {};
  // one after the other: each wants a core to itself
  for (const { path } of firecrackers) boots[path] = await probeFirecracker(path, o.signal);
  return { ...accelerators, firecrackers: boots, at: o.now };
}

async function readKept(paths: Paths, key: string): Promise<Probed | null> {
  const text = await readTextIfThere(paths.hostFacts);
  if (text === undefined) return null;
  try {
    const kept = JSON.parse(text) as { key: unknown; probed: unknown };
    return kept.key === key ? probedSchema.parse(kept.probed) : null;
  } catch {
    return null; // written by another release, or half a file: probing again costs a second
  }
}

async function qemuVersion(o: SurveyOrder): Promise<string> {
  const result = await exec([o.qemu, '--version'], { timeoutMs: 10_000, signal: o.signal });
  const version = /version (\d+\.\d+(?:\.\d+)?)/.exec(result.stdout)?.[1];
  if (succeeded(result) && version !== undefined) return version;
  throw new FaultError('host-lacks-tool', { tool: o.qemu, package: 'qemu-system-x86' });
}

async function freeMiB(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return Math.floor((bavail * bsize) / 1_048_576);
}

/** What this host lacks, what it would add, and how to get it. Pure. */
function adviceFor(has: { accelerator: 'kvm' | 'tcg'; root: boolean; cgroup: boolean }): string[] {
  return [
    ...(has.accelerator === 'tcg'
      ? [
          'No working KVM: guests are emulated (TCG), about twenty times slower. A host with hardware virtualisation enabled boots them in a fraction of a second.',
        ]
      : []),
    ...(has.root
      ? []
      : [
          'Without root: VMs are behind a user-mode network. As root they get a bridge, addresses of their own, and ARP, ping and route become part of the proof.',
        ]),
    ...(has.root && !has.cgroup
      ? ['No writable cgroup v2: VMs are found by a mark in their environment, and have no limits of memory and processes.']
      : []),
  ];
}
