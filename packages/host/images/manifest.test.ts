import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, parseManifest, sealManifest } from './manifest.ts';
import { aGoldenContent } from './golden-samples.ts';

test('the digest tells content and number, not the date', () => {
  const one = sealManifest(aGoldenContent(), 1, 1000);
  expect(sealManifest(aGoldenContent(), 1, 2000).digest).toBe(one.digest);
  expect(sealManifest(aGoldenContent(), 2, 1000).digest).not.toBe(one.digest);
  expect(sealManifest(aGoldenContent({ agent: true }), 1, 1000).digest).not.toBe(one.digest);
});

test('a manifest survives its file; a changed one does not', () => {
  const manifest = sealManifest(aGoldenContent(), 3, 1000);
  const text = JSON.stringify(manifest, null, 2);
  expect(parseManifest(text)).toEqual(manifest);
  expect(parseManifest(text.replace('"memoryMiB": 128', '"memoryMiB": 256'))).toBeUndefined();
  expect(parseManifest(text.slice(0, -10))).toBeUndefined();
  expect(parseManifest(text.replace('"agent"', '"agents"'))).toBeUndefined();
  expect(parseManifest(text.replace('"version": 3', '"version": 4'))).toBeUndefined();
  expect(parseManifest('null')).toBeUndefined();
});

test('canonical JSON does not depend on the order of keys', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      expect(canonicalJson(Object.fromEntries(Object.entries(value).toReversed()))).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
