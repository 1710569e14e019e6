import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Layers } from './layers.ts';

let images: string;
let now = 1_000_000;
let layers: Layers;
beforeEach(async () => {
  images = await mkdtemp(join(tmpdir(), 'layers-'));
  layers = new Layers({ images, now: () => now });
});
afterEach(() => rm(images, { recursive: true }));

async function kept(spec: string, made: Record<string, string> = {}): Promise<string> {
  now += 10_000;
  await writeFile(join(images, 'new.tar'), `layer of ${spec}`);
  return (await layers.keep(join(images, 'new.tar'), { spec, made })).record.key;
}

test('a layer is found by its key, and the newest by the wish', async () => {
  const old = await kept('a', { p: '1' });
  const key = await kept('a', { p: '2' });
  expect(await layers.withKey(old)).toMatchObject({ made: { p: '1' } });
  expect((await layers.newestFor('a'))?.key).toBe(key);
  expect(await layers.newestFor('b')).toBeUndefined();
  expect(await kept('a', { p: '2' })).toBe(key);
  const given = join(images, 'new.tar');
  await writeFile(given, 'made anew');
  expect(await layers.keep(given, { spec: 'a', made: { p: '2' } })).toMatchObject({ record: { key }, tar: given });
});

test('half a layer is none: a record that cannot be read, an archive of another size or none', async () => {
  const [one, two, three] = [await kept('a'), await kept('b'), await kept('c')];
  await writeFile(join(images, 'layers', `${one}.json`), '{"key":');
  await writeFile(layers.tar(two), 'cut');
  await rm(layers.tar(three));
  for (const key of [one, two, three]) expect(await layers.withKey(key)).toBeUndefined();
  expect(await kept('b')).toBe(two);
  expect(await layers.withKey(two)).toBeDefined();
});

test('only the few that were used last are kept', async () => {
  const keys = [await kept('a'), await kept('b'), await kept('c'), await kept('d')];
  now += 10_000;
  await layers.withKey(keys[0] ?? '');
  const last = await kept('e');
  const left = (await readdir(join(images, 'layers'))).filter((name) => name.endsWith('.tar'));
  expect(left.toSorted()).toEqual([keys[0], keys[2], keys[3], last].map((key) => `${key}.tar`).toSorted());
});

test('programs that were compiled before', async () => {
  expect(await layers.program('source:x')).toBeUndefined();
  await layers.keepProgram('source:x', Buffer.from('program'));
  expect((await layers.program('source:x'))?.toString()).toBe('program');
});
