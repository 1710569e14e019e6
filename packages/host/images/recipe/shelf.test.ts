import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RootfsRecord } from '@linstock/contract';
import { sha256 } from '../../tools/files.ts';
import { aGoldenContent } from '../golden-samples.ts';
import { ImageStore } from '../store.ts';
import { RootfsShelf } from './shelf.ts';

let folder: string;
let now: number;
let store: ImageStore;
let shelf: RootfsShelf;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rootfs-shelf-'));
  now = Date.now();
  store = new ImageStore({ folder, now: () => now });
  await store.open();
  shelf = new RootfsShelf(store);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const HOURS = 3 * 3_600_000;
const blobs = (): Promise<string[]> => readdir(join(folder, 'blobs/sha256'));

async function put(name: string, content: string, modules?: string): Promise<RootfsRecord> {
  const file = join(folder, 'scratch/image');
  await writeFile(file, content);
  const blob = await store.adoptBlob(file);
  const record: RootfsRecord = {
    schema: 1,
    name,
    digest: sha256(`${name} ${content}`),
    createdAt: (now += 1),
    rootfs: { ...blob, fstype: 'ext4', virtualBytes: 4096 },
    madeWith: { recipe: content, ...(modules === undefined ? {} : { modules }) },
    from: 'scratch',
    packages: null,
    init: '/init',
    initIs: 'other',
    agent: false,
    ports: [],
    bootArgs: { add: [], replace: [], remove: [] },
    machine: { vcpus: 1, memoryMiB: 128 },
  };
  await shelf.put(record);
  return record;
}

test('the newest of each name and kernel stays, also when no golden version is made of it; what it took the place of goes', async () => {
  const old = await put('base', 'old');
  const kept = [await put('base', 'new'), await put('base', 'with modules', '6.1 a'), await put('web', 'web')];
  now += HOURS;
  expect((await store.dropUnused()).dropped).toEqual([old.rootfs.blob]);
  expect((await blobs()).toSorted()).toEqual(kept.map(({ rootfs }) => rootfs.blob).toSorted());
  expect((await shelf.all()).map(({ digest }) => digest)).toEqual(kept.map(({ digest }) => digest).toReversed());
});

test('what a golden version is made of is not deleted; what none is goes with its records', async () => {
  const record = await put('base', 'image');
  const golden = await store.withScratch((scratch) => store.seal({ ...aGoldenContent(), rootfs: record.rootfs }, scratch));
  now += HOURS;
  await expect(shelf.delete('base')).rejects.toThrow(
    `The root file system base is that of ${golden.name}@1. Delete that golden version first.`,
  );
  await store.drop(golden);
  expect(await blobs()).toEqual([record.rootfs.blob]);
  expect(await shelf.delete('base')).toEqual({ deleted: 'base', images: 1, freedBytes: record.rootfs.bytes, young: 0 });
  expect([await blobs(), await shelf.all()]).toEqual([[], []]);
  await expect(shelf.delete('base')).rejects.toThrow('There is no root file system base.');
  await expect(shelf.delete('../goldens')).rejects.toThrow('There is no root file system');
});

test('a young image stays for now, and that is said', async () => {
  await put('base', 'image');
  expect(await shelf.delete('base')).toMatchObject({ freedBytes: 0, young: 1 });
});
