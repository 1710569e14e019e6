/**
 * Where the blocks of a file are: the tree of extents, or the block map of ext2 and ext3.
 * Source: the kernel's Documentation/filesystems/ext4/ifork.rst.
 */
import type { Unreadable } from '@linstock/core';
import type { Inode } from './ext4-inode.ts';
import { isUnreadable, unreadable } from './tree.ts';

/** `count` blocks of the file from `from` lie at `at`; a part of the file without a run is a hole. */
export type Run = { from: number; at: number; count: number };
export type ReadBlock = (block: number) => Promise<Buffer | Unreadable>;

const EXTENT_MAGIC = 0xf30a;
/** More than 5 levels cannot be needed for 2^32 blocks (EXT4_MAX_EXTENT_DEPTH). */
const mostDepth = 5;
/** An extent longer than this is space that was set aside and reads as zeros. */
const longestWritten = 32_768;

/** The runs of the first `blocks` blocks, in order. */
export async function runsOf(inode: Inode, blocks: number, blockBytes: number, read: ReadBlock): Promise<readonly Run[] | Unreadable> {
  const runs: Run[] = [];
  if (inode.kept === 'extents') {
    const wrong = await extents(inode.root, null, blocks, read, runs);
    return wrong ?? runs;
  }
  const wrong = await blockMap(inode.root, blocks, blockBytes / 4, read, runs);
  return wrong ?? runs;
}

/** One node of the tree and what is below. `depth`: what its parent says of it; each level must be one lower, so no tree goes on for ever. */
async function extents(node: Buffer, depth: number | null, blocks: number, read: ReadBlock, runs: Run[]): Promise<Unreadable | null> {
  const damaged = unreadable('the list of the blocks of a file is damaged');
  if (node.readUInt16LE(0) !== EXTENT_MAGIC) return damaged;
  const count = node.readUInt16LE(2);
  const own = node.readUInt16LE(6);
  if (12 + count * 12 > node.length || own > mostDepth || (depth !== null && own !== depth)) return damaged;
  let before = -1;
  for (let index = 0; index < count; index++) {
    const at = 12 + index * 12;
    const from = node.readUInt32LE(at);
    if (from <= before) return damaged;
    before = from;
    if (from >= blocks) return null;
    if (own === 0) {
      const length = node.readUInt16LE(at + 4);
      const place = node.readUInt16LE(at + 6) * 2 ** 32 + node.readUInt32LE(at + 8);
      const last = runs.at(-1);
      if (last !== undefined && from < last.from + last.count) return damaged;
      if (length > 0 && length <= longestWritten) runs.push({ from, at: place, count: Math.min(length, blocks - from) });
      continue;
    }
    // The next entry begins behind all that this one leads to: what lies before the wanted part is read nevertheless, which starts at 0.
    const below = await read(node.readUInt32LE(at + 4) + node.readUInt16LE(at + 8) * 2 ** 32);
    if (isUnreadable(below)) return below;
    const wrong = await extents(below, own - 1, blocks, read, runs);
    if (wrong !== null) return wrong;
  }
  return null;
}

const DIRECT = 12;

/** Twelve blocks, then a table, then a table of tables. The third kind begins at 64 MiB at the earliest, and nothing here reads that far. */
async function blockMap(root: Buffer, blocks: number, perTable: number, read: ReadBlock, runs: Run[]): Promise<Unreadable | null> {
  let next = 0;
  const add = (at: number, count: number): void => {
    const last = runs.at(-1);
    if (at !== 0 && last !== undefined && last.from + last.count === next && last.at + last.count === at) last.count += count;
    else if (at !== 0) runs.push({ from: next, at, count });
    next += count;
  };
  const table = async (at: number, levels: number): Promise<Unreadable | null> => {
    if (next >= blocks) return null;
    if (levels === 0) {
      add(at, 1);
      return null;
    }
    if (at === 0) {
      next += perTable ** levels;
      return null;
    }
    const entries = await read(at);
    if (isUnreadable(entries)) return entries;
    for (let offset = 0; offset < entries.length && next < blocks; offset += 4) {
      const wrong = await table(entries.readUInt32LE(offset), levels - 1);
      if (wrong !== null) return wrong;
    }
    return null;
  };
  for (let index = 0; index < DIRECT; index++) await table(root.readUInt32LE(index * 4), 0);
  for (const levels of [1, 2]) {
    const wrong = await table(root.readUInt32LE((DIRECT + levels - 1) * 4), levels);
    if (wrong !== null) return wrong;
  }
  return null;
}
