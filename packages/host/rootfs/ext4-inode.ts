/**
 * Inodes of ext2, ext3 and ext4, taken apart. Pure.
 * Source: the kernel's Documentation/filesystems/ext4/inodes.rst, ifork.rst, inlinedata.rst and fs/ext4/xattr.h.
 */
import type { NodeKind } from '@linstock/core';

export type Inode = {
  kind: NodeKind;
  mode: number;
  uid: number;
  bytes: number;
  /** how its content is kept */
  kept: 'extents' | 'block-map' | 'inline' | 'encrypted';
  /** the 60 bytes of i_block: the root of the extents, the block map, or the beginning of inline content */
  root: Buffer;
  /** inline content that did not fit into `root` (attribute system.data) */
  inlineRest: Buffer;
};

const FLAG = { encrypt: 0x800, extents: 0x80000, inline: 0x10000000 } as const;
const KINDS: Readonly<Record<number, NodeKind>> = {
  0x8000: 'file',
  0x4000: 'folder',
  0xa000: 'symlink',
  0x6000: 'device',
  0x2000: 'device',
  0x1000: 'other',
  0xc000: 'other',
};
const ROOT_AT = 0x28;
export const ROOT_BYTES = 60;
const XATTR_MAGIC = 0xea020000;
const XATTR_SYSTEM = 7;
const mostAttributes = 64;

/** null: no inode stands there (its mode is none). */
export function readInode(bytes: Buffer): Inode | null {
  const mode = bytes.readUInt16LE(0);
  const kind = KINDS[mode & 0xf000];
  if (kind === undefined) return null;
  const flags = bytes.readUInt32LE(0x20);
  const size = bytes.readUInt32LE(4) + bytes.readUInt32LE(0x6c) * 2 ** 32;
  const root = bytes.subarray(ROOT_AT, ROOT_AT + ROOT_BYTES);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  // A link of up to 59 bytes stands in the inode itself, without a flag (fs/ext4/inode.c, ext4_inode_is_fast_symlink).
  const fast = kind === 'symlink' && size < ROOT_BYTES && !has(FLAG.extents);
  const inline = has(FLAG.inline) || fast;
  return {
    kind,
    mode: mode & 0o7777,
    uid: bytes.readUInt16LE(2) + bytes.readUInt16LE(0x78) * 2 ** 16,
    bytes: Number.isSafeInteger(size) ? size : Number.MAX_SAFE_INTEGER,
    kept: has(FLAG.encrypt) ? 'encrypted' : inline ? 'inline' : has(FLAG.extents) ? 'extents' : 'block-map',
    root,
    inlineRest: has(FLAG.inline) ? systemData(bytes) : Buffer.alloc(0),
  };
}

/** The attribute `system.data` behind the fields of an inode; empty when there is none. */
function systemData(bytes: Buffer): Buffer {
  const none = Buffer.alloc(0);
  if (bytes.length <= 130) return none;
  const start = 128 + bytes.readUInt16LE(0x80);
  if (start + 4 > bytes.length || bytes.readUInt32LE(start) !== XATTR_MAGIC) return none;
  const first = start + 4;
  let at = first;
  for (let count = 0; count < mostAttributes && at + 16 <= bytes.length; count++) {
    const nameBytes = bytes[at] ?? 0;
    const group = bytes[at + 1] ?? 0;
    if (nameBytes === 0 && group === 0) return none;
    if (group === XATTR_SYSTEM && bytes.toString('latin1', at + 16, at + 16 + nameBytes) === 'data') {
      const from = first + bytes.readUInt16LE(at + 2);
      const length = bytes.readUInt32LE(at + 8);
      return from + length <= bytes.length ? bytes.subarray(from, from + length) : none;
    }
    at += (16 + nameBytes + 3) & ~3;
  }
  return none;
}

export type DirectoryEntry = { name: string; inode: number; kind: NodeKind | null };

const DIRECTORY_KINDS: readonly (NodeKind | null)[] = [null, 'file', 'folder', 'device', 'device', 'other', 'other', 'symlink'];

/**
 * The entries in one block of a folder. Blocks of a hash tree look like empty ones to whoever reads them one after the other, as the kernel's
 * format means them to (directory.rst). `whole: false`: the block is damaged, and these are the entries before that place.
 */
export function readDirectoryBlock(block: Buffer, hasKinds: boolean): { entries: readonly DirectoryEntry[]; whole: boolean } {
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < block.length;) {
    if (block.length - at < 8) return { entries, whole: false };
    const inode = block.readUInt32LE(at);
    const recordBytes = recordLength(block.readUInt16LE(at + 4), block.length);
    // Without kinds the next byte belongs to the length on paper; no name is that long, and checksums stand there.
    const nameBytes = block[at + 6] ?? 0;
    if (recordBytes % 4 !== 0 || at + recordBytes > block.length || nameBytes + 8 > recordBytes) return { entries, whole: false };
    if (inode !== 0 && nameBytes > 0) {
      const name = block.toString('utf8', at + 8, at + 8 + nameBytes);
      if (name.includes('/') || name.includes('\0')) return { entries, whole: false };
      if (name !== '.' && name !== '..') {
        entries.push({ name, inode, kind: hasKinds ? (DIRECTORY_KINDS[block[at + 7] ?? 0] ?? null) : null });
      }
    }
    at += recordBytes;
  }
  return { entries, whole: true };
}

/** Lengths of 64 KiB do not fit 16 bits (fs/ext4/ext4.h, ext4_rec_len_from_disk). */
function recordLength(raw: number, blockBytes: number): number {
  if (blockBytes < 65_536) return raw;
  return raw === 0 || raw === 65_535 ? blockBytes : (raw & 65_532) | ((raw & 3) << 16);
}
