import { expect, test } from 'vitest';
import { Tree, byRoot, fileNode, folderNode, linkNode } from '../tree/tree.ts';
import { bitmap, devicePayload, directoryBlocks, extentTree, leavesFor } from './bytes.ts';
import type { Extent } from './bytes.ts';
import { hasCopy, layOutExt4 } from './plan.ts';
import type { Ext4Options } from './plan.ts';
import { xattrBytes } from './xattrs.ts';

const MIB = 1024 * 1024;
const options: Ext4Options = { label: 'x', uuid: '', hashSeed: '', time: 0, size: { freeBytes: MIB }, journal: false };

test.each([
  [1, 3, '0301000000000000'],
  [8, 255, 'ff08000000000000'],
  [259, 70_000, '0000000070031111'], // (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
])('the device %i:%i', (major, minor, hex) => {
  expect(devicePayload(major, minor).bytes.toString('hex')).toBe(hex);
});

test('copies of the superblock', () => {
  expect(Array.from({ length: 130 }, (_, group) => group).filter(hasCopy)).toEqual([0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125]);
});

test.each<[readonly (readonly [number, number])[], number, string]>([
  [[[0, 0]], 10, 'from the tenth on'],
  [[[0, 3]], 10, 'three'],
  [
    [
      [0, 17],
      [40, 41],
    ],
    64,
    'across bytes',
  ],
])('a bitmap of %j in %i bits: %s', (ranges, bits) => {
  const map = bitmap(ranges, bits);
  const isSet = (bit: number): boolean => ((map[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
  for (let bit = 0; bit < map.length * 8; bit += 1) {
    const wanted = bit >= bits || ranges.some(([from, to]) => bit >= from && bit < to);
    if (isSet(bit) !== wanted) expect(`bit ${bit}`).toBe(wanted ? 'set' : 'clear');
  }
  expect(map.length).toBe(4096);
});

test('folders: entries fill blocks, the last of each reaches to its end', () => {
  const entries = Array.from({ length: 300 }, (_, index) => ({
    name: `${'n'.repeat(100)}${index}`,
    inode: index + 1,
    kind: 'file' as const,
  }));
  const blocks = directoryBlocks(entries);
  const names: string[] = [];
  for (const block of blocks) {
    let at = 0;
    while (at < 4096) {
      const length = block.readUInt16LE(at + 4);
      names.push(block.toString('utf8', at + 8, at + 8 + block.readUInt8(at + 6)));
      expect(length % 4).toBe(0);
      at += length;
    }
    expect(at).toBe(4096);
  }
  expect(names).toEqual(entries.map((entry) => entry.name));
});

test('extents: four stand in the inode, more in blocks below it', () => {
  const extents = Array.from({ length: 700 }, (_, index): Extent => ({ first: index * 10, start: index * 20, length: 10 }));
  expect([1, 4, 5, 340, 341].map(leavesFor)).toEqual([0, 0, 1, 1, 2]);
  const { inode, leaves } = extentTree(extents, [7, 8, 9]);
  expect(inode.readUInt16LE(2)).toBe(3);
  expect(inode.readUInt16LE(6)).toBe(1);
  expect([0, 1, 2].map((index) => [inode.readUInt32LE(12 + index * 12), inode.readUInt32LE(16 + index * 12)])).toEqual([
    [0, 7],
    [3400, 8],
    [6800, 9],
  ]);
  expect(leaves.map((leaf) => leaf.readUInt16LE(2))).toEqual([340, 340, 20]);
});

test('attributes stand in the inode where they fit, else in a block', () => {
  const capability = Buffer.alloc(20, 1);
  expect(xattrBytes(new Map([['security.capability', capability]]), 'x')).toMatchObject({
    block: null,
    inode: expect.any(Buffer) as Buffer,
  });
  expect(xattrBytes(new Map([['user.long', Buffer.alloc(500)]]), 'x')).toMatchObject({ inode: null, block: expect.any(Buffer) as Buffer });
  expect(xattrBytes(new Map(), 'x')).toEqual({ inode: null, block: null });
  expect(() => xattrBytes(new Map([['user.long', Buffer.alloc(5000)]]), 'x')).toThrow(/larger than a block/);
  expect(() => xattrBytes(new Map([['other.x', Buffer.alloc(1)]]), 'x')).toThrow(/none that ext4 can keep/);
  expect(() => xattrBytes(new Map([['system.posix_acl_access', Buffer.alloc(7)]]), 'x')).toThrow(/damaged/);
});

test.each<[string, (tree: Tree) => void, Ext4Options['size'], RegExp]>([
  [
    'too small',
    (tree) => tree.put('f', fileNode(Buffer.alloc(20 * MIB))),
    { bytes: 16 * MIB },
    /16 MiB large and its content needs about \d+ MiB more/,
  ],
  ['too small for its tables', () => {}, { bytes: 8192 }, /needs about/],
  [
    'too large',
    (tree) => tree.put('f', fileNode({ file: '/x', at: 0, bytes: 2 ** 45 })),
    { freeBytes: 0 },
    /larger than an ext4 image can be/,
  ],
])('refused: %s', (_, fill, size, says) => {
  const tree = new Tree();
  fill(tree);
  expect(() => layOutExt4(tree, { ...options, size })).toThrow(says);
});

test.each([0, 100, 130, 500, 4_000])(
  'with %i MiB of content there is as much free as was asked for, and no more than needed',
  (content) => {
    const tree = new Tree();
    tree.put('f', fileNode({ file: '/x', at: 0, bytes: content * MIB }));
    const asked = 64 * MIB;
    const { usedUpTo, blocks, groups } = layOutExt4(tree, { ...options, size: { freeBytes: asked }, journal: true });
    const free = usedUpTo.reduce((sum, used, group) => sum + Math.min((group + 1) * 32_768, blocks) - used, 0) * 4096;
    expect(free).toBeGreaterThanOrEqual(asked);
    expect(free).toBeLessThan(asked + 8 * MIB + groups * MIB);
  },
);

test('names, links, folders: numbers and counts', () => {
  const tree = new Tree();
  tree.put('a/b/c', fileNode('x'));
  tree.link('a/second', 'a/b/c');
  tree.put('long', linkNode('t'.repeat(60)));
  tree.put('short', linkNode('t'.repeat(59)));
  tree.put('pipe', { ...byRoot(0o600), kind: 'fifo' });
  tree.put('lost+found', folderNode(0o777)); // ours takes its place
  const { items } = layOutExt4(tree, options);
  const told = items.map(({ path, inode, links, extents }) => [path, inode, links, extents.length]);
  expect(told).toEqual([
    ['', 2, 4, 1],
    ['lost+found', 11, 2, 1],
    ['a', 12, 3, 1],
    ['a/b', 13, 2, 1],
    ['a/b/c', 14, 2, 1],
    ['long', 15, 1, 1],
    ['pipe', 16, 1, 0],
    ['short', 17, 1, 0],
  ]);
});
