/** The file system itself: what could not be read, what is left, whether it was closed properly. */
import type { Rule } from './rule.ts';

const MIB = 1024 * 1024;
/** Below this share of free space, and below this much, a guest runs out of it soon. */
const LITTLE_SHARE = 0.05;
const LITTLE_BYTES = 256 * MIB;
const FEW_INODES = 2_000;

export const imageRules: readonly Rule[] = [
  {
    id: 'image.journal-pending',
    severity: 'warning',
    finds: 'the journal of the file system holds changes that were never written to their places',
    why: 'It was copied while it was mounted, or its machine was cut off. What is read here is the state before those changes; the guest replays them at each boot from this image.',
    fix: 'Run e2fsck -fp on the image, and copy images only after they were unmounted.',
    predicts: 'EXT4-fs (vda): recovery complete',
    refutes: null,
    look: ({ fileSystem }) => (fileSystem?.journalPending === true ? [{ path: null, what: 'The journal was not replayed.' }] : []),
  },
  {
    id: 'image.errors-marked',
    severity: 'error',
    finds: 'the kernel marked the file system as damaged',
    why: 'A kernel found an error in it before. Such an image may be mounted read-only, or panic, when the damage is met again.',
    fix: 'Run e2fsck -f on the image, or build it anew.',
    predicts: 'EXT4-fs (vda): warning: mounting fs with errors, running e2fsck is recommended',
    refutes: null,
    look: ({ fileSystem }) => (fileSystem?.errors === true ? [{ path: null, what: 'The file system is marked as having errors.' }] : []),
  },
  {
    id: 'image.unreadable',
    severity: 'warning',
    finds: 'places that were looked for and could not be read',
    why: 'Nothing is said about what stands there: findings may be missing.',
    fix: 'Run e2fsck -fn on the image to see whether it is damaged; read a folder as a user who may.',
    predicts: 'I/O errors or "EXT4-fs error" lines, when the image is damaged',
    refutes: null,
    look: ({ troubles }) => troubles.map(({ path, why }) => ({ path, what: `It cannot be read: ${why}.` })),
  },
  {
    id: 'image.nearly-full',
    severity: 'warning',
    finds: 'less than 5 % and 256 MiB of the blocks, or less than 5 % and 2,000 of the inodes, are free',
    why: 'Logs, locks and package tools of a guest need room; programs that cannot write fail in ways that do not name the disk.',
    fix: 'Make the image larger (resize2fs after truncate), or put less into it.',
    predicts: 'No space left on device',
    refutes: null,
    look: ({ fileSystem }) => {
      if (fileSystem === null) return [];
      const { bytes, freeBytes, inodes, freeInodes } = fileSystem;
      const full = (free: number): { severity: 'error' } | object => (free === 0 ? { severity: 'error' as const } : {});
      return [
        ...(freeBytes < bytes * LITTLE_SHARE && freeBytes < LITTLE_BYTES
          ? [{ path: null, what: `${Math.floor(freeBytes / MIB)} of ${Math.floor(bytes / MIB)} MiB are free.`, ...full(freeBytes) }]
          : []),
        ...(freeInodes < inodes * LITTLE_SHARE && freeInodes < FEW_INODES
          ? [{ path: null, what: `${freeInodes} of ${inodes} inodes are free: so many files can still be made.`, ...full(freeInodes) }]
          : []),
      ];
    },
  },
  {
    id: 'image.mount-points',
    severity: 'warning',
    finds: 'the folders /dev, /proc, /sys, /run or /tmp are missing',
    why: 'The kernel mounts devtmpfs on /dev before it starts init, and init mounts the others; on a folder that is not there nothing can be mounted. An initrd or systemd may make it first, where / is writable.',
    fix: 'Make the folder, empty, mode 755 (/tmp: 1777).',
    predicts: 'For /dev, without an initrd: devtmpfs: error mounting -2',
    refutes: null,
    look: ({ mountPointsMissing }) => mountPointsMissing.map((path) => ({ path, what: `There is no folder ${path}.` })),
  },
];
