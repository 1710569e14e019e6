/**
 * Where everything of a tree goes in an ext4 image: inode numbers, blocks, the size of it all. Pure, and equal for equal trees.
 *
 * The oldest layout there is: each group of 128 MiB begins with its own bitmaps and inode table, some with a copy of the superblock before
 * them. Inodes are numbered and blocks are given out in the order of the tree, so the image is written nearly from front to back.
 */
import { imageFault } from '../refusal.ts';
import { folderNode, inOrder, sizeOf } from '../tree/tree.ts';
import type { Folder, Tree, TreeNode } from '../tree/tree.ts';
import {
  BLOCK,
  BLOCKS_PER_GROUP,
  DESCRIPTOR,
  INODE,
  JOURNAL,
  LOST_AND_FOUND,
  ROOT,
  SHORT_LINK_BYTES,
  directoryBlocks,
  leavesFor,
} from './bytes.ts';
import type { DirectoryEntry, Extent } from './bytes.ts';
import { xattrBytes } from './xattrs.ts';

export type Ext4Options = {
  label: string;
  uuid: string;
  /** of the index of folders that grow */
  hashSeed: string;
  /** when it was made, in seconds since the epoch */
  time: number;
  /** how large: at least so much free for the guest, or the whole of it */
  size: { freeBytes: number } | { bytes: number };
  /** a disk that lives longer than its VM wants one: without it a guest that was ended hard has a damaged file system */
  journal: boolean;
};

export type Item = {
  path: string;
  /** null: the journal */
  node: TreeNode | null;
  inode: number;
  links: number;
  /** of a folder */
  directory: Buffer[];
  size: number;
  xattrs: { inode: Buffer | null; block: Buffer | null };
  extents: Extent[];
  leaves: number[];
  /** 0: none */
  xattrBlock: number;
};

export type Geometry = { blocks: number; groups: number; inodesPerGroup: number; tableBlocks: number; descriptorBlocks: number };
export type Ext4Layout = Geometry & {
  items: readonly Item[];
  /** per group, how far its blocks are used: all of them up to here */
  usedUpTo: readonly number[];
};

const INODES_PER_BLOCK = BLOCK / INODE;
/** As mke2fs: one inode for 16 KiB. */
const BYTES_PER_INODE = 16_384;
const MOST_INODES_PER_GROUP = BLOCK * 8;
const MOST_LINKS = 65_000;
/** 32-bit block numbers; far beyond what a golden image is. */
const MOST_BLOCKS = 2 ** 32 - 1;
const JOURNAL_BLOCKS = (16 * 1024 * 1024) / BLOCK;
/** So that sizes are round. */
const STEP = (4 * 1024 * 1024) / BLOCK;
/** A last group with fewer blocks than this behind its tables is not worth its tables. */
const LEAST_LAST_GROUP = 64;

export function layOutExt4(tree: Tree, options: Ext4Options): Ext4Layout {
  const items = itemsOf(tree, options.journal);
  const geometry = geometryFor(items, options.size);
  const { usedUpTo, take } = allocator(geometry);
  for (const item of items) {
    item.extents = take(blocksOf(item));
    item.leaves = take(leavesFor(item.extents.length)).flatMap(({ start, length }) => Array.from({ length }, (_, index) => start + index));
    if (item.xattrs.block !== null) item.xattrBlock = take(1)[0]?.start ?? 0;
  }
  return { ...geometry, items, usedUpTo };
}

/** Every inode: the root, the journal, lost+found, and then the rest in the order of the tree. */
function itemsOf(tree: Tree, journal: boolean): Item[] {
  // e2fsck wants a place for what it finds, and this number for it
  const lostAndFound = folderNode(0o700);
  tree.root.children.set('lost+found', lostAndFound);
  const numbers = new Map<TreeNode, Item>();
  const items: Item[] = [];
  let next = LOST_AND_FOUND + 1;
  const add = (path: string, node: TreeNode, inode: number): void => {
    const item: Item = {
      ...blank(path, inode),
      node,
      xattrs: xattrBytes(node.xattrs, path),
      size: node.kind === 'file' ? sizeOf(node.data) : node.kind === 'symlink' ? Buffer.byteLength(node.target) : 0,
    };
    numbers.set(node, item);
    items.push(item);
  };
  add('', tree.root, ROOT);
  if (journal) items.push({ ...blank('(journal)', JOURNAL), size: JOURNAL_BLOCKS * BLOCK, links: 1 });
  add('lost+found', lostAndFound, LOST_AND_FOUND);
  for (const { path, node } of tree.walk()) {
    const known = numbers.get(node);
    if (known === undefined) add(path, node, next++);
    else if (node.kind !== 'folder' && ++known.links > MOST_LINKS)
      throw imageFault(`${JSON.stringify(path)} has more names than ext4 can count (${MOST_LINKS}).`);
  }
  const fill = (folder: Folder, parent: number): void => {
    const item = numberOf(folder);
    const entries: DirectoryEntry[] = [
      { name: '.', inode: item.inode, kind: 'folder' },
      { name: '..', inode: parent, kind: 'folder' },
    ];
    for (const [name, node] of inOrder(folder)) entries.push({ name, inode: numberOf(node).inode, kind: node.kind });
    const folders = entries.filter((entry) => entry.kind === 'folder').length;
    item.links = folders > MOST_LINKS ? 1 : folders; // 1: too many to count (the feature dir_nlink)
    item.directory = directoryBlocks(entries);
    item.size = item.directory.length * BLOCK;
  };
  const numberOf = (node: TreeNode): Item => {
    const item = numbers.get(node);
    if (item === undefined) throw new Error('a node of the tree has no number');
    return item;
  };
  fill(tree.root, ROOT);
  for (const { node } of items) {
    if (node?.kind !== 'folder') continue;
    for (const child of node.children.values()) if (child.kind === 'folder') fill(child, numberOf(node).inode);
  }
  return items;
}

