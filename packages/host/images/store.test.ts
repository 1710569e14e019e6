import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { sha256 } from '../tools/files.ts';
import { aGoldenContent } from './golden-samples.ts';
import { ImageStore, sampleOffsets } from './store.ts';

let folder: string;
let store: ImageStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
  store = new ImageStore({ folder, now: () => 1_800_000_000_000 });
  await store.open();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const adopt = (text: string | Buffer): ReturnType<ImageStore['adoptBlob']> =>
  store.exclusively(undefined, async (scratch) => {
    await writeFile(join(scratch, 'file'), text);
    return store.adoptBlob(join(scratch, 'file'));
  });

test('a blob is named by its content, read-only, and stored once', async () => {
  const one = await adopt('content');
  const two = await adopt('content');
  expect(two).toEqual(one);
  expect(one).toMatchObject({ blob: sha256('content'), bytes: 7 });
  expect((await stat(store.blobPath(one.blob))).mode & 0o777).toBe(0o444);
  expect(await readdir(join(folder, 'blobs/sha256'))).toEqual([one.blob]);
  expect(await readdir(join(folder, 'scratch'))).toEqual([]);
});

test('checks: whole, missing, truncated, zero-filled, one byte changed', async () => {
  const data = Buffer.alloc(300_000, 'x');
  const record = await adopt(data);
  const path = store.blobPath(record.blob);
  expect(await store.checkBlob(record)).toEqual({ ok: true });
  expect(await store.verifyBlob(record)).toEqual({ ok: true });
  await chmod(path, 0o644);
  await truncate(path, 100_000);
  expect(await store.checkBlob(record)).toMatchObject({
    ok: false,
    code: 'golden-damaged',
    say: expect.stringContaining('has 100000 bytes instead of 300000'),
  });
  await truncate(path, 300_000); // a power cut during a copy: right size, zeros at the end
  expect(await store.checkBlob(record)).toMatchObject({ ok: false, say: expect.stringContaining('other content') });
  data[5000] = 0; // between two sampled blocks: only the full check sees it
  await writeFile(path, data);
  expect(await store.checkBlob(record)).toEqual({ ok: true });
  expect(await store.verifyBlob(record)).toMatchObject({ ok: false, code: 'golden-damaged' });
  await rm(join(folder, 'blobs/sample', record.blob)); // without its sample the size still tells
  expect(await store.checkBlob(record)).toEqual({ ok: true });
  expect(await store.checkBlob({ ...record, bytes: 5 })).toMatchObject({ ok: false });
  await rm(path);
  expect(await store.checkBlob(record)).toMatchObject({ ok: false, say: expect.stringContaining('missing') });
  expect(await store.verifyBlob(record)).toMatchObject({ ok: false });
});

test('storing the same content again repairs a damaged blob', async () => {
  const record = await adopt('content');
  await chmod(store.blobPath(record.blob), 0o644);
  await truncate(store.blobPath(record.blob), 2);
  await adopt('content');
  expect(await store.verifyBlob(record)).toEqual({ ok: true });
});

test('samples are within the file, from its first to its last block', () => {
  for (const bytes of [1, 4096, 4097, 65_536, 1_000_003]) {
    const offsets = sampleOffsets(bytes);
    expect(offsets[0]).toBe(0);
    expect(offsets.at(-1)).toBe(Math.max(0, bytes - 4096));
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  }
});

const seal = (content = aGoldenContent()): ReturnType<ImageStore['seal']> =>
  store.exclusively(undefined, (scratch) => store.seal(content, scratch));

test('versions count up with new content, and equal content keeps its version', async () => {
  expect((await seal()).version).toBe(1);
  expect((await seal()).version).toBe(1);
  expect((await seal(aGoldenContent({ madeWith: { recipe: 'other' } }))).version).toBe(2);
  expect(await store.versions('tiny')).toEqual([1, 2]);
  expect(await store.names()).toEqual(['tiny']);
  expect(await store.golden({ name: 'tiny', version: 2 })).toMatchObject({
    ok: true,
    golden: { version: 2, createdAt: 1_800_000_000_000, madeWith: { recipe: 'other' } },
  });
  expect(await store.newest('tiny', (golden) => golden.madeWith['recipe'] === undefined)).toMatchObject({ version: 1 });
});

