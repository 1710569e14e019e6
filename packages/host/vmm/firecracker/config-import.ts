/**
 * A Firecracker configuration file as Linstock would run it: what is taken, and what is changed and why. Pure. Nothing that the file asks for
 * is dropped without being named; what cannot be run is a refusal.
 */
import type { FirecrackerSettings } from '@linstock/contract';
import { checkTemplate, type Version } from '@linstock/core';
import { isGiven, isRecord, pointer } from './checks.ts';
import { firecrackerSettingsOf } from './import-settings.ts';
import { importArguments, rootFromArguments } from './import-arguments.ts';
import { list, section, type Finding, type Section } from './lint/finding.ts';
import { rootOf } from './lint/boot.ts';
import { lintConfig } from './lint/lint.ts';

export type Imported = {
  memoryMiB: number;
  vcpus: number;
  kernel: string;
  initrd: string | null;
  /** the drive that becomes the disk of the VM, copied */
  disk: { path: string; readOnly: boolean };
  /** template of the golden image */
  bootArgs: readonly string[];
  /** what only Firecracker has; null where the VM runs on another VMM, or the file asks for nothing of it */
  firecracker: FirecrackerSettings | null;
};
/** One thing that the file asks for and Linstock does otherwise, or not at all. */
export type ImportChange = { at: string; says: string };
export type Import =
  | { is: 'ok'; vm: Imported; changes: readonly ImportChange[]; findings: readonly Finding[] }
  | { is: 'refused'; says: readonly string[]; findings: readonly Finding[] };

/** `onFirecracker`: whether the VM will run on it, and so can have what no other VMM has. */
export function importConfig(text: string | Uint8Array, version: Version, onFirecracker: boolean): Import {
  const { findings, config } = lintConfig(text, version);
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (config === null || errors.length > 0)
    return { is: 'refused', findings, says: errors.map(({ at, what, fix }) => `${at === '' ? '' : `${at}: `}${what} ${fix}`) };
  const disk = diskOf(config);
  if (!disk.ok) return { is: 'refused', findings, says: [disk.says] };

  const changes: ImportChange[] = [];
  const own = onFirecracker ? firecrackerSettingsOf(config, disk.index) : null;
  const change = (at: string, says: string): void => {
    if (own?.at.includes(at) !== true) changes.push({ at, says });
  };
  changeDrives(config, disk.index, change);
  changeNetwork(config, change);
  changeRest(config, change);
  const boot = section(config, 'boot-source');
  const args = importArguments(boot['boot_args'], { owner: disk.owner, readOnly: disk.readOnly });
  for (const says of args.changes) change('/boot-source/boot_args', says);
  const problems = checkTemplate(args.tokens);
  if (problems.length > 0) return { is: 'refused', findings, says: problems.map(({ says }) => `/boot-source/boot_args: ${says}`) };

  const machine = section(config, 'machine-config');
  return {
    is: 'ok',
    findings,
    changes,
    vm: {
      // what Firecracker does without the section (vmm_config/machine_config.rs)
      memoryMiB: typeof machine['mem_size_mib'] === 'number' ? machine['mem_size_mib'] : 128,
      vcpus: typeof machine['vcpu_count'] === 'number' ? machine['vcpu_count'] : 1,
      kernel: String(boot['kernel_image_path']),
      initrd: typeof boot['initrd_path'] === 'string' ? boot['initrd_path'] : null,
      disk: { path: disk.path, readOnly: disk.readOnly },
      bootArgs: args.tokens,
      firecracker: own === null || own.at.length === 0 ? null : own.settings,
    },
  };
}

type Disk = { ok: true; index: number; path: string; readOnly: boolean; owner: 'firecracker' | 'arguments' } | { ok: false; says: string };

