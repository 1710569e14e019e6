import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsePax, paxRecord } from '../../tar/pax.ts';
import { treeFromTar } from './from-tar.ts';
import { writeTar } from './tar-write.ts';
import { tarOf } from '../../tar/testing/tars.ts';
import type { TarPart } from '../../tar/testing/tars.ts';
import { Tree, byRoot, bytesOf, fileNode, folderNode, linkNode } from './tree.ts';
import type { TreeNode } from './tree.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(bytes: Uint8Array): Promise<Tree> {
  const file = join(folder, 'archive.tar');
  await writeFile(file, bytes);
  return treeFromTar(file, 'The archive');
}

/** Everything of a tree, to compare. */
async function told(tree: Tree): Promise<unknown[]> {
  const numbers = new Map<TreeNode, number>();
  const rows: unknown[] = [];
  for (const { path, node } of tree.walk()) {
    if (!numbers.has(node)) numbers.set(node, numbers.size);
    const { mode, uid, gid, mtime, kind } = node;
    const what = node.kind === 'file' ? (await bytesOf(node.data)).toString('base64') : node.kind === 'symlink' ? node.target : null;
    const device = node.kind === 'char' || node.kind === 'block' ? [node.major, node.minor] : null;
    const xattrs = [...node.xattrs].map(([name, value]) => [name, Buffer.from(value).toString('base64')]);
    rows.push({ path, number: numbers.get(node), kind, mode, uid, gid, mtime, what, device, xattrs });
  }
  return rows;
}

test('what is written is read back: owners, modes, links of both kinds, devices, attributes, long and foreign names', async () => {
  const tree = new Tree();
  const long = `${'d'.repeat(120)}/${'e'.repeat(200)}`;
  tree.put(long, fileNode('long', 0o4755, { uid: 3_000_000_000, gid: 4_000_000, mtime: 5 }));
  tree.put('grüße/ŧest', fileNode(Buffer.alloc(70_000, 7), 0o600, { uid: 1000, gid: 33 }));
  tree.link('second name', 'grüße/ŧest');
  tree.put('link', linkNode('x'.repeat(300)));
  tree.put('empty', folderNode(0o1777));
  tree.put('dev/null', { ...byRoot(0o666), kind: 'char', major: 1, minor: 3 });
  tree.put('dev/disk', { ...byRoot(0o660), kind: 'block', major: 259, minor: 70_000 });
  tree.put('pipe', { ...byRoot(0o644), kind: 'fifo' });
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  tree.put(
    'ping',
    fileNode('p', 0o755, {
      xattrs: new Map([
        ['security.capability', capability],
        ['user.empty', Buffer.alloc(0)],
      ]),
    }),
  );
  const file = join(folder, 'written.tar');
  await writeTar(tree, file);
  expect(await told(await treeFromTar(file, 'It'))).toEqual(await told(tree));
});

test.each<[string, readonly TarPart[], string, Partial<TreeNode>]>([
  ['ustar with a prefix', [{ name: 'file', prefix: 'some/folder', data: 'x' }], 'some/folder/file', { kind: 'file', uid: 0 }],
  [
    'a long name of GNU tar',
    [
      { name: '././@LongLink', type: 'L', data: `${'n'.repeat(150)}\0` },
      { name: 'cut', data: 'x' },
    ],
    'n'.repeat(150),
    { kind: 'file' },
  ],
  [
    'a long link of GNU tar',
    [
      { name: '././@LongLink', type: 'K', data: `${'t'.repeat(150)}\0` },
      { name: 'l', type: '2', link: 'cut' },
    ],
    'l',
    { kind: 'symlink', target: 't'.repeat(150) },
  ],
  ['a number in base 256', [{ name: 'f', raw: { 108: [0x80, 0, 0, 0, 0xb2, 0xd0, 0x5e, 0] } }], 'f', { uid: 3_000_000_000 }],
  [
    'PAX before all else',
    [{ name: 'x', type: 'x', data: paxRecord('path', Buffer.from('real')).toString() }, { name: 'f' }],
    'real',
    { kind: 'file' },
  ],
  [
    'PAX for all that follow',
    [{ name: 'g', type: 'g', data: paxRecord('uid', Buffer.from('77')).toString() }, { name: 'f' }],
    'f',
    { uid: 77 },
  ],
  [
    'a time with a fraction',
    [{ name: 'x', type: 'x', data: paxRecord('mtime', Buffer.from('12.987')).toString() }, { name: 'f' }],
    'f',
    { mtime: 12 },
  ],
  ['a folder by its slash', [{ name: 'old/', type: '\0' }], 'old', { kind: 'folder' }],
  ['leading slashes and dots', [{ name: '/.//etc/./x' }], 'etc/x', { kind: 'file' }],
  ['a link that says it has a size', [{ name: 'l', type: '2', link: 'x', size: 5000 }, { name: 'after' }], 'after', { kind: 'file' }],
])('%s', async (_, parts, path, node) => {
  expect((await read(tarOf(parts))).at(path)).toMatchObject(node);
});

