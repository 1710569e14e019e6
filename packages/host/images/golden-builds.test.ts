import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GoldenOrder } from '@linstock/contract';
import { GoldenBuilds } from './golden-builds.ts';
import { aGoldenContent } from './golden-samples.ts';
import { ImageStore } from './store.ts';

let folder: string;
let now: number;
let store: ImageStore;
let builds: GoldenBuilds;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'builds-'));
  now = 1_700_000_000_000;
  store = new ImageStore({ folder, now: () => now });
  await store.open();
  builds = new GoldenBuilds(store, () => now);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const order: GoldenOrder = { recipe: 'tiny', cwd: '/', name: null, kernel: null, use: 'as-built' };
type Work = Parameters<typeof builds.during<string>>[1];
const during = (work: Work, o: { order?: GoldenOrder; signal?: AbortSignal } = {}): Promise<string> =>
  builds.during({ name: async () => 'tiny', order, by: 'me', signal: undefined, ...o }, work);
const states = async (): Promise<string[]> => (await builds.all()).map((one) => `${one.name}@${one.version} ${one.state}: ${one.why}`);
const sealed = (taken: { name: string; version: number }, vcpus = 1): Promise<{ version: number }> =>
  store.withScratch((scratch) =>
    store.seal({ ...aGoldenContent(), machine: { vcpus, memoryMiB: 128, leastMemoryMiB: 96 } }, scratch, taken),
  );

test('a version is there from the start of its build, and is one when its manifest is', async () => {
  const done = await during(async (begin) => {
    const taken = await begin(join(folder, 'scratch'));
    expect(await begin(join(folder, 'scratch'))).toBe(taken);
    expect(await builds.all()).toEqual([
      { name: 'tiny', version: 1, state: 'building', why: null, by: 'me', startedAt: now, endedAt: null, order },
    ]);
    expect(await store.versions('tiny')).toEqual([]);
    expect(await sealed(taken)).toMatchObject({ version: 1 });
    expect(await builds.all()).toEqual([]);
    return 'done';
  });
  expect([done, await store.versions('tiny'), await readdir(join(folder, 'goldens/tiny/1'))]).toEqual(['done', [1], ['manifest.json']]);
});

test('what finds nothing to build takes no number; what finds nothing new gives it back', async () => {
  await during(async () => 'as it was');
  expect(await readdir(join(folder, 'goldens'))).toEqual([]);
  await during(async (begin) => `${(await sealed(await begin(join(folder, 'scratch')))).version}`);
  expect(await during(async (begin) => `${(await sealed(await begin(join(folder, 'scratch')))).version}`)).toBe('1');
  expect(await readdir(join(folder, 'goldens/tiny'))).toEqual(['1']);
});

test('a build that failed says why and keeps its number, also when it is deleted', async () => {
  const failing = during(async (begin) => {
    await begin(join(folder, 'scratch'));
    throw new Error('no room');
  });
  await expect(failing).rejects.toThrow('no room');
  expect(await states()).toEqual(['tiny@1 failed: no room']);
  await builds.forget({ name: 'tiny', version: 1 });
  expect(await states()).toEqual([]);
  expect(await during(async (begin) => `${(await begin(join(folder, 'scratch'))).version}`)).toBe('2');
});

test('an interrupted build goes on under its number with the same order only', async () => {
  const stop = new AbortController();
  const stopped = during(
    async (begin) => {
      await begin(join(folder, 'scratch'));
      stop.abort(new Error('enough'));
      throw stop.signal.reason;
    },
    { signal: stop.signal },
  );
  await expect(stopped).rejects.toThrow('enough');
  expect(await states()).toEqual(['tiny@1 interrupted: enough']);
  const number = (o: { order?: GoldenOrder } = {}): Promise<string> =>
    during(async (begin) => `${(await sealed(await begin(join(folder, 'scratch')), o.order === undefined ? 1 : 2)).version}`, o);
  expect(await number({ order: { ...order, use: 'fresh' } })).toBe('2');
  expect(await number()).toBe('1');
});

test('a build whose process is gone is interrupted; a record that cannot be read is none, and its number stays taken', async () => {
  await builds.begin({ name: 'tiny', order, by: 'me', scratch: join(folder, 'scratch') });
  const path = join(folder, 'goldens/tiny/1/build.json');
  const record = JSON.parse(await readFile(path, 'utf8')) as object;
  await rm(path);
  await writeFile(path, JSON.stringify({ ...record, owner: '1-1' }));
  expect(await states()).toEqual(['tiny@1 interrupted: whoever built it has ended without a word']);
  await rm(path);
  await writeFile(path, '{');
  expect(await states()).toEqual([]);
  expect(await builds.begin({ name: 'tiny', order, by: 'me', scratch: join(folder, 'scratch') })).toEqual({ name: 'tiny', version: 2 });
});
