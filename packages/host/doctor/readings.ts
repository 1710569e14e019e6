/**
 * What was read of a host, as one value that never changes: all that the checks may look at. Everything in it is text or numbers that
 * somebody else wrote, so the checks parse it with limits. What is not there and what may not be read are values of their own.
 */
import type { ProbeBoot } from '@linstock/contract';
import type { PathStep } from '../tools/trusted-path.ts';
import type { FirecrackerProbe } from '../vmm/firecracker/probe.ts';

/** `denied` is everything but absence: EACCES, EPERM, and what drivers answer when they do not want to (EIO, ENODEV, …). */
export type Reading = { is: 'text'; text: string } | { is: 'absent' } | { is: 'denied'; errno: string };

/** What a tool answered. `absent`: there is no such program. `skipped`: it was not asked, for this reason. */
export type Answer =
  | { is: 'ran'; code: number | null; stdout: string; how: string }
  | { is: 'absent' }
  | { is: 'skipped'; why: string; needsRoot: boolean };

/** A device that was opened for reading and writing. */
export type DeviceSight = { is: 'opens'; character: boolean } | { is: 'absent' } | { is: 'denied'; errno: string };

export type ProbeSight = { is: 'made'; kvm: ProbeBoot; tcg: ProbeBoot } | { is: 'skipped'; why: string };

/** Files that are read whole, by their path. */
export const kernelFiles = [
  '/proc/cpuinfo',
  '/proc/meminfo',
  '/proc/mounts',
  '/proc/self/mountinfo',
  '/proc/self/limits',
  '/proc/self/status',
  '/proc/swaps',
  '/proc/sys/kernel/pid_max',
  '/proc/sys/kernel/printk',
  '/proc/sys/kernel/seccomp/actions_avail',
  '/proc/sys/kernel/threads-max',
  '/proc/sys/net/ipv4/ip_forward',
  '/proc/sys/user/max_net_namespaces',
  '/proc/sys/vm/min_free_kbytes',
  '/proc/sys/vm/unprivileged_userfaultfd',
  '/proc/net/ip_tables_names',
  '/sys/devices/system/clocksource/clocksource0/current_clocksource',
  '/sys/devices/system/cpu/smt/active',
  '/sys/devices/system/cpu/smt/control',
  '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages',
  '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
  '/sys/kernel/mm/ksm/run',
  '/sys/kernel/mm/transparent_hugepage/enabled',
  '/sys/module/kvm/parameters/min_timer_period_us',
  '/sys/module/kvm/parameters/nx_huge_pages',
] as const;
export type KernelFile = (typeof kernelFiles)[number];

/** Name and text of each file of a folder. */
export type FolderSight =
  | { is: 'read'; entries: readonly { name: string; reading: Reading }[] }
  | { is: 'absent' }
  | { is: 'denied'; errno: string };

export type ProgramSight = {
  path: string;
  version: Answer;
  /** the first bytes of the file; null when it cannot be read */
  linking: 'static' | 'dynamic' | 'unreadable';
  steps: readonly PathStep[];
};
export type FirecrackerSight = {
  firecracker: ProgramSight;
  jailer: ProgramSight | null;
  /** its probe boot; null: none was made */
  boot: FirecrackerProbe | null;
};

/** Whether its root folder is the one that we have, too. */
export type RootSight = { is: 'own' } | { is: 'shared' } | { is: 'absent' } | { is: 'denied'; errno: string };

export type RunningVmm = {
  pid: number;
  /** `/proc/PID/status` of each of its threads */
  threads: readonly Reading[];
  limits: Reading;
  root: RootSight;
  /** its path in cgroup v2 */
  cgroup: Reading;
  control: { cpu: Reading; memory: Reading; pids: Reading };
};

export type StateSight = {
  path: string;
  /** the folder itself, or the first one above it that is there */
  nearest: string;
  own: { is: 'there'; mode: number; uid: number } | { is: 'absent' } | { is: 'denied'; errno: string };
  freeBytes: number | null;
  /** whether a copy may share blocks with its original: tried with two small files */
  sharesBlocks: 'yes' | 'no' | { errno: string };
  installation: Reading;
};

export type CgroupSight = {
  /** where cgroup v2 is mounted; null: nowhere */
  mount: string | null;
  mayWrite: boolean;
  controllers: Reading;
  delegated: Reading;
  /** it is a part of a tree that somebody else owns, as in a container */
  nested: boolean;
};

export type LackingPackages = { needed: readonly string[]; useful: readonly string[]; install: string };

export type HostReadings = {
  uid: number;
  /** as Node calls it: `x64` */
  architecture: string;
  kernel: string;
  files: Readonly<Record<KernelFile, Reading>>;
  vulnerabilities: FolderSight;
  /** one per cpufreq policy */
  governors: FolderSight;
  /** memory controllers that report errors */
  memoryControllers: FolderSight;
  kvm: DeviceSight;
  tun: DeviceSight;
  userfaultfd: 'there' | 'absent';
  mayForward: boolean;
  qemu: { path: string; version: Answer };
  probes: ProbeSight;
  packages: LackingPackages;
  /** rules as Linstock would load them, only checked */
  nftRules: Answer;
  nftChains: Answer;
  addresses: Answer;
  routes: Answer;
  clock: Answer;
  /** the subnet that a first `up` would take */
  subnet: string;
  cgroup: CgroupSight;
  state: StateSight;
  firecrackers: readonly FirecrackerSight[];
  running: readonly RunningVmm[];
  /** cgroups of the kernel's timer threads of VMs (`kvm-pit/…`) */
  pits: readonly Reading[];
};
