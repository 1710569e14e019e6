/** Images as e2fsprogs sees them: another reader of the same format. `writeExt4` itself has e2fsck look at each image, and throws when it finds fault. */
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { execOk } from '../../tools/exec.ts';
import { sha256File } from '../../tools/files.ts';
import { lacks } from '../real-needs.ts';
import { Tree, byRoot, fileNode, folderNode, linkNode } from '../tree/tree.ts';
import type { TreeNode } from '../tree/tree.ts';
import { writeExt4 } from './write.ts';
import type { Ext4Options } from './write.ts';

const BOUND = { timeoutMs: 60_000 };
const MIB = 1024 * 1024;
const options: Ext4Options = {
  label: 'test',
  uuid: '6c696e73-746f-636b-8000-000000000001',
  hashSeed: '6c696e73-746f-636b-8000-000000000002',
  time: 1_704_067_200,
  size: { freeBytes: 4 * MIB },
  journal: true,
};

const reason = await lacks('e2fsck', 'debugfs');
if (reason !== undefined) console.log(`skipped: ext4 images: ${reason}`);

describe.skipIf(reason !== undefined)('ext4 images', () => {
  let folder: string;
  let made = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ext4-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function image(tree: Tree, more: Partial<Ext4Options> = {}): Promise<string> {
    const file = join(folder, `${(made += 1)}.ext4`);
    await writeExt4(tree, file, { ...options, ...more });
    return file;
  }
  const ask = async (file: string, command: string): Promise<string> => (await execOk(['debugfs', '-R', command, file], BOUND)).stdout;

  test('owners, modes with setuid and sticky, devices, links and attributes are what they were', async () => {
    const tree = new Tree();
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    tree.put('bin/su', fileNode('su', 0o4755));
    tree.put('bin/ping', fileNode('ping', 0o755, { xattrs: new Map([['security.capability', capability]]) }));
    tree.put(
      'srv/large',
      fileNode('x', 0o640, {
        uid: 100_000,
        gid: 70_000,
        mtime: 1_234_567_890,
        xattrs: new Map([
          ['user.note', Buffer.alloc(3_000, 'n')],
          ['user.a', Buffer.from('b')],
        ]),
      }),
    );
    tree.link('srv/second', 'srv/large');
    tree.put('tmp', folderNode(0o1777));
    tree.put('dev/null', { ...byRoot(0o666), kind: 'char', major: 1, minor: 3 });
    tree.put('dev/disk', { ...byRoot(0o660), kind: 'block', gid: 6, major: 259, minor: 70_000 });
    tree.put('run/pipe', { ...byRoot(0o600), kind: 'fifo' });
    tree.put('lib', linkNode('usr/lib'));
    tree.put('long', linkNode(`/${'t'.repeat(200)}`));
    // user::rwx user:1000:r-- group::r-x mask::r-x other::---, in the form of getxattr(2)
    const acl = Buffer.from('0200000001000700ffffffff02000400e803000004000500ffffffff10000500ffffffff20000000ffffffff', 'hex');
    tree.put('shared', folderNode(0o770, { xattrs: new Map([['system.posix_acl_access', acl]]) }));
    const file = await image(tree);

    expect(await ask(file, 'stat /bin/su')).toMatch(/Type: regular +Mode: +04755 .*\nGeneration: 0 .*\nUser: +0 +Group: +0 /);
    expect(await ask(file, 'stat /tmp')).toMatch(/Type: directory +Mode: +01777 /);
    const large = await ask(file, 'stat /srv/large');
    expect(large).toMatch(/Mode: +0640 .*\n.*\nUser: 100000 +Group: 70000 /);
    expect(large).toMatch(/Links: 2 /);
    expect(large).toMatch(/mtime: 0x499602d2:0{8} /);
    expect((await ask(file, 'stat /srv/second')).split('\n')[0]).toBe(large.split('\n')[0]); // the same inode
    expect(await ask(file, 'stat /dev/null')).toMatch(/Type: character special[^]*Device major\/minor number: 01:03 /);
    expect(await ask(file, 'stat /dev/disk')).toMatch(
      /Type: block special[^]*User: +0 +Group: +6 [^]*\(hex 103:11170\)|Device major\/minor number: 259:70000/,
    );
    expect(await ask(file, 'stat /run/pipe')).toMatch(/Type: FIFO/);
    expect(await ask(file, 'stat /lib')).toContain('Fast link dest: "usr/lib"');
    expect(await ask(file, 'cat /long')).toBe(`/${'t'.repeat(200)}`);
    expect(await ask(file, 'ea_list /bin/ping')).toContain('security.capability (20)');
    expect(await ask(file, 'ea_get -x /bin/ping security.capability')).toMatch(/01 00 00 02 00 04 00 00/);
    expect(await ask(file, 'ea_get /srv/large user.a')).toContain('"b"');
    expect(await ask(file, 'ea_get /srv/large user.note')).toContain('n'.repeat(3_000));
    expect(await ask(file, 'ea_get -x /shared system.posix_acl_access')).toMatch(/02 00 00 00 01 00 07 00 .*02 00 04 00 e8 03 00 00/);
    expect(await ask(file, 'stats')).toMatch(
      /Filesystem volume name: +test\n[^]*Filesystem features: +has_journal ext_attr dir_index filetype extent sparse_super large_file dir_nlink extra_isize\n/,
    );
  });

  test('a folder of thousands, a file over groups, and one in so many pieces that they need a block of their own', async () => {
    const tree = new Tree();
    for (let index = 0; index < 5_000; index += 1) tree.put(`many/${index}-${'n'.repeat(index % 200)}`, fileNode(''));
    // nothing in it but its length: 540 MiB of holes read fast
    const holes = join(folder, 'holes');
    const handle = await open(holes, 'w');
    await handle.truncate(540 * MIB);
    await handle.write('the end', 540 * MIB - 7);
    await handle.close();
    tree.put('large', fileNode({ file: holes, at: 0, bytes: 540 * MIB }));
    const file = await image(tree);
    const large = await ask(file, 'stat /large');
    expect(large).toMatch(/Size: 566231040\n/);
    expect(large).toMatch(/\(ETB0\):\d+/); // the block that holds its extents
    expect((await ask(file, 'ls -p /many')).split('\n').filter((line) => line.includes('/0-')).length).toBe(1);
    expect((await ask(file, 'ls -p /many')).trim().split('\n')).toHaveLength(5_002);
    await mkdir(join(folder, 'out'));
    await execOk(['debugfs', '-R', `dump /large ${join(folder, 'out/large')}`, file], BOUND);
    expect(await sha256File(join(folder, 'out/large'))).toBe(await sha256File(holes));
    await rm(file);
  });

  test('equal trees give equal images, whatever order they were made in', async () => {
    const parts = ['a/x', 'b', 'a/y/z', 'c/é', 'a/.hidden'];
    const treeOf = (paths: readonly string[]): Tree => {
      const tree = new Tree();
      for (const path of paths) tree.put(path, fileNode(path));
      return tree;
    };
    const [one, other] = [await image(treeOf(parts)), await image(treeOf(parts.toReversed()))];
    expect(await sha256File(other)).toBe(await sha256File(one));
    const changed = treeOf(parts);
    changed.put('b', fileNode('b', 0o600));
    expect(await sha256File(await image(changed))).not.toBe(await sha256File(one));
  });

  test('a size that is asked for is the size, and a last group without room for its tables is refused in words', async () => {
    const tree = new Tree();
    tree.put('f', fileNode('x'));
    const file = await image(tree, { size: { bytes: 200 * MIB } });
    expect((await readFile(file)).length).toBe(200 * MIB);
    await expect(image(tree, { size: { bytes: 128 * MIB + 8192 } })).rejects.toThrow(/128|129/);
  });

  test('random trees are sound', async () => {
    const name = fc.stringMatching(/^[a-z.é-]{1,40}$/).filter((text) => text !== '.' && text !== '..');
    const xattrs = fc
      .dictionary(fc.constantFrom('user.a', 'user.bb', 'security.c', 'trusted.d'), fc.uint8Array({ maxLength: 300 }))
      .map((record) => new Map(Object.entries(record)));
    const owned = fc.record({
      mode: fc.nat(0o7777),
      uid: fc.nat(0xffff_fffe),
      gid: fc.nat(0xffff_fffe),
      mtime: fc.nat(0x7fff_ffff),
      xattrs,
    });
    const node = fc.oneof(
      fc.tuple(owned, fc.uint8Array({ maxLength: 20_000 })).map(([o, data]): TreeNode => ({ ...o, kind: 'file', data })),
      fc
        .tuple(
          owned,
          fc.string({ minLength: 1, maxLength: 200 }).filter((text) => !text.includes('\0')),
        )
        .map(([o, target]): TreeNode => ({ ...o, kind: 'symlink', target })),
      owned.map((o): TreeNode => ({ ...o, kind: 'folder', children: new Map() })),
      fc.tuple(owned, fc.nat(0xfff), fc.nat(0xfffff)).map(([o, major, minor]): TreeNode => ({ ...o, kind: 'char', major, minor })),
      owned.map((o): TreeNode => ({ ...o, kind: 'socket' })),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 4 }), node), { maxLength: 60 }),
        fc.boolean(),
        async (entries, journal) => {
          const tree = new Tree();
          for (const [path, one] of entries) {
            const clear = path.every(
              (_, index) => index === 0 || ['folder', undefined].includes(tree.at(path.slice(0, index).join('/'))?.kind),
            );
            if (clear) tree.put(path.join('/'), one);
          }
          await rm(await image(tree, { journal }));
        },
      ),
      { numRuns: 60 },
    );
  });
});
