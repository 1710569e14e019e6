/**
 * What a guest will be given beside its root file system, as far as it is known before a boot: the command line, the lease in its `ip=`, the
 * network interface, the kernel, the ports that are promised. Pure.
 */
import { lastValue, parseCommandLine } from '../cmdline.ts';
import type { BootToken } from '../cmdline.ts';
import { parseAddress } from '../wiring.ts';

/** What `ip=` will set; null in a field: it is not known yet, or not given. */
export type IpLease = { device: string | null; address: string | null; gateway: string | null };

export type KernelGiven = {
  release: string;
  /** what is known of its options, without CONFIG_; empty: nothing is */
  config: Readonly<Record<string, 'y' | 'm' | 'n'>>;
  /** modules that its initrd brings, as the kernel names them */
  initrdModules?: readonly string[];
};

export type LintContext = {
  tokens: readonly BootToken[];
  /** null: the kernel sets no address, or asks for one by DHCP itself */
  lease: IpLease | null;
  /** `eth0`: what the kernel calls the only virtio interface of a guest, and what it stays called with net.ifnames=0 */
  interfaceName: string;
  kernel: KernelGiven | null;
  ports: readonly number[];
};

/** `commandLine` may hold the placeholder `{ip}`; `ip` replaces its value. */
export function lintContextOf(given: {
  commandLine: string;
  ip: string | null;
  kernel: KernelGiven | null;
  ports: readonly number[];
}): LintContext {
  const { kernel: tokens } = parseCommandLine(given.commandLine);
  const ip = given.ip ?? lastValue(tokens, 'ip');
  const lease = ip === null ? null : leaseOf(ip);
  return { tokens, lease, interfaceName: 'eth0', kernel: given.kernel, ports: given.ports };
}

/** client:server:gateway:netmask:hostname:device:autoconf, Documentation/admin-guide/nfs/nfsroot.rst */
export function leaseOf(ip: string): IpLease | null {
  if (ip === '{ip}') return { device: null, address: null, gateway: null };
  const fields = ip.split(':');
  const address = fields[0] ?? '';
  if (parseAddress(address) === null) return null;
  const gateway = fields[2] ?? '';
  return { device: fields[5] || null, address, gateway: parseAddress(gateway) === null ? null : gateway };
}

/** Whether a key stands on the command line, and with which value the kernel ends up. */
export function argOf(context: LintContext, key: string): string | null {
  return lastValue(context.tokens, key);
}
