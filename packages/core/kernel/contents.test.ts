import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { cpioSample } from '@linstock/testkit/kernel-samples';
import { configMarkIn, configSpan, embeddedArchive, isUsualArchive } from './contents.ts';

/** As usr/initramfs_data.S lays it out: the archive, zeros up to a multiple of 8, its length. */
function embedded(archive: Buffer, before = 64): Buffer {
  const gap = (8 - ((before + archive.length) % 8)) % 8;
  const length = Buffer.alloc(8);
  length.writeUInt32LE(archive.length);
  return Buffer.concat([Buffer.alloc(before, 7), archive, Buffer.alloc(gap), length, Buffer.alloc(40, 7)]);
}
const everywhere = (bytes: Buffer) => [{ from: 0, to: bytes.length }];

test('the small archive of every kernel, and one that holds more', () => {
  const usual = embedded(cpioSample(['dev', 'dev/console', 'root']));
  const found = embeddedArchive(usual, everywhere(usual));
  expect(found).toMatchObject({ from: 64, compression: 'none', entries: 4 });
  expect(found !== null && isUsualArchive(found)).toBe(true);
  const own = embedded(cpioSample(['dev', 'init', 'bin', 'bin/sh', 'lib/modules/a.ko']), 4);
  const more = embeddedArchive(own, everywhere(own));
  expect(more).toMatchObject({ from: 4, entries: 6 });
  expect(more !== null && isUsualArchive(more)).toBe(false);
});

test('a compressed archive, whatever its length leaves over', () => {
  for (let extra = 0; extra < 8; extra++) {
    const packed = gzipSync(cpioSample(['init', `x${'y'.repeat(extra)}`]), { level: 9 });
    const file = embedded(packed);
    expect(embeddedArchive(file, everywhere(file))).toEqual({ from: 64, to: 64 + packed.length, compression: 'gzip', entries: null });
  }
});

test('no archive: bytes that look like one without the length behind them, or a length without one', () => {
  const archive = cpioSample(['init']);
  const without = Buffer.concat([archive, Buffer.alloc(64)]);
  expect(embeddedArchive(without, everywhere(without))).toBeNull();
  const onlyLength = embedded(Buffer.alloc(600, 3));
  expect(embeddedArchive(onlyLength, everywhere(onlyLength))).toBeNull();
  // a magic of two bytes and nothing of what follows it
  const chance = embedded(Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0xff]), Buffer.alloc(200, 9)]));
  expect(embeddedArchive(chance, everywhere(chance))).toBeNull();
});

test('an archive outside of what is loaded is not seen', () => {
  const file = embedded(cpioSample(['init', 'bin', 'sh', 'more']));
  expect(embeddedArchive(file, [{ from: 0, to: 64 }])).toBeNull();
});

test('the marks of IKCONFIG', () => {
  const packed = gzipSync('CONFIG_A=y\n');
  const file = Buffer.concat([Buffer.from('....IKCFG_ST'), packed, Buffer.from('IKCFG_ED....')]);
  expect(configMarkIn(file, everywhere(file))).toBe(4);
  expect(configSpan(file, 4)).toEqual({ from: 12, to: 12 + packed.length });
  // the marks as plain text, in a kernel that contains such a reader
  const text = Buffer.from('looks for IKCFG_ST and IKCFG_ED');
  expect(configMarkIn(text, everywhere(text))).toBeNull();
  expect(configSpan(Buffer.from('IKCFG_ST and no end'), 0)).toBeNull();
});
