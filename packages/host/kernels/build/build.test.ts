import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ImageStore } from '../../images/store.ts';
import { buildKernel, readFragmentFile } from './build.ts';
import { kernelDate } from './make.ts';
import { refuseWithoutTools } from './needs.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kernel-build-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('all that is missing is named at once, with the packages that bring it, each once', async () => {
  const missing = new Set(['gcc', 'ld', 'strip', '/usr/include/gelf.h']);
  await expect(refuseWithoutTools(async (what) => !missing.has(what))).rejects.toThrow(
    'A kernel cannot be built here without gcc, ld, strip, /usr/include/gelf.h. Install what is missing: apt-get install --no-install-recommends gcc binutils libelf-dev',
  );
  await expect(refuseWithoutTools(async () => true)).resolves.toBeUndefined();
});

test.each([
  ['2026-11-16T10:17:05Z', 'Mon Nov 16 10:17:05 UTC 2026'],
  ['2024-02-01T00:00:00Z', 'Thu Feb  1 00:00:00 UTC 2024'],
])('%s in a banner is %s', (at, text) => {
  expect(kernelDate(new Date(at))).toBe(text);
});

test.each([
  ['6', 'CONFIG_A=y', 'series of sources such as 6.1 or 6.12, not from "6"'],
  ['../x', 'CONFIG_A=y', 'not from "../x"'],
  ['6.1', 'A=y', 'mine, line 1: "A=y" is neither'],
])('series %s with %j is refused before anything is made', async (series, text, say) => {
  const store = new ImageStore({ folder: join(folder, 'images'), now: () => 0 });
  const wish = { series, fragments: [{ name: 'mine', text }], name: 'x', jobs: 1, builds: join(folder, 'builds') };
  await expect(buildKernel(store, { ...wish, hold: async () => null })).rejects.toThrow(say);
  expect(await readdir(folder)).toEqual([]);
});

test('a fragment that is not there is refused by its path', async () => {
  await expect(readFragmentFile(join(folder, 'none.config'))).rejects.toThrow(`There is no file ${folder}/none.config`);
});
