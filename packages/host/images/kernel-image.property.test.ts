import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePackageRecord } from './distribution-package.ts';
import { judgeSuperblock, parseDebugfsStat } from './ext4.ts';
import { configValues, embeddedConfig, lookAtKernel } from './kernel-image.ts';
import { bzImageSample, elfSample } from './kernel-samples.ts';
import { parseOsRelease } from './kernel-package.ts';
import { kindOf } from './magic.ts';
import { parseManifest } from './manifest.ts';
import { dependsOf, parseModulesBuiltin, parseModulesDep } from './modules.ts';

function sound(bytes: Uint8Array): void {
  const look = lookAtKernel(bytes);
  if (!look.ok) expect(look.say).toMatch(/^This .*\.$/);
  kindOf(bytes);
  embeddedConfig(bytes);
  dependsOf(bytes);
}

test('arbitrary bytes never throw, and a refusal is a sentence', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), sound));
});

const seeds: readonly Buffer[] = [elfSample(), elfSample({ interpreter: true }), bzImageSample(Buffer.alloc(900, 1), 900)];

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
  const field = fc.tuple(
    fc.constantFrom(32, 40, 48, 54, 56, 64 + 8, 64 + 32, 64 + 40, 120 + 8, 120 + 24, 120 + 32, 120 + 40, 0x206, 0x20e, 0x248, 0x24c),
    fc.constantFrom(0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  );
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
  const seed = elfSample();
  const larger = Buffer.concat([Buffer.alloc(13, 9), seed]);
  expect(lookAtKernel(new Uint8Array(larger.buffer, larger.byteOffset + 13, seed.length))).toEqual(lookAtKernel(seed));
});

test('arbitrary text never breaks the text parsers', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      parseModulesDep(text);
      parseModulesBuiltin(text);
      parseOsRelease(text);
      parsePackageRecord(text);
      parseDebugfsStat(text);
      parseManifest(text);
      configValues(text, ['A']);
    }),
  );
});

test('arbitrary superblocks never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 0x700 }), fc.nat(), (bytes, size) => {
      const head = Buffer.from(bytes);
      if (head.length > 0x43a) head.writeUInt16LE(0xef53, 0x438);
      judgeSuperblock('image', head, size);
    }),
  );
});
