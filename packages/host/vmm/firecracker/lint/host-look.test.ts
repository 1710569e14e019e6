/** The look at files needs no right and no program; TAPs are in host-look.real.test.ts. */
import { chmod, mkdir, mkdtemp, rm, symlink, link, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lookAtHost } from './host-look.ts';
import type { FileSight } from './host-sight.ts';
import type { Section } from './finding.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-look-'));
});
afterAll(() => rm(folder, { recursive: true }));

const drive = (path: string): Section => ({ drives: [{ path_on_host: path }] });
async function look(path: string): Promise<FileSight> {
  const sight = await lookAtHost(drive(path), folder);
  return sight.files.get(path) as FileSight;
}

test('a file: size, first bytes, rights; by a relative path and by a link it is the same', async () => {
  await writeFile(join(folder, 'disk'), 'hello');
  await symlink('disk', join(folder, 'soft'));
  await link(join(folder, 'disk'), join(folder, 'hard'));
  const seen = await look(join(folder, 'disk'));
  expect(seen).toMatchObject({ is: 'there', kind: 'file', bytes: 5, readable: true, writable: true, listening: null });
  expect(Buffer.from((seen as { head: Uint8Array }).head).toString()).toBe('hello');
  for (const name of ['disk', './disk', 'soft', 'hard']) expect(await look(name)).toEqual(seen);
});

test('what is not there, and whether it could be made', async () => {
  await mkdir(join(folder, 'made'));
  expect(await look('made/none')).toEqual({ is: 'absent', folder: 'writable' });
  expect(await look('none/none')).toEqual({ is: 'absent', folder: 'absent' });
  expect(await look('disk/none')).toMatchObject({ is: 'absent' });
  expect(await look('made')).toMatchObject({ is: 'there', kind: 'folder', bytes: null, head: null });
});

test('what leads nowhere else', async () => {
  await symlink('circle', join(folder, 'circle'));
  expect(await look('circle')).toEqual({ is: 'closed', code: 'ELOOP' });
  expect(await look('x'.repeat(5_000))).toEqual({ is: 'closed', code: 'ENAMETOOLONG' });
});

test('closed to this user', async ({ skip }) => {
  skip(process.getuid?.() === 0, 'root may read everything');
  await mkdir(join(folder, 'closed'));
  await writeFile(join(folder, 'closed/disk'), '');
  await writeFile(join(folder, 'secret'), 'x', { mode: 0o200 });
  await chmod(join(folder, 'closed'), 0o000);
  expect(await look('closed/disk')).toEqual({ is: 'closed', code: 'EACCES' });
  expect(await look('secret')).toMatchObject({ is: 'there', readable: false, writable: true, head: null });
  await chmod(join(folder, 'closed'), 0o700);
});

test('a socket: whether somebody listens', async () => {
  const path = join(folder, 'v.sock');
  const config = { vsock: { uds_path: path } };
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  expect((await lookAtHost(config, folder)).files.get(path)).toMatchObject({ kind: 'socket', listening: true });
  await link(path, join(folder, 'stale.sock')); // closing removes the name that was bound, and not this one
  await new Promise((resolve) => void server.close(resolve));
  expect((await lookAtHost(config, folder)).files.get(path)).toMatchObject({ is: 'absent' });
  expect((await lookAtHost({ vsock: { uds_path: 'stale.sock' } }, folder)).files.get('stale.sock')).toMatchObject({
    kind: 'socket',
    listening: false,
  });
});

test('the machine', async () => {
  const sight = await lookAtHost({}, folder);
  expect(sight).toMatchObject({ folder, user: { id: process.geteuid?.() } });
  expect(sight.memoryMiB).toBeGreaterThan(100);
  expect(sight.taps).toEqual(new Map());
});
