/**
 * Makes an ext4 image of a tree, without root, without mounting and without any tool: the same bytes on every host.
 *
 * Why not mke2fs: `mke2fs -d` takes the files of a folder, so what is to belong to root must belong to root on the host, names of a hostile image
 * become files of the host, and its order is that of the host's directories (e2fsprogs 1.47.0); reading a tar archive came with 1.47.1, which
 * Debian 12 does not have. `debugfs` with a script can write what it is told, and takes minutes for a desktop.
 */
import { exec, succeeded } from '../../tools/exec.ts';
import { Output } from '../tree/output.ts';
import type { Tree } from '../tree/tree.ts';
import {
  BLOCK,
  BLOCKS_PER_GROUP,
  DESCRIPTOR,
  INODE,
  JOURNAL,
  SHORT_LINK_BYTES,
  bitmap,
  devicePayload,
  extentTree,
  inodeBytes,
  journalHead,
} from './bytes.ts';
import type { Payload } from './bytes.ts';
import { bitmapsOf, endOf, firstOf, hasCopy, layOutExt4 } from './plan.ts';
import type { Ext4Options, Ext4Layout, Item } from './plan.ts';

/** 20 s for 100 GiB on this project's slowest machine; it reads the metadata only. */
const CHECK_TIMEOUT_MS = 300_000;

export type { Ext4Options } from './plan.ts';

/** Makes a new file. `progress` hears of bytes written. */
export async function writeExt4(
  tree: Tree,
  image: string,
  options: Ext4Options,
  o: { signal?: AbortSignal | undefined; progress?: (done: number, total: number) => void } = {},
): Promise<{ virtualBytes: number }> {
  const plan = layOutExt4(tree, options);
  const virtualBytes = plan.blocks * BLOCK;
  await Output.into(image, virtualBytes, o.signal, async (out) => {
    await writeGroups(out, plan, options);
    const total = plan.items.reduce((sum, item) => sum + item.size, 0);
    let done = 0;
    for (const item of plan.items) {
      await writeItem(out, item, options);
      done += item.size;
      o.progress?.(done, total);
    }
  });
  await check(image, o.signal);
  return { virtualBytes };
}

/** A second opinion, where there is somebody to ask: a wrong image is a bug of ours, found here and not by a guest. */
async function check(image: string, signal: AbortSignal | undefined): Promise<void> {
  const result = await exec(['e2fsck', '-f', '-n', image], { timeoutMs: CHECK_TIMEOUT_MS, signal });
  if (result.aborted) signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT' || succeeded(result)) return;
  throw new Error(`e2fsck finds fault with an image that was just made: ${result.stdout.slice(-2000)}${result.stderr.slice(-500)}`);
}

async function writeItem(out: Output, item: Item, options: Ext4Options): Promise<void> {
  const { node } = item;
  for (const [index, block] of item.directory.entries()) await writeAt(out, placeOf(item, index), block);
  if (node === null) await writeAt(out, placeOf(item, 0), journalHead(item.size / BLOCK, uuidBytes(options.uuid)));
  else if (node.kind === 'symlink' && item.extents.length > 0) await writeAt(out, placeOf(item, 0), Buffer.from(node.target));
  else if (node.kind === 'file') {
    for (const { first, start, length } of item.extents) {
      await out.seek(start * BLOCK);
      await out.copy(node.data, first * BLOCK, Math.min(length * BLOCK, item.size - first * BLOCK));
    }
  }
  const { leaves } = extentTree(item.extents, item.leaves);
  for (const [index, leaf] of leaves.entries()) await writeAt(out, item.leaves[index] ?? 0, leaf);
  if (item.xattrs.block !== null) await writeAt(out, item.xattrBlock, item.xattrs.block);
}

async function writeAt(out: Output, block: number, bytes: Buffer): Promise<void> {
  await out.seek(block * BLOCK);
  await out.write(bytes);
}

