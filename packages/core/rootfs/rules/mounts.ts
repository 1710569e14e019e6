/** /etc/fstab against the disks that a guest has: one, without partitions, /dev/vda. */
import { argOf } from '../context.ts';
import { FSTAB } from '../facts/fstab.ts';
import type { Mount } from '../facts/fstab.ts';
import type { ImageFacts } from '../facts/facts.ts';
import type { Rule } from './rule.ts';

/** Why a guest has no such device; null: it may have it. */
function lacks(mount: Mount, { fileSystem }: ImageFacts): string | null {
  const { device } = mount;
  const tag =
    /^(UUID|LABEL|PARTUUID|PARTLABEL)=["']?(.*?)["']?$/.exec(device) ??
    /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.*)$/.exec(device);
  if (tag !== null) {
    const kind = (tag[1] ?? '').toUpperCase();
    if (kind.startsWith('PART')) return 'the disk has no partitions';
    if (fileSystem === null) return null;
    if (kind === 'UUID' ? fileSystem.uuid === tag[2]?.toLowerCase() : fileSystem.label === tag[2]) return null;
    return `the only disk has the ${kind} "${kind === 'UUID' ? fileSystem.uuid : fileSystem.label}"`;
  }
  if (/^\/dev\/vda$|^\/dev\/root$/.test(device)) return null;
  if (/^\/dev\/vda\d/.test(device)) return 'the disk has no partitions';
  return /^\/dev\/(?:sd|hd|xvd|nvme|mmcblk|vd[b-z]|mapper\/|disk\/|sr\d)/.test(device) ? 'the only disk is /dev/vda' : null;
}

const skipped = ({ options, type }: Mount): boolean =>
  type === 'swap' || ['noauto', 'nofail', 'bind', 'rbind'].some((word) => options.includes(word));

export const mountsRules: readonly Rule[] = [
  {
    id: 'mounts.root-elsewhere',
    severity: 'warning',
    finds: '/etc/fstab names another device for / than the one that holds this image',
    why: 'The kernel mounts root= and does not read it; what remounts / later by this line (systemd-remount-fs, mountroot) fails, and / stays as it was.',
    fix: 'Name /dev/vda or the UUID of this file system, or delete the line.',
    predicts: "Failed to start systemd-remount-fs.service - Remount Root and Kernel File Systems, or mount: /: can't find UUID=…",
    refutes: 'init.finished',
    look: (facts) =>
      facts.fstab.flatMap((mount) => {
        const why = mount.at === '/' && mount.type !== 'overlay' ? lacks(mount, facts) : null;
        return why === null ? [] : [{ path: FSTAB, line: mount.line, what: `It mounts ${mount.device} on /, and ${why}.` }];
      }),
  },
  {
    id: 'mounts.device-absent',
    severity: 'error',
    finds: '/etc/fstab mounts a device that a guest does not have, without nofail',
    why: 'systemd waits 90 s for it and then goes to emergency mode; other inits stop or go on with errors.',
    fix: 'Delete the line, or add nofail.',
    predicts:
      'Timed out waiting for device …, then Dependency failed for local-fs.target - Local File Systems, then You are in emergency mode.',
    refutes: 'init.finished',
    look: (facts, context) =>
      argOf(context, 'fstab') === 'no'
        ? []
        : facts.fstab.flatMap((mount) => {
            const why = mount.at === '/' || !mount.at.startsWith('/') || skipped(mount) ? null : lacks(mount, facts);
            return why === null ? [] : [{ path: FSTAB, line: mount.line, what: `It mounts ${mount.device} on ${mount.at}, and ${why}.` }];
          }),
  },
  {
    id: 'mounts.swap-absent',
    severity: 'warning',
    finds: '/etc/fstab uses a swap device that a guest does not have',
    why: 'systemd waits 90 s for it before swap.target fails; the boot takes that much longer.',
    fix: 'Delete the line, or add nofail.',
    predicts: 'Timed out waiting for device …, then Dependency failed for swap.target - Swaps.',
    refutes: null,
    look: (facts) =>
      facts.fstab.flatMap((mount) => {
        const why =
          mount.type === 'swap' && !mount.options.includes('nofail') && !mount.options.includes('noauto') ? lacks(mount, facts) : null;
        return why === null ? [] : [{ path: FSTAB, line: mount.line, what: `It swaps to ${mount.device}, and ${why}.` }];
      }),
  },
];
