/**
 * The structures of ext4 as bytes. Pure. Little endian throughout, but for the journal. No feature that needs checksums of metadata: the image is
 * checked by its digest, and e2fsprogs and kernels of all ages read it.
 *
 * Sources: Linux, Documentation/filesystems/ext4/ (super.rst, group_descr.rst, inodes.rst, ifork.rst, directory.rst, attributes.rst,
 * journal.rst), fs/ext4/ext4.h, fs/ext4/xattr.c.
 */
import type { Owned, TreeNode } from '../tree/tree.ts';

export const BLOCK = 4096;
export const BLOCKS_PER_GROUP = BLOCK * 8;
export const INODE = 256;
/** what an inode holds before its extended attributes: the classic 128 bytes, and 32 of `i_extra_isize` */
const INODE_HEAD = 160;
export const DESCRIPTOR = 32;
export const ROOT = 2;
export const JOURNAL = 8;
export const LOST_AND_FOUND = 11;

const EXTENTS_FLAG = 0x80000;
const TYPE_BITS: Readonly<Record<TreeNode['kind'], number>> = {
  fifo: 0o010000,
  char: 0o020000,
  folder: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const NAME_TYPES: Readonly<Record<TreeNode['kind'], number>> = { file: 1, folder: 2, char: 3, block: 4, fifo: 5, socket: 6, symlink: 7 };
/** Shorter targets stand in the inode itself. */
export const SHORT_LINK_BYTES = 59;

/** A run of blocks of a file: `first` is counted in the file, `start` on the disk. */
export type Extent = { first: number; start: number; length: number };
/** as many as an inode holds, and as many as one block below it */
const INODE_EXTENTS = 4;
const LEAF_EXTENTS = Math.floor((BLOCK - 12) / 12);

/** How many blocks besides its data a file of so many extents takes. */
export function leavesFor(extents: number): number {
  return extents <= INODE_EXTENTS ? 0 : Math.ceil(extents / LEAF_EXTENTS);
}

function extentHeader(entries: number, most: number, depth: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16LE(0xf30a, 0);
  head.writeUInt16LE(entries, 2);
  head.writeUInt16LE(most, 4);
  head.writeUInt16LE(depth, 6);
  return head;
}

function extentEntry({ first, start, length }: Extent): Buffer {
  const entry = Buffer.alloc(12);
  entry.writeUInt32LE(first, 0);
  entry.writeUInt16LE(length, 4);
  entry.writeUInt32LE(start, 8);
  return entry;
}

/** What stands in the inode, and in the blocks below it, whose places are given. */
export function extentTree(extents: readonly Extent[], leaves: readonly number[]): { inode: Buffer; leaves: Buffer[] } {
  if (leaves.length === 0)
    return { inode: Buffer.concat([extentHeader(extents.length, INODE_EXTENTS, 0), ...extents.map(extentEntry)]), leaves: [] };
  if (leaves.length > INODE_EXTENTS) throw new RangeError('a file of so many extents would need another level');
  const parts = leaves.map((_, index) => extents.slice(index * LEAF_EXTENTS, (index + 1) * LEAF_EXTENTS));
  const indexes = leaves.map((place, index) => {
    const entry = Buffer.alloc(12);
    entry.writeUInt32LE(parts[index]?.[0]?.first ?? 0, 0);
    entry.writeUInt32LE(place, 4);
    return entry;
  });
  return {
    inode: Buffer.concat([extentHeader(leaves.length, INODE_EXTENTS, 1), ...indexes]),
    leaves: parts.map((part) => whole(Buffer.concat([extentHeader(part.length, LEAF_EXTENTS, 0), ...part.map(extentEntry)]))),
  };
}

function whole(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(BLOCK - bytes.length)]);
}

/** What `i_block` holds: an extent tree, a short link, the number of a device. */
export type Payload = { bytes: Buffer; isExtents: boolean };

/** Linux, fs/ext4/inode.c and include/linux/kdev_t.h: the old form where both numbers fit a byte, else the new one in the second word. */
export function devicePayload(major: number, minor: number): Payload {
  const bytes = Buffer.alloc(8);
  if (major < 256 && minor < 256) bytes.writeUInt32LE((major << 8) | minor, 0);
  else bytes.writeUInt32LE(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0, 4);
  return { bytes, isExtents: false };
}

