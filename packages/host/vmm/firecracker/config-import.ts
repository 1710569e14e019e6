/**
 * A Firecracker configuration file as Linstock would run it: what is taken, and what is changed and why. Pure. Nothing that the file asks for
 * is dropped without being named; what cannot be run is a refusal.
 */
import { parseCommandLine } from '@linstock/core';
import { isGiven } from './checks.ts';
import { lintConfig, list, section, type Finding } from './config-lint.ts';
import type { Version } from './versions.ts';

export type Imported = {
  memoryMiB: number;
  vcpus: number;
  kernel: string;
  initrd: string | null;
  /** the drive that becomes the disk of the VM, copied */
  disk: { path: string; readOnly: boolean } | null;
  bootArgs: readonly string[];
  interfaces: number;
};
/** One thing that the file asks for and Linstock does otherwise, or not at all. */
export type ImportChange = { at: string; says: string };
export type Import =
  | { is: 'ok'; vm: Imported; changes: readonly ImportChange[]; findings: readonly Finding[] }
  | { is: 'refused'; findings: readonly Finding[]; says: readonly string[] };

export function importConfig(text: string, version: Version): Import {
  const { findings, config } = lintConfig(text, version);
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (config === null || errors.length > 0)
    return { is: 'refused', findings, says: errors.map(({ at, what, fix }) => `${at === '' ? '' : `${at}: `}${what} ${fix}`) };

  const changes: ImportChange[] = [];
  const change = (at: string, says: string): void => void changes.push({ at, says });
  const machine = section(config, 'machine-config');
  const boot = section(config, 'boot-source');
  const drives = list(config, 'drives');
  const nets = list(config, 'network-interfaces');

  const root = Math.max(
    0,
    drives.findIndex((drive) => drive['is_root_device'] === true),
  );
  const drive = drives[root];
  const path = drive?.['path_on_host'];
  for (const i of drives.keys()) if (i !== root) change(`/drives/${i}`, 'A VM has one disk at present: this drive is left out.');
  if (drive !== undefined) {
    if (typeof path === 'string')
      change(`/drives/${root}/path_on_host`, 'The VM gets a copy of this file: the file itself is never written to.');
    else change(`/drives/${root}/socket`, 'A vhost-user backend is not supported: this drive is left out.');
    if (drive['cache_type'] !== 'Writeback')
      change(`/drives/${root}/cache_type`, 'Writeback instead of Unsafe: a flush of the guest reaches the disk.');
    for (const key of ['rate_limiter', 'io_engine', 'partuuid'])
      if (isGiven(drive[key])) change(`/drives/${root}/${key}`, `${key} is left out.`);
  }
  for (const [i, net] of nets.entries()) {
    if (i > 0) change(`/network-interfaces/${i}`, 'A VM has one interface at present: this one is left out.');
    else {
      change('/network-interfaces/0/host_dev_name', `tap0 in a network namespace of its own instead of ${String(net['host_dev_name'])}.`);
      if (isGiven(net['guest_mac'])) change('/network-interfaces/0/guest_mac', 'The MAC address is the one of the lease.');
      for (const key of ['rx_rate_limiter', 'tx_rate_limiter', 'mtu'])
        if (isGiven(net[key])) change(`/network-interfaces/0/${key}`, `${key} is left out.`);
    }
  }
  for (const key of ['smt', 'cpu_template', 'track_dirty_pages', 'huge_pages']) {
    const value = machine[key];
    if (isGiven(value) && value !== false && value !== 'None') change(`/machine-config/${key}`, `${key} is left out.`);
  }
  const own: Readonly<Record<string, string>> = {
    vsock: 'The vsock device is Linstock’s own, with guest CID 3 and a socket of the boot.',
    logger: 'Log and level are Linstock’s own: the log lies with the boot.',
    metrics: 'The metrics file is Linstock’s own.',
    balloon: 'The balloon is left out.',
    'cpu-config': 'The CPU template is left out.',
    'mmds-config': 'MMDS is left out.',
    pmem: 'pmem devices are left out.',
    'memory-hotplug': 'Hotplug memory is left out.',
  };
  for (const [name, says] of Object.entries(own)) if (isGiven(config[name])) change(`/${name}`, says);

  const args = boot['boot_args'];
  const { kernel, init } = parseCommandLine(typeof args === 'string' ? args : 'console=ttyS0');
  if (typeof args !== 'string')
    change('/boot-source/boot_args', 'Without arguments Firecracker takes its own, which have no console: console=ttyS0 is added.');
  // taken apart and put together again by their own text, so that quotes stay
  const bootArgs = [...kernel.map((token) => token.text), ...(init === null ? [] : ['--', ...init.map((token) => token.text)])];
  if (kernel.some(({ key }) => key === 'ip'))
    change('/boot-source/boot_args', 'ip= holds an address of another network: the lease of the VM takes its place.');

  return {
    is: 'ok',
    findings,
    changes,
    vm: {
      // what Firecracker does without the section (facts §1.4)
      memoryMiB: typeof machine['mem_size_mib'] === 'number' ? machine['mem_size_mib'] : 128,
      vcpus: typeof machine['vcpu_count'] === 'number' ? machine['vcpu_count'] : 1,
      kernel: String(boot['kernel_image_path']),
      initrd: typeof boot['initrd_path'] === 'string' ? boot['initrd_path'] : null,
      disk: typeof path === 'string' ? { path, readOnly: drive?.['is_read_only'] === true } : null,
      bootArgs: bootArgs.map((text) => (text.startsWith('ip=') ? 'ip={ip}' : text)),
      interfaces: Math.min(nets.length, 1),
    },
  };
}
