/** Small real images, read: what is in them, and how links and limits are kept. */
import { describe, expect, test } from 'vitest';
import { BufferSource } from './byte-source.ts';
import { openExt4 } from './ext4-backend.ts';
import { runsOf } from './ext4-blocks.ts';
import type { Inode } from './ext4-inode.ts';
import { smallImage } from './testing/small-images.ts';
import { walk } from './testing/walk.ts';
import { BackedTree } from './tree.ts';

async function treeOf(image: Buffer): Promise<BackedTree<number>> {
  const opened = await openExt4(new BufferSource(image));
  if (!opened.ok) throw new Error(opened.say);
  return new BackedTree(opened.backend);
}
const say = async (image: Buffer): Promise<string> => {
  const opened = await openExt4(new BufferSource(image));
  return opened.ok ? 'opened' : opened.say;
};
const text = async (tree: BackedTree<number>, path: string): Promise<string> => {
  const content = await tree.read(path, 1_000_000);
  return content.is === 'there' ? Buffer.from(content.bytes).toString() : content.is;
};

describe.each(['ext4', 'ext2'] as const)('a small %s image', (kind) => {
  test('its superblock', async () => {
    const opened = await openExt4(new BufferSource(smallImage(kind)));
    expect(opened).toMatchObject({
      ok: true,
      facts: {
        kind,
        uuid: '6c696e73-746f-636b-8000-000000000001',
        label: 'small',
        bytes: 204_800,
        inodes: 64,
        journalPending: false,
        errors: false,
      },
    });
  });

  test('every file, folder and link', async () => {
    const seen = await walk(await treeOf(smallImage(kind)));
    expect([...seen.keys()].filter((path) => !path.startsWith('/usr/lib/file'))).toEqual([
      '/',
      '/etc',
      '/lib',
      '/lost+found',
      '/sbin',
      '/srv',
      '/usr',
      '/etc/long',
      '/etc/longlink',
      '/etc/os-release',
      '/etc/passwd',
      '/etc/systemd',
      '/lib/systemd',
      '/sbin/init',
      '/srv/holes',
      '/usr/lib',
      '/etc/systemd/system',
      '/lib/systemd/systemd',
    ]);
    expect([...seen.keys()].filter((path) => path.startsWith('/usr/lib/file'))).toHaveLength(20);
    expect(seen.get('/sbin/init')).toMatchObject({ kind: 'symlink', target: '../lib/systemd/systemd' });
    expect(seen.get('/etc/longlink')).toMatchObject({ target: `/etc/${'long'.repeat(30)}` });
    expect(seen.get('/lib/systemd/systemd')).toMatchObject({ kind: 'file', mode: 0o755 });
  });

  test('contents: short, of many blocks, with a hole', async () => {
    const tree = await treeOf(smallImage(kind));
    expect(await text(tree, '/etc/os-release')).toBe('ID=x\n');
    expect(await text(tree, '/usr/lib/file-with-a-name-7')).toBe('7\n');
    expect(await text(tree, '/etc/long')).toBe(Array.from({ length: 3000 }, (_, index) => `line ${index % 10}\n`).join(''));
    expect(await text(tree, '/srv/holes')).toBe(`begin${'\0'.repeat(8_995)}end`);
  });

  test('links are followed inside the image', async () => {
    const tree = await treeOf(smallImage(kind));
    expect(await tree.stat('/sbin/init')).toMatchObject({ is: 'there', path: '/lib/systemd/systemd' });
    expect(await tree.lstat('/sbin/init')).toMatchObject({ is: 'there', path: '/sbin/init', node: { kind: 'symlink' } });
    expect(await tree.stat('/../../sbin/./../sbin/init/')).toMatchObject({ path: '/lib/systemd/systemd' });
    expect(await tree.stat('/etc/longlink')).toEqual({ is: 'absent', path: `/etc/${'long'.repeat(30)}`, loop: false });
    expect(await tree.stat('/etc/os-release/x')).toMatchObject({ is: 'absent', path: '/etc/os-release' });
    expect(await tree.list('/etc/os-release')).toMatchObject({ is: 'absent' });
    expect(await tree.read('/etc', 10)).toMatchObject({ is: 'absent' });
  });

  test('a file is read as far as was asked', async () => {
    const content = await (await treeOf(smallImage(kind))).read('/etc/long', 2000);
    expect(content).toMatchObject({ is: 'there', cut: true });
    expect(content.is === 'there' && content.bytes.length).toBe(2000);
  });

  test('cut short, it is refused', async () => {
    expect(await say(smallImage(kind).subarray(0, 200_000))).toContain('cut short');
    expect(await say(smallImage(kind).subarray(0, 1500))).toContain('too short');
  });
});

