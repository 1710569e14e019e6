/**
 * What a kernel must have to boot under a VMM, and for what people run in it, as data. Pure.
 *
 * Symptoms are the lines that consoles showed when the option was taken out of a kernel that booted, or that the source prints; null where
 * user space decides how it fails.
 */
import type { Requirement } from './requirement.ts';
import { bootRequirements } from './requirements-boot.ts';
import { deviceRequirements } from './requirements-devices.ts';
import { programRequirements } from './requirements-programs.ts';

/** What --needs may ask for. */
export const askable: Readonly<Record<string, string>> = {
  initrd: 'an initrd is the first root',
  'ip-autoconfig': 'the kernel itself sets the address of ip=',
  agent: 'the guest agent of Linstock',
  vsock: 'AF_VSOCK sockets to the host',
  squashfs: 'the root file system is squashfs, not ext4',
  erofs: 'the root file system is erofs, not ext4',
  xfs: 'the root file system is XFS, not ext4',
  btrfs: 'the root file system is Btrfs, not ext4',
  overlay: 'a writable layer over a read-only root',
  partuuid: 'root=PARTUUID=…',
  snapshot: 'snapshots and clones',
  balloon: 'a memory balloon',
  'memory-hotplug': 'memory that is added while the VM runs',
  pmem: 'disks as persistent memory',
  'ctrl-alt-del': 'a shutdown asked for by key press (Firecracker, x86-64)',
  modules: 'modules loaded from the root file system',
  systemd: 'systemd as init',
  docker: 'Docker, containerd or Podman in the guest',
  nft: 'nftables in the guest',
  fuse: 'FUSE file systems in the guest',
  desktop: 'a desktop and a browser in the guest, seen through VNC',
};

/** In the order in which a boot needs them. */
export const requirements: readonly Requirement[] = [...bootRequirements, ...deviceRequirements, ...programRequirements];
