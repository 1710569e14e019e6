import { readFile, statfs } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { FaultError, hostFactsSchema, type HostFacts } from '@linstock/contract';
import { exec, succeeded } from './tools/exec.ts';
import { readTextIfThere, writeDurably } from './tools/files.ts';
import type { Paths } from './tools/paths.ts';
import { cgroup2Mount } from './tools/procs.ts';
import { probeAccelerators } from './vmm/accelerator.ts';

/** What a host was probed as, kept beside the state: probing boots two tiny guests and takes a second or two. */
type Kept = { key: string; facts: HostFacts };

export type SurveyOrder = {
  qemu: string;
  paths: Paths;
  /** overrides what the probe boot says; for people who test */
  accelerator: 'kvm' | 'tcg' | null;
  now: number;
  signal: AbortSignal;
};

/**
 * What this machine can do, by probe boots and not by what its devices look like. Kept until the host rebooted or QEMU
 * changed; `probed` tells whether it was probed just now.
 */
export async function surveyHost(o: SurveyOrder): Promise<{ facts: HostFacts; probed: boolean }> {
  const version = await qemuVersion(o);
  const hostBoot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const root = process.getuid?.() === 0;
  const key = JSON.stringify([hostBoot, version, o.qemu, o.accelerator, root]);
  const kept = await readKept(o.paths);
  if (kept?.key === key) return { facts: { ...kept.facts, freeDiskMiB: await freeMiB(o.paths.state) }, probed: false };
  const { accelerator, probes, tscKhz } = await probeAccelerators({ qemu: o.qemu, signal: o.signal });
  const chosen = o.accelerator ?? accelerator;
  const facts: HostFacts = {
    accelerator: chosen,
    probes,
    tscKhz: chosen === 'tcg' ? tscKhz : null,
    vmms: [{ name: 'qemu', path: o.qemu, version }],
    cores: cpus().length,
    memoryMiB: Math.floor(totalmem() / 1_048_576),
    freeDiskMiB: await freeMiB(o.paths.state),
    cgroup: root && cgroup2Mount() !== null ? 'v2' : 'none',
    root,
    kernel: release(),
    advice: adviceFor({ accelerator, root, cgroup: root && cgroup2Mount() !== null }),
    probedAt: o.now,
  };
  await writeDurably(o.paths.hostFacts, JSON.stringify({ key, facts } satisfies Kept));
  return { facts, probed: true };
}

async function readKept(paths: Paths): Promise<Kept | null> {
  const text = await readTextIfThere(paths.hostFacts);
  if (text === undefined) return null;
  try {
    const { key, facts } = JSON.parse(text) as { key: string; facts: unknown };
    return { key, facts: hostFactsSchema.parse(facts) };
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
export function adviceFor(has: { accelerator: 'kvm' | 'tcg'; root: boolean; cgroup: boolean }): string[] {
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
      ? ['No writable cgroup v2: VMs are found by a mark in their environment, and have no limits of memory and CPU.']
      : []),
  ];
}
