import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exec } from '../tools/exec.ts';
import { unpackLz4Legacy } from './lz4-legacy.ts';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIMIT = 1024 * 1024;
const legacy = (...blocks: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), ...blocks.flatMap((block) => [u32(block.length), block])]);
function u32(value: number): Buffer {
  const four = Buffer.alloc(4);
  four.writeUInt32LE(value);
  return four;
}

test('literals, an overlapping copy, last literals', () => {
  // token 0x30: 3 literals "abc", copy of 4+0 from distance 3; then 0x20: 2 literals "xy"
  const block = Buffer.from([0x30, 0x61, 0x62, 0x63, 3, 0, 0x20, 0x78, 0x79]);
  expect(unpackLz4Legacy(legacy(block), LIMIT, 9)?.toString()).toBe('abcabcaxy');
  expect(unpackLz4Legacy(Buffer.concat([legacy(block), u32(9)]), LIMIT, 9)?.toString()).toBe('abcabcaxy');
});

test.each([
  ['a distance before the beginning', Buffer.from([0x10, 0x61, 9, 0, 0])],
  ['distance zero', Buffer.from([0x10, 0x61, 0, 0, 0])],
  ['literals past the end', Buffer.from([0xf0, 0xff, 0xff, 0x10])],
  ['nothing', Buffer.alloc(0)],
])('damaged: %s', (_what, block) => {
  expect(unpackLz4Legacy(legacy(block), LIMIT, 5)).toBeUndefined();
});

test('more than the limit is refused before memory is taken', () => {
  expect(unpackLz4Legacy(legacy(Buffer.from([0x10, 0x61])), LIMIT, LIMIT + 1)).toBeUndefined();
});

test('arbitrary bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(2000), (bytes, size) => {
      const out = unpackLz4Legacy(legacy(Buffer.from(bytes)), LIMIT, size);
      expect(out === undefined || out.length === size).toBe(true);
    }),
  );
});

test('what the lz4 program packs comes back', async ({ skip }) => {
  const folder = await mkdtemp(join(tmpdir(), 'lz4-'));
  try {
    const data = Buffer.from(Array.from({ length: 40_000 }, (_, index) => `line ${index % 97} ${index}\n`).join(''));
    await writeFile(join(folder, 'in'), data);
    const packed = await exec(['lz4', '-l', '-9', '-q', join(folder, 'in'), join(folder, 'out')], { timeoutMs: 20_000 });
    skip(packed.spawnError === 'ENOENT', 'the lz4 program is not installed');
    expect(packed.code).toBe(0);
    expect(unpackLz4Legacy(await readFile(join(folder, 'out')), LIMIT * 8, data.length)?.equals(data)).toBe(true);
  } finally {
    await rm(folder, { recursive: true });
  }
});