export type InodeFacts = {
  kind: TreeNode['kind'];
  owned: Pick<Owned, 'mode' | 'uid' | 'gid' | 'mtime'>;
  size: number;
  links: number;
  /** all blocks that belong to it */
  blocks: number;
  payload: Payload;
  /** attributes within the inode, or the block that holds them; null and 0 where there are none */
  xattrs: Buffer | null;
  xattrBlock: number;
};

export function inodeBytes(facts: InodeFacts): Buffer {
  const { owned, size, blocks, payload } = facts;
  const inode = Buffer.alloc(INODE);
  inode.writeUInt16LE(TYPE_BITS[facts.kind] | (facts.kind === 'symlink' ? 0o777 : owned.mode), 0x00);
  inode.writeUInt16LE(owned.uid & 0xffff, 0x02);
  inode.writeUInt32LE(size % 2 ** 32, 0x04);
  for (const at of [0x08, 0x0c, 0x10, 0x90]) inode.writeUInt32LE(owned.mtime, at); // accessed, changed, modified, made
  inode.writeUInt16LE(owned.gid & 0xffff, 0x18);
  inode.writeUInt16LE(facts.links, 0x1a);
  const sectors = blocks * (BLOCK / 512);
  inode.writeUInt32LE(sectors % 2 ** 32, 0x1c);
  inode.writeUInt32LE(payload.isExtents ? EXTENTS_FLAG : 0, 0x20);
  payload.bytes.copy(inode, 0x28);
  inode.writeUInt32LE(facts.xattrBlock, 0x68);
  inode.writeUInt32LE(Math.floor(size / 2 ** 32), 0x6c);
  inode.writeUInt16LE(Math.floor(sectors / 2 ** 32), 0x74);
  inode.writeUInt16LE(owned.uid >>> 16, 0x78);
  inode.writeUInt16LE(owned.gid >>> 16, 0x7a);
  inode.writeUInt16LE(INODE_HEAD - 128, 0x80);
  facts.xattrs?.copy(inode, INODE_HEAD);
  return inode;
}

export type DirectoryEntry = { name: string; inode: number; kind: TreeNode['kind'] };

/** The blocks of a folder, without an index: the kernel looks through it from front to back, and makes an index when it grows. */
export function directoryBlocks(entries: readonly DirectoryEntry[]): Buffer[] {
  const blocks: Buffer[] = [];
  let block = Buffer.alloc(BLOCK);
  let at = 0;
  let last = 0;
  /** the last entry of a block reaches to its end */
  const close = (): void => {
    block.writeUInt16LE(BLOCK - last, last + 4);
    blocks.push(block);
  };
  for (const { name, inode, kind } of entries) {
    const bytes = Buffer.from(name);
    const length = 8 + Math.ceil(bytes.length / 4) * 4;
    if (at + length > BLOCK) {
      close();
      block = Buffer.alloc(BLOCK);
      at = 0;
    }
    block.writeUInt32LE(inode, at);
    block.writeUInt16LE(length, at + 4);
    block.writeUInt8(bytes.length, at + 6);
    block.writeUInt8(NAME_TYPES[kind], at + 7);
    bytes.copy(block, at + 8);
    last = at;
    at += length;
  }
  close();
  return blocks;
}

/** The first block of a journal that holds nothing yet (journal.rst, "Super Block"; big endian). */
export function journalHead(blocks: number, uuid: Buffer): Buffer {
  const head = Buffer.alloc(BLOCK);
  head.writeUInt32BE(0xc03b3998, 0x00);
  head.writeUInt32BE(4, 0x04); // superblock, version 2
  head.writeUInt32BE(BLOCK, 0x0c);
  head.writeUInt32BE(blocks, 0x10);
  head.writeUInt32BE(1, 0x14); // first block of the log
  head.writeUInt32BE(1, 0x18); // first transaction
  uuid.copy(head, 0x30);
  head.writeUInt32BE(1, 0x40); // users
  return head;
}

/** A bitmap block: some bits set, and those past its end. */
export function bitmap(used: Iterable<readonly [from: number, to: number]>, bits: number): Buffer {
  const map = Buffer.alloc(BLOCK);
  const set = (from: number, to: number): void => {
    for (let bit = from; bit < to;) {
      if (bit % 8 === 0 && to - bit >= 8) {
        const bytes = Math.floor((to - bit) / 8);
        map.fill(0xff, bit / 8, bit / 8 + bytes);
        bit += bytes * 8;
      } else {
        map[bit >> 3] = (map[bit >> 3] ?? 0) | (1 << (bit & 7));
        bit += 1;
      }
    }
  };
  for (const [from, to] of used) set(from, to);
  set(bits, BLOCK * 8);
  return map;
}
