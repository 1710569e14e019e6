/** Extended attributes as ext4 keeps them: behind the inode where they fit, else in one block. Pure. */
import { imageFault } from '../refusal.ts';
import { BLOCK, INODE } from './bytes.ts';

const MAGIC = 0xea020000;
const HEADER = 32;
/** between the fields of an inode and its end */
const ROOM_IN_INODE = INODE - 160;

/** Name prefixes and their numbers (attributes.rst). The two of ACLs stand for whole names. */
const PREFIXES: readonly (readonly [string, number])[] = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
  ['system.', 7],
];

type Entry = { index: number; name: Buffer; value: Buffer };

/** `inode`: what goes into the inode, 4 bytes of magic first. `block`: a whole block. Both null: there are none. */
export function xattrBytes(xattrs: ReadonlyMap<string, Uint8Array>, path: string): { inode: Buffer | null; block: Buffer | null } {
  const entries = [...xattrs].map(([name, value]) => entryOf(name, value, path)).toSorted(compare);
  if (entries.length === 0) return { inode: null, block: null };
  const size = entries.reduce((sum, { name, value }) => sum + 16 + padded(name.length) + padded(value.length), 4);
  if (4 + size <= ROOM_IN_INODE) {
    const inode = Buffer.alloc(ROOM_IN_INODE);
    inode.writeUInt32LE(MAGIC, 0);
    // offsets count from the first entry, and without a hash: the kernel needs it in shared blocks only
    pack(entries, inode.subarray(4), 0, 0);
    return { inode, block: null };
  }
  if (HEADER + size > BLOCK)
    throw imageFault(`The extended attributes of ${JSON.stringify(path)} are larger than a block of ext4; leave some of them out.`);
  const block = Buffer.alloc(BLOCK);
  block.writeUInt32LE(MAGIC, 0);
  block.writeUInt32LE(1, 4); // one file refers to it
  block.writeUInt32LE(1, 8); // blocks
  pack(entries, block, HEADER, HEADER);
  // its own hash stays 0: such a block is never shared with another file (fs/ext4/xattr.c, ext4_xattr_block_cache_find)
  return { inode: null, block };
}

/** Entries from the front, values from the end. */
function pack(entries: readonly Entry[], into: Buffer, from: number, hashFrom: number): void {
  let at = from;
  let end = into.length;
  for (const { index, name, value } of entries) {
    end -= padded(value.length);
    into.writeUInt8(name.length, at);
    into.writeUInt8(index, at + 1);
    into.writeUInt16LE(value.length === 0 ? 0 : end, at + 2);
    into.writeUInt32LE(value.length, at + 8);
    if (hashFrom > 0) into.writeUInt32LE(hashOf(name, value), at + 12);
    name.copy(into, at + 16);
    value.copy(into, end);
    at += 16 + padded(name.length);
  }
}

function entryOf(fullName: string, value: Uint8Array, path: string): Entry {
  const [prefix, index] = PREFIXES.find(([start]) => fullName.startsWith(start)) ?? ['', 0];
  const isAcl = index === 2 || index === 3;
  const name = Buffer.from(fullName.slice(prefix.length));
  if (index === 0 || name.length > 255 || isAcl !== (name.length === 0))
    throw imageFault(`The extended attribute ${JSON.stringify(fullName)} of ${JSON.stringify(path)} is none that ext4 can keep.`);
  return { index, name, value: isAcl ? aclValue(Buffer.from(value), path) : Buffer.from(value) };
}

/** From the form of system calls (include/uapi/linux/posix_acl_xattr.h) to that on disk (fs/ext4/acl.h), which leaves out ids that mean nothing. */
function aclValue(acl: Buffer, path: string): Buffer {
  if (acl.length < 4 || acl.readUInt32LE(0) !== 2 || acl.length % 8 !== 4)
    throw imageFault(`The access control list of ${JSON.stringify(path)} is damaged.`);
  const parts: Buffer[] = [Buffer.from([1, 0, 0, 0])];
  for (let at = 4; at < acl.length; at += 8) {
    const tag = acl.readUInt16LE(at);
    parts.push(acl.subarray(at, tag === 0x02 || tag === 0x08 ? at + 8 : at + 4));
  }
  return Buffer.concat(parts);
}

/** The order in which the kernel looks for them (fs/ext4/xattr.c, xattr_find_entry). */
function compare(a: Entry, b: Entry): number {
  return a.index - b.index || a.name.length - b.name.length || Buffer.compare(a.name, b.name);
}

/** fs/ext4/xattr.c, ext4_xattr_hash_entry */
function hashOf(name: Buffer, value: Buffer): number {
  let hash = 0;
  for (const byte of name) hash = ((hash << 5) ^ (hash >>> 27) ^ byte) >>> 0;
  const words = Buffer.concat([value, Buffer.alloc(padded(value.length) - value.length)]);
  for (let at = 0; at < words.length; at += 4) hash = ((hash << 16) ^ (hash >>> 16) ^ words.readUInt32LE(at)) >>> 0;
  return hash;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}
