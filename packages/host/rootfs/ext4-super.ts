/**
 * The superblock of ext2, ext3 and ext4: where everything else is. Pure.
 * Source of all offsets and flags: the kernel's Documentation/filesystems/ext4/super.rst and fs/ext4/ext4.h.
 */
import type { FileSystemFacts } from '@linstock/core';

export const SUPER_OFFSET = 1024;
export const SUPER_BYTES = 1024;

const INCOMPAT = {
  entryKinds: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaBlockGroups: 0x10,
  wide: 0x80,
} as const;
/**
 * Incompatible features that change nothing about how a tree is read, or that are read here: filetype, recover, meta_bg, extents, 64bit, mmp,
 * flex_bg, ea_inode, dirdata, csum_seed, largedir, inline_data, encrypt (its inodes are refused one by one), casefold.
 */
const READABLE_INCOMPAT = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
const RO_COMPAT_BIGALLOC = 0x200;
const RO_COMPAT_SPARSE_SUPER = 0x1;
const COMPAT_SPARSE_SUPER2 = 0x200;
const COMPAT_HAS_JOURNAL = 0x4;
const STATE_ERRORS = 0x2;

export type Super = {
  blockBytes: number;
  blocks: number;
  firstDataBlock: number;
  blocksPerGroup: number;
  inodes: number;
  inodesPerGroup: number;
  inodeBytes: number;
  /** entries of folders say what they name (feature filetype) */
  entryKinds: boolean;
  descriptorBytes: number;
  wide: boolean;
  /** the first group of blocks of descriptors that lie in their own groups (meta_bg); null: all lie behind the superblock */
  firstMetaGroup: number | null;
  sparseSuper: boolean;
  /** the two groups with a copy of the superblock (sparse_super2) */
  backupGroups: readonly [number, number] | null;
  facts: FileSystemFacts;
};

/** `needsBytes`: of a file that is too short for its file system, how many it would have. */
export type SuperLook = { ok: true; super: Super } | { ok: false; say: string; needsBytes: number | null };

const refuse = (say: string, needsBytes: number | null = null): SuperLook => ({ ok: false, say, needsBytes });

