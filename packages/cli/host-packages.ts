/** Pure: which Debian or Ubuntu packages a host still needs, each with its reason. */

export type HostPackage = {
  package: string;
  /** programs by which it is known to be there; all must be found */
  tools: readonly string[];
  /** why, as said before it is installed */
  reason: string;
  who: 'all' | 'root';
  /** without it nothing boots, not even for an ordinary user */
  indispensable: boolean;
};

/** What a program on the host is known to be. busybox alone can be there and still be of no use: in a guest it must be static. */
export type Look = { present(tool: string): boolean; busyboxIsStatic: boolean; root: boolean };

export const hostPackages: readonly HostPackage[] = [
  { package: 'qemu-system-x86', tools: ['qemu-system-x86_64'], reason: 'runs the microVMs', who: 'all', indispensable: true },
  { package: 'qemu-utils', tools: ['qemu-img'], reason: 'makes the disks of VMs', who: 'all', indispensable: true },
  { package: 'busybox-static', tools: ['busybox'], reason: 'is the userland of the golden image tiny', who: 'all', indispensable: true },
  { package: 'golang-go', tools: ['go'], reason: 'compiles the guest agent', who: 'all', indispensable: true },
  {
    package: 'e2fsprogs',
    tools: ['e2fsck'],
    reason: 'checks root file systems',
    who: 'all',
    indispensable: true,
  },
  { package: 'cpio', tools: ['cpio'], reason: 'reads initial RAM disks', who: 'all', indispensable: false },
  {
    package: 'kmod',
    tools: ['modprobe', 'modinfo'],
    reason: 'finds and loads kernel modules',
    who: 'all',
    indispensable: false,
  },
  { package: 'xz-utils', tools: ['xz'], reason: 'unpacks kernels and packages', who: 'all', indispensable: false },
  { package: 'zstd', tools: ['zstd'], reason: 'unpacks kernels and packages', who: 'all', indispensable: false },
  {
    package: 'util-linux',
    tools: ['unshare', 'nsenter', 'setsid'],
    reason: 'puts VMs into namespaces of their own',
    who: 'all',
    indispensable: false,
  },
  { package: 'procps', tools: ['ps'], reason: 'shows processes in support bundles', who: 'all', indispensable: false },
  {
    package: 'iproute2',
    tools: ['ip', 'bridge'],
    reason: 'makes bridges, TAP devices and network namespaces',
    who: 'root',
    indispensable: true,
  },
  { package: 'nftables', tools: ['nft'], reason: 'keeps guests apart and lets them out by NAT', who: 'root', indispensable: true },
  {
    package: 'iputils-arping',
    tools: ['arping'],
    reason: 'proves that only the leased MAC answers',
    who: 'root',
    indispensable: false,
  },
  { package: 'iputils-ping', tools: ['ping'], reason: 'proves the way to the guest', who: 'root', indispensable: false },
];

export function missingPackages(look: Look, table: readonly HostPackage[] = hostPackages): readonly HostPackage[] {
  return table.filter((one) => {
    if (one.who === 'root' && !look.root) return false;
    if (one.package === 'busybox-static' && !look.busyboxIsStatic) return true;
    return !one.tools.every((tool) => look.present(tool));
  });
}

/** The one command an administrator runs; nothing is left to guess. */
export function commandForAdministrator(missing: readonly HostPackage[]): string {
  return `sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${missing.map((one) => one.package).join(' ')}'`;
}

export function installArguments(missing: readonly HostPackage[]): readonly string[] {
  return ['apt-get', ...aptOptions, 'install', '-y', '--no-install-recommends', ...missing.map((one) => one.package)];
}

/** It says how far it is to file 3. Not to 1: apt-get closes that file for dpkg, and then scripts of packages fail when they say something. */
const aptOptions = ['-q', '-o', 'Dpkg::Use-Pty=0', '-o', 'APT::Status-Fd=3'] as const;
export const updateArguments: readonly string[] = ['apt-get', ...aptOptions, '-o', 'APT::Update::Error-Mode=any', 'update'];

/** How far apt-get is, by what it wrote to its status file: the phase and its percentage. Null: it does not say. */
export function howFar(text: string): { phase: 'downloading' | 'setting up'; percent: number } | null {
  const last = [...text.matchAll(/^(dl|pm)status:[^:\n]*:(\d{1,3})(?:\.\d*)?:.*$/gm)].at(-1);
  return last === undefined ? null : { phase: last[1] === 'dl' ? 'downloading' : 'setting up', percent: Math.min(Number(last[2]), 100) };
}