/** The one drive that the VM gets: the root device, the one that root= names, or the first. */
function diskOf(config: Section): Disk {
  const drives = list(config, 'drives');
  const root = rootOf(config);
  if (root?.at.startsWith('/pmem/')) return { ok: false, says: `${root.at}: a root on pmem is not supported here: put it on a drive.` };
  const told = rootFromArguments(section(config, 'boot-source')['boot_args']);
  if (root === null && told.is === 'partition')
    return {
      ok: false,
      says: `/boot-source/boot_args: root=${told.value} is a partition, and Linstock takes an image of the file system itself: copy the partition into a file of its own.`,
    };
  const index = root?.index ?? (told.is === 'disk' ? told.index : 0);
  const drive = drives[index];
  if (drive === undefined)
    return {
      ok: false,
      says: '/drives: there is no root file system to boot from, and Linstock needs one: an initrd alone is not supported.',
    };
  const { path_on_host: path, partuuid } = drive;
  const at = `/drives/${index}`;
  if (typeof path !== 'string')
    return { ok: false, says: `${at}/socket: a disk behind a vhost-user backend cannot be copied: give its content as a file.` };
  if (root !== null && isGiven(partuuid))
    return {
      ok: false,
      says: `${at}/partuuid: Linstock takes an image of the file system itself, without a partition table: copy the partition into a file of its own.`,
    };
  return { ok: true, index, path, readOnly: drive['is_read_only'] === true, owner: root === null ? 'arguments' : 'firecracker' };
}

type Change = (at: string, says: string) => void;

/** What a VM on Firecracker could keep: import-settings.ts. */
const ofFirecracker: ReadonlySet<string> = new Set(['rate_limiter', 'rx_rate_limiter', 'tx_rate_limiter', 'cpu_template', 'huge_pages']);

function leftOut(key: string): string {
  return `${key} is left out${ofFirecracker.has(key) ? '; a VM on Firecracker would have it' : ''}.`;
}

function changeDrives(config: Section, index: number, change: Change): void {
  for (const [i, drive] of list(config, 'drives').entries()) {
    const at = `/drives/${i}`;
    if (i !== index) {
      change(at, 'A VM has one disk at present: this drive is left out.');
      continue;
    }
    change(`${at}/path_on_host`, 'Each VM gets a copy of this file: the file itself is never written to.');
    if (drive['is_read_only'] === true)
      change(`${at}/is_read_only`, 'The disk itself may be written to: it is the kernel that mounts it read-only.');
    else if (drive['cache_type'] !== 'Writeback')
      change(`${at}/cache_type`, 'Writeback instead of Unsafe: a flush of the guest reaches the disk.');
    for (const key of ['rate_limiter', 'io_engine']) if (isGiven(drive[key])) change(`${at}/${key}`, leftOut(key));
  }
}

function changeNetwork(config: Section, change: Change): void {
  const nets = list(config, 'network-interfaces');
  if (nets.length === 0) change('/network-interfaces', 'The VM gets an interface with an address of its own, as every VM here does.');
  for (const [i, net] of nets.entries()) {
    const at = `/network-interfaces/${i}`;
    if (i > 0) {
      change(at, 'A VM has one interface at present: this one is left out.');
      continue;
    }
    change(`${at}/host_dev_name`, `Linstock wires the interface itself: ${String(net['host_dev_name'])} is neither used nor changed.`);
    if (isGiven(net['guest_mac'])) change(`${at}/guest_mac`, 'The MAC address is that of the lease.');
    for (const key of ['rx_rate_limiter', 'tx_rate_limiter', 'mtu']) if (isGiven(net[key])) change(`${at}/${key}`, leftOut(key));
  }
}

/** Sections that are Linstock's own business, or are not supported. */
const others: Readonly<Record<string, string>> = {
  vsock: 'The vsock device is left out: what listens on it in the guest is not reached.',
  logger: 'Log and level are Linstock’s own: the VMM’s log lies with each boot.',
  metrics: 'The metrics file is left out.',
  balloon: 'The balloon is left out; a VM on Firecracker would have it.',
  'cpu-config': 'The CPU template is left out.',
  'mmds-config': 'MMDS is left out: nothing answers at 169.254.169.254.',
  pmem: 'pmem devices are left out.',
  'memory-hotplug': 'Memory for hotplug is left out.',
};

function changeRest(config: Section, change: Change): void {
  const machine = section(config, 'machine-config');
  for (const key of ['smt', 'cpu_template', 'track_dirty_pages', 'huge_pages']) {
    const value = machine[key];
    if (isGiven(value) && value !== false && value !== 'None') change(`/machine-config/${key}`, leftOut(key));
  }
  for (const [name, says] of Object.entries(others)) {
    const value = config[name];
    if (isGiven(value) && !(Array.isArray(value) && value.length === 0)) change(pointer('', name), says);
  }
  if (isRecord(config['entropy']) && isGiven(config['entropy']['rate_limiter']))
    change('/entropy/rate_limiter', 'The limit is left out; each VM has an entropy device.');
}
