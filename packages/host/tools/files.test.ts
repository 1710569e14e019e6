import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ToolFailure } from './exec.ts';
import {
  cloneFile,
  ensureFolder,
  halfNameOf,
  isThere,
  readIfThere,
  readTextIfThere,
  removeTree,
  settleFile,
  sha256,
  sha256File,
  sizeIfThere,
  writeDurably,
} from './files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('absence is a value', async () => {
  const nothing = join(folder, 'a/b');
  expect(await readIfThere(nothing)).toBeUndefined();
  expect(await readTextIfThere(nothing)).toBeUndefined();
  expect(await sizeIfThere(nothing)).toBeUndefined();
  expect(await isThere(nothing)).toBe(false);
  await removeTree(nothing);
  await writeFile(join(folder, 'file'), '');
  expect(await readIfThere(join(folder, 'file/below-a-file'))).toBeUndefined();
});

test('what only looks like absence is thrown', async () => {
  await expect(readIfThere(folder)).rejects.toMatchObject({ code: 'EISDIR' });
});

test('writeDurably replaces a file whole, over the half file of an earlier attempt, and leaves no half', async () => {
  const path = join(folder, 'x.json');
  await writeDurably(path, 'one');
  await writeFile(halfNameOf(path), 'rest of a power cut');
  await writeDurably(path, 'two', 0o444);
  expect(await readFile(path, 'utf8')).toBe('two');
  expect((await stat(path)).mode & 0o777).toBe(0o444);
  expect(await readdir(folder)).toEqual(['x.json']);
});

test('a failed writeDurably leaves nothing', async () => {
  await ensureFolder(join(folder, 'taken/inside'));
  await expect(writeDurably(join(folder, 'taken'), 'x')).rejects.toThrow();
  expect(await readdir(folder)).toEqual(['taken']);
});

test('sha256File agrees with sha256 over more than one chunk', async () => {
  const data = Buffer.alloc(2_500_000, 'abc');
  const path = join(folder, 'data');
  await writeFile(path, data);
  expect(await sha256File(path)).toBe(sha256(data));
  await expect(sha256File(path, AbortSignal.abort())).rejects.toThrow();
});

test('cloneFile keeps content and holes', async () => {
  const from = join(folder, 'from');
  const to = join(folder, 'to');
  await writeFile(from, 'head');
  await truncate(from, 8 * 1024 * 1024);
  await cloneFile(from, to);
  expect(await sha256File(to)).toBe(await sha256File(from));
  expect((await stat(to)).blocks * 512).toBeLessThan(1024 * 1024);
  await expect(cloneFile(join(folder, 'none'), to)).rejects.toBeInstanceOf(ToolFailure);
});

test('settleFile moves a finished file under its name', async () => {
  const path = join(folder, 'done');
  await writeFile(halfNameOf(path), 'done');
  await settleFile(halfNameOf(path), path);
  expect(await readdir(folder)).toEqual(['done']);
});
