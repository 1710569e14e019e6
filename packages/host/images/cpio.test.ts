import { mkdtemp, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '../tools/exec.ts';
import { cpioArchive } from './cpio.ts';
import { planInitrd } from './initrd.ts';

const BOUND = { timeoutMs: 20_000 };

test('an empty archive is the end mark in one block', () => {
  const archive = cpioArchive([]);
  expect(archive).toHaveLength(512);
  expect(archive.toString('latin1', 0, 6)).toBe('070701');
  expect(archive.toString('latin1', 110, 120)).toBe('TRAILER!!!');
});

test('the cpio program lists and unpacks what was packed', async ({ skip }) => {
  const archive = cpioArchive([
    { kind: 'folder', path: 'bin', mode: 0o755 },
    { kind: 'file', path: 'bin/one', mode: 0o751, data: Buffer.from('x') },
    { kind: 'file', path: 'bin/none', mode: 0o644, data: Buffer.alloc(0) },
    { kind: 'file', path: 'bin/longer-name', mode: 0o644, data: Buffer.alloc(5001, 'y') },
    { kind: 'symlink', path: 'bin/link', target: 'one' },
  ]);
  const listed = await exec(['cpio', '-itv', '--quiet'], { ...BOUND, input: archive });
  skip(listed.spawnError === 'ENOENT', 'the cpio program is not installed');
  expect(listed.stderr).toBe('');
  expect(listed.stdout.split('\n').map((line) => line.split(/\s+/)[0])).toEqual([
    'drwxr-xr-x',
    '-rwxr-x--x',
    '-rw-r--r--',
    '-rw-r--r--',
    'lrwxrwxrwx',
    '',
  ]);
  expect(listed.stdout).toContain('root     root');
  const folder = await mkdtemp(join(tmpdir(), 'cpio-'));
  try {
    expect((await exec(['cpio', '-id', '--quiet', '--no-preserve-owner'], { ...BOUND, input: archive, cwd: folder })).code).toBe(0);
    expect((await readFile(join(folder, 'bin/longer-name'))).equals(Buffer.alloc(5001, 'y'))).toBe(true);
    expect(await readlink(join(folder, 'bin/link'))).toBe('one');
    expect((await stat(join(folder, 'bin/one'))).mode & 0o777).toBe(0o751);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the initrd plan: every applet, modules in load order, parents before children', () => {
  const entries = planInitrd({
    busybox: Buffer.from('b'),
    initScript: Buffer.from('i'),
    modules: [
      { name: 'virtio', data: Buffer.from('1') },
      { name: 'virtio_blk', data: Buffer.from('2') },
    ],
  });
  const seen = new Set<string>();
  for (const entry of entries) {
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')));
    expect(parent === '' || seen.has(parent)).toBe(true);
    expect(seen.has(entry.path)).toBe(false);
    seen.add(entry.path);
  }
  const order = entries.find((entry) => entry.path === 'etc/modules.order');
  expect(order?.kind === 'file' && Buffer.from(order.data).toString()).toBe('/lib/modules/virtio.ko\n/lib/modules/virtio_blk.ko\n');
  expect(cpioArchive(entries).equals(cpioArchive(entries))).toBe(true);
});