test.each<[string, Uint8Array, RegExp]>([
  ['a name that climbs', tarOf([{ name: 'a/../../etc/passwd' }]), /"a\/\.\.\/\.\.\/etc\/passwd" is none that a file in an image can have/],
  [
    'a name of the PAX header that climbs',
    tarOf([{ name: 'x', type: 'x', data: paxRecord('path', Buffer.from('../x')).toString() }, { name: 'f' }]),
    /"\.\.\/x" is none/,
  ],
  ['a hard link that climbs', tarOf([{ name: 'l', type: '1', link: '../../etc/shadow' }]), /the link "l" leads to a name/],
  ['a hard link to nothing', tarOf([{ name: 'l', type: '1', link: 'absent' }]), /second name of "absent", which is no file before it/],
  ['a name that is no UTF-8', tarOf([{ name: 'x', raw: { 0: [0xff, 0xfe] } }]), /no UTF-8/],
  [
    'a zero byte in a name',
    tarOf([{ name: 'x', type: 'x', data: paxRecord('path', Buffer.from('a\0b')).toString() }, { name: 'f' }]),
    /is none/,
  ],
  ['a sparse file', tarOf([{ name: 's', type: 'S' }]), /a sparse file/],
  ['an unknown kind', tarOf([{ name: 's', type: 'Q' }]), /kind that is not known here \("Q"\)/],
  ['a wrong sum', tarOf([{ name: 'f', raw: { 148: [0x31] } }]), /no tar header 0 bytes in/],
  ['no archive', Buffer.alloc(1024, 65), /no tar header/],
  ['cut in a header', tarOf([{ name: 'f' }]).subarray(0, 300), /cut short in the middle of a header/],
  ['cut in a file', tarOf([{ name: 'f', data: 'x'.repeat(2000) }]).subarray(0, 1024), /cut short in the middle of a file/],
  [
    'a size without end',
    tarOf([{ name: 'f', raw: { 124: [0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255] } }]),
    /has no size|cut short/,
  ],
  [
    'a huge extended header',
    tarOf([{ name: 'x', type: 'x', data: 'y'.repeat(2 * 1024 * 1024) }, { name: 'f' }]),
    /extended header has 2097152 bytes/,
  ],
  ['a damaged extended header', tarOf([{ name: 'x', type: 'x', data: '99 path=x\n' }, { name: 'f' }]), /extended header is damaged/],
  ['a file where a folder must be', tarOf([{ name: 'a' }, { name: 'a/b' }]), /"a" on its way is no folder/],
])('refused: %s', async (_, bytes, says) => {
  await expect(read(bytes)).rejects.toMatchObject({ fault: { code: 'image-refused' }, message: expect.stringMatching(says) as string });
});

test.each<[string, Record<string, string> | null]>([
  ['', {}],
  ['10 key=ab\n8 x=yyyy\n', null],
  ['10 key=ab\n8 x=yyy\n', { key: 'ab', x: 'yyy' }],
  ['10 key=ab', null],
  ['0 key=ab\n', null],
  ['9999999 k=v\n', null],
  ['10 keyaab.\n', null],
  ['x', null],
])('PAX records %j', (text, records) => {
  const parsed = parsePax(Buffer.from(text));
  expect(parsed === null ? null : Object.fromEntries([...parsed].map(([key, value]) => [key, value.toString()]))).toEqual(records);
});

test('a PAX record counts the digits of its own length', () => {
  for (const bytes of [1, 90, 91, 92, 93, 94, 985, 990, 995, 9_990]) {
    const record = paxRecord('k', Buffer.alloc(bytes, 120));
    expect(Number(record.toString('latin1').split(' ')[0])).toBe(record.length);
  }
});