test('two stores on one folder sealing at once get a number each', async () => {
  const other = new ImageStore({ folder, now: () => 1 });
  const sealed = await Promise.all(
    [0, 1, 2, 3, 4, 5].map((number) =>
      (number % 2 === 0 ? store : other).exclusively(undefined, (scratch) =>
        store.seal(aGoldenContent({ madeWith: { number: String(number) } }), scratch),
      ),
    ),
  );
  expect(new Set(sealed.map((golden) => golden.version))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
});

test('a golden exists if and only if its manifest does', async () => {
  await mkdir(join(folder, 'goldens/tiny/7'), { recursive: true });
  expect(await store.versions('tiny')).toEqual([]);
  expect(await store.names()).toEqual([]);
  expect(await store.golden({ name: 'tiny', version: 7 })).toMatchObject({ ok: false, code: 'golden-not-found' });
  await writeFile(join(folder, 'goldens/tiny/7/overlay.qcow2'), 'something of somebody');
  expect((await seal()).version).toBe(8);
});

test('a damaged manifest is named, passed over by newest, and not overwritten', async () => {
  await seal();
  const path = join(folder, 'goldens/tiny/1/manifest.json');
  const text = await readFile(path, 'utf8');
  await chmod(path, 0o644);
  await writeFile(path, text.slice(0, 200));
  expect(await store.golden({ name: 'tiny', version: 1 })).toMatchObject({
    ok: false,
    code: 'golden-damaged',
    say: expect.stringContaining('manifest'),
  });
  expect(await store.newest('tiny', () => true)).toBeUndefined();
  expect((await seal()).version).toBe(2);
});

test('checkGolden names the part that is damaged', async () => {
  const kernel = await adopt('the kernel');
  const rootfs = await adopt('the root');
  const content = aGoldenContent();
  const golden = await seal({ ...content, kernel: { ...content.kernel, ...kernel }, rootfs: { ...content.rootfs, ...rootfs } });
  expect(await store.checkGolden(golden)).toEqual({ ok: true });
  expect(await store.verifyGolden(golden)).toEqual({ ok: true });
  await rm(store.blobPath(rootfs.blob));
  expect(await store.checkGolden(golden)).toMatchObject({
    ok: false,
    say: expect.stringMatching(/^The root file system of golden image tiny version 1 is damaged\. .*missing/),
  });
});

test('scratch: gone after success and failure; left-overs of ended processes are swept at the next start, those of living ones stay', async () => {
  await expect(store.exclusively(undefined, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await readdir(join(folder, 'scratch'))).toEqual([]);
  await mkdir(join(folder, 'scratch/1-1-abcdef')); // pid 1 lives, but did not start at tick 1 … and if it did, it stays
  await mkdir(join(folder, 'scratch/4194305-77-abcdef')); // above the largest pid
  await mkdir(join(folder, 'scratch/strange'));
  await store.exclusively(undefined, async (scratch) => {
    await new ImageStore({ folder, now: () => 0 }).open();
    const left = await readdir(join(folder, 'scratch'));
    expect(left).toContain(scratch.slice(scratch.lastIndexOf('/') + 1));
    expect(left).not.toContain('4194305-77-abcdef');
    expect(left).not.toContain('strange');
  });
});

test('work is done one after the other, also after a failure, and an aborted turn does nothing', async () => {
  const order: string[] = [];
  const controller = new AbortController();
  const turns = [
    store.exclusively(undefined, async () => {
      order.push('a begins');
      await readdir(folder);
      order.push('a ends');
      throw new Error('a');
    }),
    store.exclusively(controller.signal, async () => {
      order.push('b');
      await Promise.resolve();
    }),
    store.exclusively(undefined, async () => {
      order.push('c');
      await Promise.resolve();
    }),
  ];
  controller.abort();
  expect((await Promise.allSettled(turns)).map((turn) => turn.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  expect(order).toEqual(['a begins', 'a ends', 'c']);
});

test('a blob that is held is young again', async () => {
  const [held, left] = [await adopt('held'), await adopt('left')];
  const adopted = Date.now();
  await eventually(() => Date.now() > adopted + 50);
  expect(await store.hold(held)).toBe(true);
  const anHourAfter = new ImageStore({ folder, now: () => adopted + 3_600_000 + 20 });
  expect((await anHourAfter.dropUnused()).dropped).toEqual([left.blob]);
  expect([await store.hold(held), await store.hold(left)]).toEqual([true, false]);
});

test('a version that is dropped takes what only it is made of, and its number with it', async () => {
  const later = new ImageStore({ folder, now: () => Date.now() + 2 * 3_600_000 });
  const [kernel, one, two] = [await adopt('kernel'), await adopt('rootfs one'), await adopt('rootfs two')];
  const content = aGoldenContent();
  const sealed = (rootfs: typeof one): ReturnType<ImageStore['seal']> =>
    store.exclusively(undefined, (scratch) =>
      store.seal({ ...content, initrd: null, kernel: { ...content.kernel, ...kernel }, rootfs: { ...content.rootfs, ...rootfs } }, scratch),
    );
  const first = await sealed(one);
  const second = await sealed(two);
  await new ImageStore({ folder, now: Date.now }).drop(first); // its blobs are young: a build elsewhere may be about to use them
  expect(await store.versions(content.name)).toEqual([second.version]);
  expect((await readdir(join(folder, 'blobs/sha256'))).length).toBe(3);
  await later.drop(first);
  await later.drop({ ...second, digest: first.digest }); // another content: not what was asked for
  expect(await store.versions(content.name)).toEqual([second.version]);
  const third = await sealed(one);
  expect(third.version).toBe(3);
  await later.drop(third);
  expect((await readdir(join(folder, 'blobs/sha256'))).toSorted()).toEqual([kernel.blob, two.blob].toSorted());
  expect(await readdir(join(folder, 'blobs/sample'))).toHaveLength(2);
  expect(await store.checkGolden(second)).toEqual({ ok: true });
});