describe('superblocks that cannot be', () => {
  const changed = (change: (image: Buffer) => void): Promise<string> => {
    const image = smallImage('ext4');
    change(image);
    return say(image);
  };
  test.each<[string, (image: Buffer) => void, string]>([
    ['no magic', (image) => image.writeUInt16LE(0, 1024 + 0x38), 'no ext2, ext3 or ext4'],
    ['blocks of 128 KiB', (image) => image.writeUInt32LE(7, 1024 + 0x18), 'larger than 64 KiB'],
    ['no inodes in a group', (image) => image.writeUInt32LE(0, 1024 + 0x28), 'sizes cannot be'],
    ['inodes of 100 bytes', (image) => image.writeUInt16LE(100, 1024 + 0x58), 'sizes cannot be'],
    ['a feature nobody knows', (image) => image.writeUInt8(0x80, 1024 + 0x63), '0x80000000'],
    ['a journal device', (image) => image.writeUInt32LE(8, 1024 + 0x60), 'journal of another'],
  ])('%s', async (_, change, says) => {
    expect(await changed((image) => change(image))).toContain(says);
  });
});

test('a folder that names an inode which does not exist is not absence', async () => {
  const image = smallImage('ext2');
  // The entry of sbin, an inode number before its length and its name.
  const at = image.indexOf(Buffer.from('sbin')) - 8;
  image.writeUInt32LE(9_999, at);
  const tree = await treeOf(image);
  expect(await tree.stat('/sbin')).toMatchObject({ is: 'unreadable' });
  expect(await tree.stat('/sbin/init')).toMatchObject({ is: 'unreadable' });
  expect(await tree.stat('/etc/passwd')).toMatchObject({ is: 'there' });
});

describe('a tree of extents', () => {
  const inodeWith = (root: Buffer): Inode => ({
    kind: 'file',
    mode: 0o644,
    uid: 0,
    bytes: 4096 * 100,
    kept: 'extents',
    root,
    inlineRest: Buffer.alloc(0),
  });
  /** A node with its depth and entries of block, and place of a child or an extent of one block. */
  const node = (depth: number, entries: readonly (readonly [block: number, place: number])[], bytes = 60): Buffer => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUInt16LE(0xf30a, 0);
    buffer.writeUInt16LE(entries.length, 2);
    buffer.writeUInt16LE(depth, 6);
    for (const [index, [block, place]] of entries.entries()) {
      buffer.writeUInt32LE(block, 12 + index * 12);
      if (depth === 0) buffer.writeUInt16LE(1, 12 + index * 12 + 4);
      buffer.writeUInt32LE(place, 12 + index * 12 + (depth === 0 ? 8 : 4));
    }
    return buffer;
  };
  async function runsIn(root: Buffer, below: Buffer): Promise<{ runs: unknown; reads: number }> {
    let reads = 0;
    const runs = await runsOf(inodeWith(root), 100, 4096, () => {
      reads += 1;
      return Promise.resolve(below);
    });
    return { runs, reads };
  }

  test('of two levels', async () => {
    expect(
      await runsIn(
        node(1, [[0, 7]]),
        node(
          0,
          [
            [0, 50],
            [3, 60],
          ],
          4096,
        ),
      ),
    ).toEqual({
      runs: [
        { from: 0, at: 50, count: 1 },
        { from: 3, at: 60, count: 1 },
      ],
      reads: 1,
    });
  });
  test('what lies behind the wanted blocks is not looked at', async () => {
    expect(
      await runsIn(
        node(1, [
          [0, 7],
          [100, 8],
        ]),
        node(0, [[0, 50]], 4096),
      ),
    ).toMatchObject({ reads: 1 });
  });
  test.each([
    ['a node that leads to itself', node(2, [[0, 7]]), node(2, [[0, 7]], 4096)],
    ['more levels than there can be', node(6, [[0, 7]]), node(5, [[0, 7]], 4096)],
    [
      'entries that go backwards',
      node(0, [
        [5, 7],
        [3, 8],
      ]),
      node(0, []),
    ],
    ['more entries than there is room for', Buffer.concat([node(0, []).fill(0xff, 2, 4)]), node(0, [])],
  ])('%s is damage, found at once', async (_, root, below) => {
    const { runs, reads } = await runsIn(root, below);
    expect(runs).toMatchObject({ is: 'unreadable' });
    expect(reads).toBeLessThan(2);
  });
});
