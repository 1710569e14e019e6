/** A container image that somebody tampered with ends in a tree or in a fault, and leaves no file but those of the scratch folder. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultError } from '@linstock/contract';
import { tarOf } from '../../tar/testing/tars.ts';
import type { TarPart } from '../../tar/testing/tars.ts';
import { normalPath } from '../tree/tree.ts';
import { treeOfImage } from './layers.ts';
import { openImage } from './layout.ts';
import { archiveOf, layoutOf, saveOf } from './testing/layouts.ts';
import type { LayoutParts } from './testing/layouts.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oci-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function sound(archive: Uint8Array): Promise<void> {
  const file = join(folder, 'image.tar');
  const scratch = join(folder, 'scratch');
  await writeFile(file, archive);
  await mkdir(scratch);
  try {
    const tree = await treeOfImage(await openImage(file), 'the image', scratch, { mostBytes: 1024 * 1024 });
    for (const { path } of tree.walk()) expect(normalPath(path)).toBe(path);
  } catch (error) {
    if (!FaultError.is(error, 'image-refused')) throw error;
  } finally {
    expect((await readdir(folder)).toSorted()).toEqual(['image.tar', 'scratch']);
    for (const name of await readdir(scratch)) expect(name).toMatch(/^layer-\d+\.tar$/);
    await rm(scratch, { recursive: true });
  }
}

const path = fc
  .array(fc.constantFrom('a', 'b', 'l', '..', '.', '', '.wh.a', '.wh.b', '.wh..wh..opq', '.wh.'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));
const part: fc.Arbitrary<TarPart> = fc.record(
  {
    name: path,
    type: fc.constantFrom('0', '0', '1', '2', '5', '3'),
    link: fc.oneof(path, fc.constantFrom('/', '/..', '/a', '../../l')),
    data: fc.string({ maxLength: 40 }),
  },
  { requiredKeys: ['name'] },
);
const image: fc.Arbitrary<LayoutParts> = fc.record({
  layers: fc.array(fc.array(part, { maxLength: 8 }), { maxLength: 4 }),
  packed: fc.constantFrom('gzip', 'zstd', 'plain'),
});

test('layers of strange entries over each other', async () => {
  await fc.assert(
    fc.asyncProperty(image, fc.boolean(), (one, saved) => sound(saved ? tarOf(saveOf(one)) : archiveOf(layoutOf([one])))),
    { numRuns: 400 },
  );
});

test('an archive with bytes changed, and cut off anywhere', async () => {
  const seeds = (['gzip', 'zstd', 'plain'] as const).map((packed) =>
    archiveOf(layoutOf([{ layers: [[{ name: 'a/b', data: 'x' }], [{ name: 'a/.wh.b' }]], packed }])),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(20_000), fc.nat(255)), { maxLength: 6 }),
      fc.nat(20_000),
      fc.boolean(),
      (seed, changes, length, cut) => {
        const bytes = Buffer.from(cut ? seed.subarray(0, length) : seed);
        for (const [index, value] of changes) if (index < bytes.length) bytes[index] = value;
        return sound(bytes);
      },
    ),
    { numRuns: 600 },
  );
});

test('documents with other values in them', async () => {
  const files = layoutOf([{ layers: [[{ name: 'a' }]] }]);
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('sha256:', -1, 2 ** 53, '../../x', null, [], {}));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('manifests', 'digest', 'size', 'mediaType', 'platform', 'annotations'), value, (key, put) => {
      const index = JSON.parse(files.get('index.json')?.toString() ?? '') as { manifests: Record<string, unknown>[] };
      if (key === 'manifests') Object.assign(index, { manifests: put });
      else Object.assign(index.manifests[0] ?? {}, { [key]: put });
      return sound(archiveOf(new Map([...files, ['index.json', Buffer.from(JSON.stringify(index))]])));
    }),
    { numRuns: 300 },
  );
});
