/** Small real images, read: what is in them, and how links and limits are kept. */
import { describe, expect, test } from 'vitest';
import { BufferSource } from './byte-source.ts';
import { openExt4 } from './ext4-backend.ts';
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