function blank(path: string, inode: number): Item {
  return {
    path,
    node: null,
    inode,
    links: 1,
    directory: [],
    size: 0,
    xattrs: { inode: null, block: null },
    extents: [],
    leaves: [],
    xattrBlock: 0,
  };
}

/** Blocks for what is in it; a short link has none. */
function blocksOf({ node, size }: Item): number {
  return node?.kind === 'symlink' && size <= SHORT_LINK_BYTES ? 0 : Math.ceil(size / BLOCK);
}

function geometryFor(items: readonly Item[], size: Ext4Options['size']): Geometry {
  const needed = items.reduce((sum, item) => {
    const blocks = blocksOf(item);
    // a file is in one piece but where a group ends, and it may begin at the end of one
    return sum + blocks + leavesFor(Math.ceil(blocks / (BLOCKS_PER_GROUP / 2)) + 1) + (item.xattrs.block === null ? 0 : 1);
  }, 0);
  const inodes = LOST_AND_FOUND + items.length;
  if ('bytes' in size) {
    const fixed = layOut(Math.floor(size.bytes / BLOCK), inodes);
    const room = fixed === null ? 0 : roomIn(fixed);
    if (fixed === null || room < needed)
      throw imageFault(
        `The image is ${mib(size.bytes)} MiB large and its content needs about ${mib((needed - room) * BLOCK)} MiB more. Give it more room, or leave something out.`,
      );
    return fixed;
  }
  const wanted = needed + Math.ceil(size.freeBytes / BLOCK);
  for (let blocks = Math.ceil(wanted / STEP) * STEP; blocks < MOST_BLOCKS;) {
    const geometry = layOut(blocks, inodes);
    const lacking = geometry === null ? STEP : wanted - roomIn(geometry);
    if (geometry !== null && lacking <= 0) return geometry;
    blocks += Math.max(STEP, Math.floor(lacking / STEP) * STEP);
  }
  throw imageFault('The content is larger than an ext4 image can be here (16 TiB).');
}

function mib(bytes: number): number {
  return Math.ceil(bytes / (1024 * 1024));
}

/** Null: so many blocks would leave a last group without room, or the inodes have no place. */
function layOut(blocks: number, inodes: number): Geometry | null {
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
  if (groups === 0) return null;
  const wanted = Math.max(inodes + 256, Math.ceil((blocks * BLOCK) / BYTES_PER_INODE));
  const inodesPerGroup = Math.ceil(wanted / groups / INODES_PER_BLOCK) * INODES_PER_BLOCK;
  const geometry: Geometry = {
    blocks,
    groups,
    inodesPerGroup,
    tableBlocks: inodesPerGroup / INODES_PER_BLOCK,
    descriptorBlocks: Math.ceil((groups * DESCRIPTOR) / BLOCK),
  };
  const last = groups - 1;
  const fits = inodesPerGroup <= MOST_INODES_PER_GROUP && endOf(geometry, last) - firstOf(geometry, last) >= LEAST_LAST_GROUP;
  return fits ? geometry : null;
}

function roomIn(geometry: Geometry): number {
  return Array.from({ length: geometry.groups }, (_, group) => endOf(geometry, group) - firstOf(geometry, group)).reduce(
    (a, b) => a + b,
    0,
  );
}

/** Copies of the superblock stand in group 0, 1 and the powers of 3, 5 and 7 (the feature sparse_super). */
export function hasCopy(group: number): boolean {
  if (group <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < group) power *= base;
    return power === group;
  });
}

/** Where the block bitmap of a group is; the bitmap of inodes and their table follow. */
export function bitmapsOf(geometry: Geometry, group: number): number {
  return group * BLOCKS_PER_GROUP + (hasCopy(group) ? 1 + geometry.descriptorBlocks : 0);
}
/** The first block of a group that can hold data, and the end of the group. */
export function firstOf(geometry: Geometry, group: number): number {
  return bitmapsOf(geometry, group) + 2 + geometry.tableBlocks;
}
export function endOf(geometry: Geometry, group: number): number {
  return Math.min((group + 1) * BLOCKS_PER_GROUP, geometry.blocks);
}

function allocator(geometry: Geometry): { usedUpTo: number[]; take(blocks: number): Extent[] } {
  const usedUpTo = Array.from({ length: geometry.groups }, (_, group) => firstOf(geometry, group));
  let group = 0;
  const take = (blocks: number): Extent[] => {
    const extents: Extent[] = [];
    for (let first = 0; first < blocks;) {
      const start = usedUpTo[group];
      if (start === undefined) throw new Error('an image turned out too small for what was counted');
      const length = Math.min(blocks - first, endOf(geometry, group) - start);
      if (length === 0) {
        group += 1;
        continue;
      }
      extents.push({ first, start, length });
      usedUpTo[group] = start + length;
      first += length;
    }
    return extents;
  };
  return { usedUpTo, take };
}
