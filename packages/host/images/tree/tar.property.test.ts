/** Whatever bytes are called an archive: reading them ends, with a tree that no name leads out of, or with a fault that is a sentence. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultError } from '@linstock/contract';
import { parsePax, paxRecord } from '../../tar/pax.ts';
import { treeFromTar } from './from-tar.ts';
import { tarOf } from '../../tar/testing/tars.ts';
import type { TarPart } from '../../tar/testing/tars.ts';
import { normalPath, sizeOf } from './tree.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tar-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function sound(bytes: Uint8Array): Promise<void> {
  const file = join(folder, 'archive.tar');
  await writeFile(file, bytes);
  try {
    const tree = await treeFromTar(file, 'The archive');
    for (const { path, node } of tree.walk()) {
      expect(normalPath(path)).toBe(path);
      if (node.kind !== 'file' || node.data instanceof Uint8Array) continue;
      expect(node.data.at + sizeOf(node.data)).toBeLessThanOrEqual(bytes.length);
    }
  } catch (error) {
    if (!FaultError.is(error, 'image-refused')) throw error;
    expect(error.message).toMatch(/^[A-Z"].*\.$/s);
  }
}

const name = fc.oneof(
  fc.constantFrom('a', 'a/b', '../x', '/', '', '.', './a', 'a/', 'l', 'l/x', 'l/../../x', 'dev/null', '\u202e', 'a\\b'),
  fc.string({ maxLength: 120 }),
);
const part: fc.Arbitrary<TarPart> = fc.record(
  {
    name,
    prefix: name,
    type: fc.constantFrom('0', '\0', '1', '2', '3', '4', '5', '6', '7', 'x', 'g', 'L', 'K', 'S', 'V', '?'),
    link: name,
    data: fc.oneof(
      fc.string({ maxLength: 600 }),
      fc
        .tuple(
          fc.constantFrom('path', 'linkpath', 'size', 'uid', 'mtime', 'SCHILY.xattr.user.a', 'GNU.sparse.major', ''),
          fc.oneof(name, fc.constantFrom('-1', '1e9', '99999999999999')),
        )
        .map(([key, value]) => paxRecord(key, Buffer.from(value)).toString()),
    ),
    size: fc.constantFrom(0, 1, 511, 512, 513, 8_589_934_591),
  },
  { requiredKeys: ['name'] },
);

test('archives of strange entries', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 12 }), (parts) => sound(tarOf(parts))),
    { numRuns: 1_500 },
  );
});

test('a sound archive with bytes changed and cut off anywhere', async () => {
  const seed = tarOf([
    {
      name: 'x',
      type: 'x',
      data: Buffer.concat([
        paxRecord('path', Buffer.from('usr/lib/é')),
        paxRecord('SCHILY.xattr.security.capability', Buffer.from([1, 2, 3])),
      ]),
    },
    { name: 'cut', data: 'some bytes' },
    { name: 'lib', type: '2', link: 'usr/lib' },
    { name: 'lib/second', type: '1', link: 'usr/lib/é' },
    { name: '././@LongLink', type: 'L', data: 'n'.repeat(200) },
    { name: 'n', data: 'y'.repeat(700) },
  ]);
  const change = fc.tuple(fc.nat(seed.length - 1), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.nat(seed.length), fc.boolean(), async (changes, length, cut) => {
      const bytes = Buffer.from(cut ? seed.subarray(0, length) : seed);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      await sound(bytes);
    }),
    { numRuns: 1_500 },
  );
});

test('arbitrary bytes', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3_000 }), sound));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parsePax(Buffer.from(bytes))));
});
