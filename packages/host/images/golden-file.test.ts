import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GoldenManifest } from '@linstock/contract';
import { execOk } from '../tools/exec.ts';
import { exportGolden, importGoldenFile } from './golden-file.ts';
import { aGoldenContent } from './golden-samples.ts';
import { ImageStore } from './store.ts';
import { headerOf, readFileHeader } from '../tar/header.ts';

const { signal } = new AbortController();
let folder: string;
let here: ImageStore;
let there: ImageStore;
let golden: GoldenManifest;
const file = (name: string): string => join(folder, name);
/** Holes first, then something: a disk image in small. */
const rootfs = Buffer.concat([Buffer.alloc(3 * 1024 * 1024), Buffer.from('the end of it')]);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'golden-file-'));
  [here, there] = [new ImageStore({ folder: file('here'), now: Date.now }), new ImageStore({ folder: file('there'), now: Date.now })];
  await Promise.all([here.open(), there.open()]);
  golden = await here.exclusively(undefined, async (scratch) => {
    const blob = async (name: string, data: string | Buffer): ReturnType<ImageStore['adoptBlob']> => {
      await writeFile(join(scratch, name), data);
      return here.adoptBlob(join(scratch, name));
    };
    const content = aGoldenContent();
    const [kernel, root] = [await blob('k', 'kernel'), await blob('r', rootfs)];
    return here.seal({ ...content, kernel: { ...content.kernel, ...kernel }, rootfs: { ...content.rootfs, ...root } }, scratch);
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const exported = async (): Promise<string> => {
  expect(await exportGolden(here, golden, { path: file('tiny.golden'), signal })).toMatchObject({ ok: true });
  return file('tiny.golden');
};
const imported = (path: string): ReturnType<typeof importGoldenFile> => importGoldenFile(there, { path, signal });
const nothingCame = async (): Promise<void> => {
  expect(await there.names()).toEqual([]);
  expect(await readdir(join(there.folder, 'scratch'))).toEqual([]);
};

test('what is exported here is the same there, holes and all, and a second time is nothing new', async () => {
  const path = await exported();
  const one = await imported(path);
  expect(one).toMatchObject({ ok: true, made: true, from: { name: 'tiny', version: 1 }, golden: { digest: golden.digest } });
  // not toEqual, which walks through the bytes one by one
  expect((await readFile(there.blobPath(golden.rootfs.blob))).equals(rootfs)).toBe(true);
  expect((await stat(there.blobPath(golden.rootfs.blob))).blocks * 512).toBeLessThan(1024 * 1024);
  expect(await there.verifyGolden(golden)).toEqual({ ok: true });
  expect(await imported(path)).toMatchObject({ ok: true, made: false, golden: { version: 1 } });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('it is a tar that others can list', async () => {
  const tar = file('plain.tar');
  await writeFile(tar, zstdDecompressSync(await readFile(await exported())));
  const listed = await execOk(['tar', '-tvf', tar], { timeoutMs: 20_000 });
  expect(listed.stdout.split('\n').map((line) => line.split(/ +/).at(-1))).toEqual([
    'manifest.json',
    `blobs/${golden.kernel.blob}`,
    `blobs/${golden.rootfs.blob}`,
    '',
  ]);
});

test('a file that is there is not written over; a damaged version is not passed on', async () => {
  await exported();
  expect(await exportGolden(here, golden, { path: file('tiny.golden'), signal })).toMatchObject({
    ok: false,
    say: expect.stringContaining('there already') as string,
  });
  await rm(here.blobPath(golden.kernel.blob));
  expect(await exportGolden(here, golden, { path: file('other'), signal })).toMatchObject({ ok: false, code: 'golden-damaged' });
  expect(await readdir(folder)).toEqual(['here', 'there', 'tiny.golden']);
});

describe('what is no whole golden image leaves nothing', () => {
  test.each<[string, (path: string) => Promise<void>, string, RegExp]>([
    ['not there', (path) => rm(path), 'file-not-found', /no file/],
    ['not compressed', (path) => writeFile(path, 'hello'), 'golden-damaged', /zstd/],
    ['empty', (path) => writeFile(path, ''), 'golden-damaged', /zstd/],
    [
      'another tar',
      async (path) => writeFile(path, zstdCompressSync(headerOf('../../etc/passwd', 3))),
      'golden-damaged',
      /does not begin with a manifest/,
    ],
    ['cut short', async (path) => truncate(path, (await stat(path)).size - 20), 'golden-damaged', /zstd|ends within|cut short/],
    ['another blob in its place', (path) => swap(path, golden.rootfs.blob, golden.kernel.blob), 'golden-damaged', /something else/],
    ['other content', (path) => swap(path, 'the end of it', 'the end of me'), 'golden-damaged', /not what its name says/],
    ['another manifest', (path) => swap(path, '"memoryMiB": 128', '"memoryMiB": 999'), 'golden-damaged', /manifest is damaged/],
  ])('%s', async (_, spoil, code, say) => {
    const path = await exported();
    await spoil(path);
    expect(await imported(path)).toMatchObject({ ok: false, code, say: expect.stringMatching(say) as string });
    await nothingCame();
  });

  test('any bytes', async () => {
    const whole = zstdDecompressSync(await readFile(await exported()));
    await fc.assert(
      fc.asyncProperty(fc.nat(4_000), fc.uint8Array({ minLength: 1, maxLength: 40 }), async (at, bytes) => {
        const changed = Buffer.from(whole);
        changed.set(bytes, at);
        await writeFile(file('any'), zstdCompressSync(changed));
        const outcome = await imported(file('any'));
        // bytes that change nothing that counts (the padding) leave it whole
        if (outcome.ok) expect(outcome.golden.digest).toBe(golden.digest);
      }),
      { numRuns: 20 },
    );
  });
});

/** Changes the text in the tar; what stands in a header gets its checksum put right, so that it is the content that is judged. */
async function swap(path: string, from: string, to: string): Promise<void> {
  const tar = zstdDecompressSync(await readFile(path));
  const at = tar.lastIndexOf(from);
  tar.write(to, at, 'latin1');
  const start = Math.floor(at / 512) * 512;
  if (to.length === 64) headerOf(`blobs/${to}`, rootfs.length).copy(tar, start);
  await writeFile(path, zstdCompressSync(tar));
}

test.each([0, 1, 511, 8 ** 11 - 1, 8 ** 11, 5e12])('a header of %d bytes is read as it was written', (bytes) => {
  expect(readFileHeader(headerOf('blobs/x', bytes))).toEqual({ name: 'blobs/x', bytes });
});

test('no block is a header but one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (block) => {
      expect(readFileHeader(Buffer.from(block))).toBeNull();
    }),
  );
  const folderEntry = headerOf('x', 0);
  folderEntry.write('5', 156, 'latin1');
  expect(readFileHeader(folderEntry)).toBeNull();
});
