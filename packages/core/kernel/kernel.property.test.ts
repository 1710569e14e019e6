import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arm64Sample, bzImageSample, elfSample, zbootSample } from '@linstock/testkit/kernel-samples';
import { kindOf } from '../magic.ts';
import { readBanner, versionOfRelease } from './banner.ts';
import { configValue, readConfigText, whyNotOf } from './config-text.ts';
import { configMarkIn, configSpan, embeddedArchive, isUsualArchive, without } from './contents.ts';
import { lookAtKernel } from './image.ts';
import { findNeedles, LEAST_NEEDLE_BYTES } from './needles.ts';

function sound(bytes: Uint8Array): void {
  const look = lookAtKernel(bytes);
  if (!look.ok) expect(look.say).toMatch(/^This .*\.$/);
  kindOf(bytes);
  const everywhere = [{ from: 0, to: bytes.length }];
  const archive = embeddedArchive(bytes, everywhere);
  if (archive !== null) {
    expect(archive.from).toBeGreaterThanOrEqual(0);
    expect(archive.to).toBeLessThanOrEqual(bytes.length);
    isUsualArchive(archive);
  }
  const mark = configMarkIn(bytes, everywhere);
  if (mark !== null) configSpan(bytes, mark);
}

test('arbitrary bytes never throw, and a refusal is a sentence', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), sound));
});

const seeds: readonly Buffer[] = [
  elfSample(),
  elfSample({ interpreter: true }),
  bzImageSample(Buffer.alloc(900, 1), 900),
  arm64Sample(),
  zbootSample(gzipSync(arm64Sample())),
];

test('kernels with bytes changed, cut off anywhere, never throw', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(4000), fc.integer({ min: 0, max: 255 })), { maxLength: 20 }),
      fc.nat(4000),
      (seed, changes, length) => {
        const bytes = Buffer.from(seed.subarray(0, Math.max(length, seed.length - length)));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        sound(bytes);
      },
    ),
    { numRuns: 1000 },
  );
});

test('header fields with extreme numbers never throw', () => {
  const elf = [16, 32, 36, 40, 48, 54, 56, 64 + 8, 64 + 32, 64 + 36, 64 + 40, 120 + 8, 120 + 12, 120 + 24, 120 + 32, 120 + 40];
  const others = [8, 12, 0x3c, 0x1f1, 0x206, 0x20e, 0x236, 0x248, 0x24c];
  const field = fc.tuple(fc.constantFrom(...elf, ...others), fc.constantFrom(0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff));
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(field, { maxLength: 6 }), (seed, fields) => {
      const bytes = Buffer.from(seed);
      for (const [at, value] of fields) if (at + 4 <= bytes.length) bytes.writeUInt32LE(value, at);
      sound(bytes);
    }),
    { numRuns: 1000 },
  );
});

test('a view into a larger buffer is read from its own beginning', () => {
  for (const seed of seeds) {
    const larger = Buffer.concat([Buffer.alloc(13, 9), seed]);
    expect(lookAtKernel(new Uint8Array(larger.buffer, larger.byteOffset + 13, seed.length))).toEqual(lookAtKernel(seed));
  }
});

test('whatever is looked for is found where it is, as indexOf finds it', () => {
  const letters = fc.constantFrom('a', 'b', '\0', '\xff');
  const needle = fc.string({ unit: letters, minLength: LEAST_NEEDLE_BYTES, maxLength: 20 });
  fc.assert(
    fc.property(
      fc.uniqueArray(needle, { minLength: 1, maxLength: 5 }),
      fc.array(fc.oneof(fc.nat(4), fc.string({ unit: letters, maxLength: 12 })), { maxLength: 12 }),
      fc.nat(9),
      (needles, parts, offset) => {
        const text = parts.map((part) => (typeof part === 'number' ? (needles[part] ?? 'b') : part)).join('');
        const all = Buffer.from(`${'\x01'.repeat(offset)}${text}`, 'latin1');
        const bytes = all.subarray(offset);
        const found = findNeedles(bytes, needles, [{ from: 0, to: bytes.length }]);
        for (const one of needles) expect(found.get(one)?.[0] ?? -1).toBe(bytes.indexOf(one, 0, 'latin1'));
        const to = Math.floor(bytes.length / 2);
        const half = findNeedles(bytes, needles, [{ from: 3, to }]);
        for (const one of needles) expect(half.get(one)?.[0] ?? -1).toBe(indexWithin(bytes, one, 3, to));
      },
    ),
    { numRuns: 500 },
  );
});

function indexWithin(bytes: Buffer, text: string, from: number, to: number): number {
  const at = bytes.subarray(0, Math.max(from, to)).indexOf(text, from, 'latin1');
  return from > to ? -1 : at;
}

test('a needle that could slip through is refused', () => {
  expect(() => findNeedles(Buffer.alloc(10), ['short'], [])).toThrow('too short');
});

test('ranges without a hole cover the same bytes but those of the hole', () => {
  const range = fc.tuple(fc.nat(50), fc.nat(50)).map(([from, bytes]) => ({ from, to: from + bytes }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), range, (ranges, hole) => {
      const covers = (list: readonly { from: number; to: number }[], at: number): boolean =>
        list.some(({ from, to }) => at >= from && at < to);
      for (let at = 0; at < 110; at++)
        expect(covers(without(ranges, hole), at)).toBe(covers(ranges, at) && !(at >= hole.from && at < hole.to));
    }),
  );
});

test('arbitrary text never breaks the readers of banners and configurations', () => {
  const word = fc.constantFrom(
    'Linux version ',
    '6.1.0',
    '(',
    ')',
    '@',
    '#1',
    ' SMP',
    '# CONFIG_',
    ' is not set',
    'CONFIG_A=',
    '"',
    '\\',
    '\n',
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
  );
  fc.assert(
    fc.property(text, (any) => {
      const banner = readBanner(any);
      const config = readConfigText(any);
      configValue(config, 'A');
      versionOfRelease(any);
      if (banner !== null) whyNotOf(config, banner, 'x86-64');
    }),
    { numRuns: 500 },
  );
});

test('a configuration reads back as it was written', () => {
  const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/);
  const value = fc.oneof(fc.constantFrom('y', 'm', 'n'), fc.stringMatching(/^[ -~]{0,20}$/));
  fc.assert(
    fc.property(fc.dictionary(name, value, { noNullPrototype: true }), (values) => {
      const lines = Object.entries(values).map(([key, set]) =>
        set === 'n' ? `# CONFIG_${key} is not set` : `CONFIG_${key}=${/^[ym]$/.test(set) ? set : JSON.stringify(set)}`,
      );
      expect(Object.fromEntries(readConfigText(`# Linux/x86 6.1.99 Kernel Configuration\n${lines.join('\n')}\n`).values)).toEqual(values);
    }),
  );
});
