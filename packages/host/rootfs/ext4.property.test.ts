/** No bytes of an image make the reader throw, go on for ever, or read elsewhere. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lintContextOf } from '@linstock/core';
import type { Unreadable } from '@linstock/core';
import { BufferSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { openExt4 } from './ext4-backend.ts';
import { lintRootfs } from './lint.ts';
import { smallImage } from './testing/small-images.ts';
import { walk } from './testing/walk.ts';
import { BackedTree } from './tree.ts';

/** Counts what is read, and holds it against the file. */
class Counted implements ByteSource {
  reads = 0;
  readonly bytes: number;
  readonly #source: BufferSource;
  constructor(image: Buffer) {
    this.#source = new BufferSource(image);
    this.bytes = image.length;
  }
  read(offset: number, length: number): Promise<Buffer | Unreadable> {
    this.reads += 1;
    return this.#source.read(offset, length);
  }
}

/** Looks at all that can be reached, and lints it. */
async function lookAtAll(image: Buffer): Promise<number> {
  const source = new Counted(image);
  const opened = await openExt4(source);
  if (!opened.ok) return source.reads;
  const inside = { tree: new BackedTree(opened.backend), keptIn: 'image' as const, fileSystem: opened.facts };
  await walk(inside.tree, 2_000);
  const context = lintContextOf({ commandLine: 'console=ttyS0 ip={ip}', ip: null, kernel: null, ports: [6080] });
  const { findings } = await lintRootfs(inside, context);
  expect(findings.length).toBeLessThan(200);
  return source.reads;
}

/** The tables and folders stand in the first blocks: changes there do more than changes in contents. */
const place = fc.oneof({ weight: 2, arbitrary: fc.integer({ min: 1024, max: 40 * 1024 }) }, fc.integer({ min: 0, max: 200 * 1024 - 1 }));
const byte = fc.oneof(fc.constantFrom(0, 1, 2, 11, 12, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
const changes = fc.array(fc.tuple(place, byte), { minLength: 1, maxLength: 30 });

test.each(['ext4', 'ext2'] as const)('changed bytes of a small %s image', async (kind) => {
  const image = smallImage(kind);
  await fc.assert(
    fc.asyncProperty(changes, async (given) => {
      const changed = Buffer.from(image);
      for (const [at, value] of given) changed[at] = value;
      // A sound image takes some hundred reads; a sick one may cost more, and never goes on.
      expect(await lookAtAll(changed)).toBeLessThan(1_000_000);
    }),
    { numRuns: 250 },
  );
});

test.each(['ext4', 'ext2'] as const)('a small %s image cut anywhere, or with a part of it twice', async (kind) => {
  const image = smallImage(kind);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: image.length }),
      fc.integer({ min: 0, max: 199 }),
      fc.integer({ min: 0, max: 199 }),
      async (cut, from, to) => {
        await lookAtAll(image.subarray(0, cut));
        const copied = Buffer.from(image);
        image.copy(copied, to * 1024, from * 1024, (from + 1) * 1024);
        await lookAtAll(copied);
      },
    ),
    { numRuns: 100 },
  );
});

test('bytes that are no image', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), async (bytes) => {
      await lookAtAll(Buffer.from(bytes));
    }),
  );
});