/** The place on the disk of a block of a file. */
function placeOf(item: Item, index: number): number {
  const extent = item.extents.find(({ first, length }) => index >= first && index < first + length);
  if (extent === undefined) throw new Error(`${item.path} has no block ${index}`);
  return extent.start + index - extent.first;
}

async function writeGroups(out: Output, plan: Ext4Layout, options: Ext4Options): Promise<void> {
  const groups = groupFacts(plan);
  const descriptors = Buffer.concat(groups.map((facts, group) => descriptorOf(plan, group, facts)));
  const free = { blocks: sum(groups.map((g) => g.freeBlocks)), inodes: sum(groups.map((g) => g.freeInodes)) };
  const inodes = new Map(plan.items.map((item) => [item.inode, item]));
  for (const [group, facts] of groups.entries()) {
    const begin = group * BLOCKS_PER_GROUP;
    if (hasCopy(group)) {
      await out.seek(begin * BLOCK + (group === 0 ? 1024 : 0));
      await out.write(superblock(plan, options, group, free));
      await writeAt(out, begin + 1, descriptors);
    }
    const maps = bitmapsOf(plan, group);
    await writeAt(out, maps, bitmap([[0, (plan.usedUpTo[group] ?? begin) - begin]], endOf(plan, group) - begin));
    await writeAt(out, maps + 1, bitmap([[0, facts.usedInodes]], plan.inodesPerGroup));
    for (let index = 0; index < facts.usedInodes; index += 1) {
      const item = inodes.get(group * plan.inodesPerGroup + index + 1);
      if (item === undefined) continue; // one of those that ext4 keeps for itself
      await out.seek((maps + 2) * BLOCK + index * INODE);
      await out.write(inodeOf(item, options.time));
    }
  }
}

type GroupFacts = { freeBlocks: number; usedInodes: number; freeInodes: number; folders: number };