/** `bytes`: the 1,024 bytes at offset 1,024. */
export function readSuper(bytes: Buffer, fileBytes: number): SuperLook {
  if (bytes.length < SUPER_BYTES || bytes.readUInt16LE(0x38) !== 0xef53) return refuse('It holds no ext2, ext3 or ext4 file system.');
  const incompat = bytes.readUInt32LE(0x60);
  const compat = bytes.readUInt32LE(0x5c);
  const roCompat = bytes.readUInt32LE(0x64);
  if ((incompat & INCOMPAT.journalDevice) !== 0) return refuse('It is the journal of another file system, without files.');
  const strange = incompat & ~READABLE_INCOMPAT;
  if (strange !== 0) return refuse(`Its file system has features that are not read here (incompatible 0x${(strange >>> 0).toString(16)}).`);
  const logBlock = bytes.readUInt32LE(0x18);
  if (logBlock > 6) return refuse('Its superblock is damaged: a block would be larger than 64 KiB.');
  const blockBytes = 1024 << logBlock;
  const wide = (incompat & INCOMPAT.wide) !== 0;
  const high = (at: number): number => (wide ? bytes.readUInt32LE(at) * 2 ** 32 : 0);
  const blocks = bytes.readUInt32LE(0x4) + high(0x150);
  const revision = bytes.readUInt32LE(0x4c);
  const inodeBytes = revision === 0 ? 128 : bytes.readUInt16LE(0x58);
  const descriptorBytes = wide ? bytes.readUInt16LE(0xfe) : 32;
  const inodesPerGroup = bytes.readUInt32LE(0x28);
  const blocksPerGroup = bytes.readUInt32LE(0x20);
  const inodes = bytes.readUInt32LE(0);
  const powerOf2 = (n: number): boolean => n > 0 && (n & (n - 1)) === 0;
  if (
    !powerOf2(inodeBytes) ||
    inodeBytes < 128 ||
    inodeBytes > blockBytes ||
    !powerOf2(descriptorBytes) ||
    descriptorBytes < (wide ? 64 : 32) ||
    descriptorBytes > blockBytes ||
    inodesPerGroup === 0 ||
    inodesPerGroup > blockBytes * 8 ||
    blocksPerGroup === 0 ||
    inodes === 0 ||
    blocks === 0
  )
    return refuse('Its superblock is damaged: its sizes cannot be.');
  if (blocks * blockBytes > fileBytes)
    return refuse(
      `It is cut short: its file system has ${blocks * blockBytes} bytes and the file ${fileBytes}. Copy it again.`,
      blocks * blockBytes,
    );
  // With bigalloc the number of free ones counts clusters.
  const clusterBlocks = (roCompat & RO_COMPAT_BIGALLOC) === 0 ? 1 : 2 ** Math.max(0, Math.min(20, bytes.readUInt32LE(0x1c) - logBlock));
  return {
    ok: true,
    super: {
      blockBytes,
      blocks,
      firstDataBlock: bytes.readUInt32LE(0x14),
      blocksPerGroup,
      inodes,
      inodesPerGroup,
      inodeBytes,
      entryKinds: (incompat & INCOMPAT.entryKinds) !== 0,
      descriptorBytes,
      wide,
      firstMetaGroup: (incompat & INCOMPAT.metaBlockGroups) === 0 ? null : bytes.readUInt32LE(0x104),
      sparseSuper: (roCompat & RO_COMPAT_SPARSE_SUPER) !== 0,
      backupGroups: (compat & COMPAT_SPARSE_SUPER2) === 0 ? null : [bytes.readUInt32LE(0x24c), bytes.readUInt32LE(0x250)],
      facts: {
        kind: (incompat & 0x40) !== 0 ? 'ext4' : (compat & COMPAT_HAS_JOURNAL) !== 0 ? 'ext3' : 'ext2',
        uuid: uuidOf(bytes.subarray(0x68, 0x78)),
        label: bytes.toString('utf8', 0x78, 0x88).replace(/\0[^]*$/, ''),
        bytes: blocks * blockBytes,
        freeBytes: Math.min(blocks, (bytes.readUInt32LE(0xc) + high(0x158)) * clusterBlocks) * blockBytes,
        inodes,
        freeInodes: Math.min(inodes, bytes.readUInt32LE(0x10)),
        journalPending: (incompat & INCOMPAT.recover) !== 0,
        errors: (bytes.readUInt16LE(0x3a) & STATE_ERRORS) !== 0,
      },
    },
  };
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Where the descriptor of a block group is: its block and the place in it (fs/ext4/super.c, descriptor_loc). */
export function descriptorPlace(of: Super, group: number): { block: number; offset: number } {
  const perBlock = of.blockBytes / of.descriptorBytes;
  const index = Math.floor(group / perBlock);
  const offset = (group % perBlock) * of.descriptorBytes;
  // With bigalloc and blocks of 1 KiB the first data block is 0, and the superblock is in block 1 nevertheless.
  const superBlock = of.blockBytes === SUPER_OFFSET ? 1 : 0;
  if (of.firstMetaGroup === null || index < of.firstMetaGroup) return { block: superBlock + 1 + index, offset };
  const first = index * perBlock;
  let behind = hasSuper(of, first) ? 1 : 0;
  if (index === 0 && of.firstDataBlock === 0) behind += superBlock;
  return { block: of.firstDataBlock + first * of.blocksPerGroup + behind, offset };
}

function hasSuper(of: Super, group: number): boolean {
  if (group === 0) return true;
  if (of.backupGroups !== null) return of.backupGroups.includes(group);
  if (group === 1 || !of.sparseSuper) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}
