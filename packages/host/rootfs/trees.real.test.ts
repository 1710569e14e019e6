/** The same tree in a folder, in tars and in images as mke2fs makes them: read back equal. Needs e2fsprogs and tar; no root. */
import { chmod, link, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeExt4 } from '../images/ext4.ts';
import type { TreeEntry } from '../images/ext4.ts';
import { lacks } from '../images/real-needs.ts';
import { exec, execOk } from '../tools/exec.ts';
import { openTree } from './open-tree.ts';
import { walk } from './testing/walk.ts';
import type { Seen } from './testing/walk.ts';

const reason = await lacks('mke2fs', 'debugfs', 'e2fsck', 'tar');
if (reason !== undefined) console.log(`skipped: ${reason}`);

const BOUND = { timeoutMs: 120_000 };

/** The first few places where two trees are not the same. */
function differences(seen: ReadonlyMap<string, Seen>, expected: ReadonlyMap<string, Seen>): unknown[] {
  return [...new Set([...seen.keys(), ...expected.keys()])]
    .map((path) => ({ path, seen: seen.get(path), expected: expected.get(path) }))
    .filter((one) => JSON.stringify(one.seen) !== JSON.stringify(one.expected))
    .slice(0, 5);
}

describe.skipIf(reason !== undefined)('one tree, kept in many ways', () => {
  let folder: string;
  let expected: Map<string, Seen>;
  const at = (name: string): string => join(folder, name);

  async function seen(path: string): Promise<Map<string, Seen>> {
    const opened = await openTree(path);
    if (!opened.ok) throw new Error(opened.say);
    await using tree = opened;
    const all = await walk(tree.tree);
    all.delete('/lost+found');
    return all;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trees-'));
    const root = at('root');
    await mkdir(join(root, 'etc/many'), { recursive: true });
    await mkdir(join(root, `deep${'/a'.repeat(40)}`), { recursive: true });
    await chmod(join(root, 'etc'), 0o711);
    // Enough names for a hash tree of two levels in blocks of 1 KiB.
    for (let index = 0; index < 3_000; index++) await writeFile(join(root, `etc/many/a-file-with-quite-a-long-name-${index}`), `${index}`);
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n', { mode: 0o640 });
    await writeFile(join(root, 'etc/empty'), '');
    await writeFile(join(root, 'etc/sixty'), 'x'.repeat(60));
    await writeFile(join(root, 'etc/two-hundred'), 'y'.repeat(200));
    await writeFile(join(root, 'big'), Buffer.alloc(3 * 1024 * 1024, 'abcdefg\n'));
    await link(join(root, 'big'), join(root, 'etc/same-as-big'));
    await symlink('etc/passwd', join(root, 'short'));
    await symlink(`/${'long/'.repeat(30)}`, join(root, 'long'));
    await symlink('x'.repeat(59), join(root, 'fifty-nine'));
    await symlink('x'.repeat(60), join(root, 'sixty'));
    // Pieces with holes between: more extents than an inode has room for, and the second kind of table of a block map.
    const holes = await open(join(root, 'holes'), 'w');
    for (let index = 0; index < 200; index++) await holes.write(`piece ${index}`, index * 65_536 + 17);
    await holes.write('far', 15 * 1024 * 1024);
    await holes.close();
    expected = await seen(root);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('the folder itself', () => {
    expect(expected.size).toBe(3_055);
    expect(expected.get('/etc/passwd')).toMatchObject({ mode: 0o640 });
    expect(expected.get('/holes')).toMatchObject({ bytes: 15 * 1024 * 1024 + 3 });
  });

  test.each<[string, string[]]>([
    ['ext4', ['-t', 'ext4']],
    ['ext4 with inline data and checksums', ['-t', 'ext4', '-O', 'inline_data,metadata_csum', '-I', '256']],
    ['ext4 with inline data in large inodes', ['-t', 'ext4', '-O', 'inline_data', '-I', '1024']],
    ['ext4 of 32 bits', ['-t', 'ext4', '-O', '^64bit']],
    ['ext4 with blocks of 1 KiB', ['-t', 'ext4', '-b', '1024']],
    ['ext4 without flexible groups', ['-t', 'ext4', '-O', '^flex_bg', '-b', '1024']],
    ['ext4 with descriptors in their groups', ['-t', 'ext4', '-O', 'meta_bg,^resize_inode', '-b', '1024']],
    ['ext4 with descriptors in their groups and two backups', ['-t', 'ext4', '-O', 'meta_bg,sparse_super2,^resize_inode', '-b', '1024']],
    ['ext4 with clusters', ['-t', 'ext4', '-O', 'bigalloc', '-C', '16384']],
    ['ext4 without kinds in its entries', ['-t', 'ext4', '-O', '^filetype']],
    ['ext3', ['-t', 'ext3']],
    ['ext2', ['-t', 'ext2', '-b', '1024']],
    ['ext2 of revision 0', ['-t', 'ext2', '-r', '0', '-b', '1024']],
  ])('%s', async (_, args) => {
    const image = at('image');
    await rm(image, { force: true });
    await execOk(['mke2fs', '-q', '-F', ...args, '-d', at('root'), image, '160M'], BOUND);
    expect(differences(await seen(image), expected)).toEqual([]);
    // e2fsck -D rebuilds large folders as hash trees; 1: it changed something, which is what was wanted.
    const { code } = await exec(['e2fsck', '-fyD', image], BOUND);
    expect([0, 1]).toContain(code);
    expect(differences(await seen(image), expected)).toEqual([]);
  });

  test.each(['gnu', 'pax', 'posix', 'ustar'])('a tar in the format %s', async (format) => {
    const archive = at(`${format}.tar`);
    // ustar has no room for the longest link.
    const skip = format === 'ustar' ? ['--exclude=./long'] : [];
    await execOk(['tar', '-C', at('root'), `--format=${format}`, ...skip, '-cf', archive, '.'], BOUND);
    const all = new Map(expected);
    if (format === 'ustar') all.delete('/long');
    expect(differences(await seen(archive), all)).toEqual([]);
  });

  test('what makeExt4 writes is read back equal', async () => {
    const entries: TreeEntry[] = [
      { kind: 'folder', path: 'sbin', mode: 0o755 },
      { kind: 'file', path: 'sbin/init', mode: 0o755, data: Buffer.from('#!/bin/sh\n') },
      { kind: 'file', path: 'sbin/big', mode: 0o600, data: Buffer.alloc(500_000, 'z') },
      { kind: 'symlink', path: 'init', target: '/sbin/init' },
    ];
    const plan = {
      label: 'mine',
      uuid: '6c696e73-746f-636b-8000-000000000001',
      hashSeed: '6c696e73-746f-636b-8000-000000000002',
      time: 1_700_000_000,
      entries,
    };
    await makeExt4(plan, at('made.ext4'));
    const opened = await openTree(at('made.ext4'));
    expect(opened).toMatchObject({
      ok: true,
      keptIn: 'image',
      fileSystem: { kind: 'ext4', label: 'mine', uuid: plan.uuid, journalPending: false },
    });
    if (!opened.ok) return;
    await using tree = opened;
    for (const entry of entries) {
      const look = await tree.tree.lstat(`/${entry.path}`);
      expect(look).toMatchObject({
        is: 'there',
        node: { kind: entry.kind, ...(entry.kind === 'symlink' ? { target: entry.target } : { mode: entry.mode }) },
      });
      const content = entry.kind === 'file' ? await tree.tree.read(`/${entry.path}`, 1_000_000) : null;
      if (entry.kind === 'file') expect(content?.is === 'there' && Buffer.from(content.bytes).equals(Buffer.from(entry.data))).toBe(true);
    }
  });

  test('a journal that was not replayed is noticed', async () => {
    const image = at('dirty');
    await execOk(['mke2fs', '-q', '-F', '-t', 'ext4', image, '16M'], BOUND);
    await execOk(['debugfs', '-w', '-R', 'feature needs_recovery', image], BOUND);
    const opened = await openTree(image);
    expect(opened).toMatchObject({ ok: true, fileSystem: { journalPending: true } });
    if (opened.ok) await opened[Symbol.asyncDispose]();
  });
});
