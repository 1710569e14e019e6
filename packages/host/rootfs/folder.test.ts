import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTree } from './open-tree.ts';
import type { OpenedTree } from './open-tree.ts';

let folder: string;
let opened: OpenedTree;
const server = createServer();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tree-'));
  await mkdir(join(folder, 'root/etc'), { recursive: true });
  await mkdir(join(folder, 'root/sbin'));
  await writeFile(join(folder, 'secret'), 'outside');
  await writeFile(join(folder, 'root/etc/passwd'), 'inside');
  await writeFile(join(folder, 'root/sbin/real'), '#!/bin/sh\n');
  await chmod(join(folder, 'root/sbin/real'), 0o755);
  await symlink('/sbin/real', join(folder, 'root/sbin/init'));
  await symlink('../../../../secret', join(folder, 'root/etc/out'));
  await symlink('/etc/passwd', join(folder, 'root/etc/abs'));
  await symlink('loop', join(folder, 'root/etc/loop'));
  await symlink('/etc', join(folder, 'root/conf'));
  await new Promise<void>((resolve) => {
    server.listen(join(folder, 'root/socket'), resolve);
  });
  const tree = await openTree(join(folder, 'root'));
  if (!tree.ok) throw new Error(tree.say);
  opened = tree;
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

test('links stay inside, absolute ones too', async () => {
  const { tree } = opened;
  expect(await tree.stat('/sbin/init')).toMatchObject({ is: 'there', path: '/sbin/real', node: { mode: 0o755 } });
  expect(await tree.stat('/etc/out')).toEqual({ is: 'absent', path: '/secret', loop: false });
  const content = await tree.read('/conf/abs', 100);
  expect(content.is === 'there' && Buffer.from(content.bytes).toString()).toBe('inside');
});

test('a link to itself is absence, and said to be a circle', async () => {
  expect(await opened.tree.stat('/etc/loop')).toMatchObject({ is: 'absent', loop: true });
  expect(await opened.tree.lstat('/etc/loop')).toMatchObject({ is: 'there', node: { kind: 'symlink', target: 'loop' } });
});

test('what is no file is not opened', async () => {
  expect(await opened.tree.stat('/socket')).toMatchObject({ is: 'there', node: { kind: 'other' } });
  expect(await opened.tree.read('/socket', 10)).toMatchObject({ is: 'absent' });
});

test('a tree kept in something else is refused with what it looks like', async () => {
  await writeFile(join(folder, 'gz'), Buffer.from([0x1f, 0x8b, 8, 0, 0]));
  const disk = Buffer.alloc(4096);
  disk.writeUInt16LE(0xaa55, 0x1fe);
  await writeFile(join(folder, 'disk'), disk);
  expect(await openTree(join(folder, 'gz'))).toMatchObject({
    ok: false,
    code: 'not-ext4',
    say: expect.stringContaining('gzip-compressed data') as string,
  });
  expect(await openTree(join(folder, 'disk'))).toMatchObject({
    ok: false,
    say: expect.stringContaining('a disk with a partition table') as string,
  });
  expect(await openTree(join(folder, 'nowhere'))).toMatchObject({ ok: false, code: 'file-not-found' });
  expect(await openTree(join(folder, 'root/socket'))).toMatchObject({ ok: false, code: 'file-unreadable' });
});
