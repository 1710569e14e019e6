import fc from 'fast-check';
import { test } from 'vitest';
import { parsePackageRecord } from './distribution-package.ts';
import { judgeSuperblock } from './ext4.ts';
import { parseOsRelease } from './kernel-package.ts';
import { parseManifest } from './manifest.ts';
import { dependsOf, parseModulesBuiltin, parseModulesDep } from './modules.ts';

test('arbitrary bytes never break the reader of modules', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void dependsOf(bytes)));
});

test('arbitrary text never breaks the text parsers', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      parseModulesDep(text);
      parseModulesBuiltin(text);
      parseOsRelease(text);
      parsePackageRecord(text);
      parseManifest(text);
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