/** Inodes are numbered without gaps, so a group's are used up to some number. */
function groupFacts(plan: Ext4Layout): GroupFacts[] {
  const highest = plan.items.at(-1)?.inode ?? 0;
  const groups = Array.from({ length: plan.groups }, (_, group) => {
    const usedInodes = Math.min(Math.max(highest - group * plan.inodesPerGroup, 0), plan.inodesPerGroup);
    const freeBlocks = endOf(plan, group) - (plan.usedUpTo[group] ?? firstOf(plan, group));
    return { freeBlocks, usedInodes, freeInodes: plan.inodesPerGroup - usedInodes, folders: 0 };
  });
  for (const { node, inode } of plan.items) {
    const facts = groups[Math.floor((inode - 1) / plan.inodesPerGroup)];
    if (node?.kind === 'folder' && facts !== undefined) facts.folders += 1;
  }
  return groups;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function descriptorOf(plan: Ext4Layout, group: number, facts: GroupFacts): Buffer {
  const bytes = Buffer.alloc(DESCRIPTOR);
  const maps = bitmapsOf(plan, group);
  bytes.writeUInt32LE(maps, 0x0);
  bytes.writeUInt32LE(maps + 1, 0x4);
  bytes.writeUInt32LE(maps + 2, 0x8);
  bytes.writeUInt16LE(facts.freeBlocks, 0xc);
  bytes.writeUInt16LE(facts.freeInodes, 0xe);
  bytes.writeUInt16LE(facts.folders, 0x10);
  return bytes;
}

function inodeOf(item: Item, time: number): Buffer {
  const { node } = item;
  return inodeBytes({
    kind: node?.kind ?? 'file',
    owned: node ?? { mode: 0o600, uid: 0, gid: 0, mtime: time },
    size: item.size,
    links: item.links,
    blocks: sum(item.extents.map(({ length }) => length)) + item.leaves.length + (item.xattrBlock === 0 ? 0 : 1),
    payload: payloadOf(item),
    xattrs: item.xattrs.inode,
    xattrBlock: item.xattrBlock,
  });
}

function payloadOf(item: Item): Payload {
  const { node, extents, leaves } = item;
  if (node?.kind === 'symlink' && item.size <= SHORT_LINK_BYTES) return { bytes: Buffer.from(node.target), isExtents: false };
  if (node?.kind === 'char' || node?.kind === 'block') return devicePayload(node.major, node.minor);
  if (node?.kind === 'fifo' || node?.kind === 'socket') return { bytes: Buffer.alloc(0), isExtents: false };
  return { bytes: extentTree(extents, leaves).inode, isExtents: true };
}

const COMPATIBLE = { hasJournal: 0x4, extAttr: 0x8, dirIndex: 0x20 };
const INCOMPATIBLE = { filetype: 0x2, extents: 0x40 };
const READ_ONLY_COMPATIBLE = { sparseSuper: 0x1, largeFile: 0x2, dirNlink: 0x20, extraIsize: 0x40 };

function superblock(plan: Ext4Layout, options: Ext4Options, group: number, free: { blocks: number; inodes: number }): Buffer {
  const s = Buffer.alloc(1024);
  const journal = plan.items.find((item) => item.inode === JOURNAL);
  s.writeUInt32LE(plan.groups * plan.inodesPerGroup, 0x0);
  s.writeUInt32LE(plan.blocks, 0x4);
  s.writeUInt32LE(free.blocks, 0xc);
  s.writeUInt32LE(free.inodes, 0x10);
  s.writeUInt32LE(2, 0x18); // blocks of 1024 << 2
  s.writeUInt32LE(2, 0x1c);
  s.writeUInt32LE(BLOCKS_PER_GROUP, 0x20);
  s.writeUInt32LE(BLOCKS_PER_GROUP, 0x24);
  s.writeUInt32LE(plan.inodesPerGroup, 0x28);
  s.writeUInt32LE(options.time, 0x30);
  s.writeUInt16LE(0xffff, 0x36); // mounts until a check: never counted
  s.writeUInt16LE(0xef53, 0x38);
  s.writeUInt16LE(1, 0x3a); // clean
  s.writeUInt16LE(1, 0x3c); // on errors go on
  s.writeUInt32LE(options.time, 0x40);
  s.writeUInt32LE(1, 0x4c); // revision with features
  s.writeUInt32LE(11, 0x54); // first inode for files
  s.writeUInt16LE(INODE, 0x58);
  s.writeUInt16LE(group, 0x5a);
  s.writeUInt32LE(COMPATIBLE.extAttr | COMPATIBLE.dirIndex | (journal === undefined ? 0 : COMPATIBLE.hasJournal), 0x5c);
  s.writeUInt32LE(INCOMPATIBLE.filetype | INCOMPATIBLE.extents, 0x60);
  s.writeUInt32LE(sum(Object.values(READ_ONLY_COMPATIBLE)), 0x64);
  uuidBytes(options.uuid).copy(s, 0x68);
  Buffer.from(options.label).copy(s, 0x78, 0, 16);
  if (journal !== undefined) {
    s.writeUInt32LE(JOURNAL, 0xe0);
    // a copy of the journal's inode, for e2fsck
    s.writeUInt8(1, 0xfd);
    payloadOf(journal).bytes.copy(s, 0x10c);
    s.writeUInt32LE(journal.size, 0x10c + 16 * 4);
  }
  uuidBytes(options.hashSeed).copy(s, 0xec);
  s.writeUInt8(1, 0xfc); // half MD4
  s.writeUInt32LE(0xc, 0x100); // mount with user attributes and access control lists
  s.writeUInt32LE(options.time, 0x108);
  s.writeUInt16LE(32, 0x15c);
  s.writeUInt16LE(32, 0x15e);
  s.writeUInt32LE(1, 0x160); // hashes of signed characters
  return s;
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
