import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { arm64Sample, bzImageSample, elfSample, zbootSample } from '@linstock/testkit/kernel-samples';
import { lookAtKernel } from './image.ts';

test('an ELF kernel: banner, release, PVH entry, segments, highest end', () => {
  const sample = elfSample();
  expect(lookAtKernel(sample)).toMatchObject({
    ok: true,
    kernel: {
      format: 'elf',
      arch: 'x86-64',
      banner: { text: 'Linux version 6.1.99-test (someone@somewhere) #1 SMP', release: '6.1.99-test' },
      entry: 0x100_0000n,
      pvhEntry: 0x100_0000,
      highestLoadEndBytes: 0x1e1_0000,
    },
  });
  expect(lookAtKernel(elfSample({ note: false }))).toMatchObject({ ok: true, kernel: { pvhEntry: null } });
  // a name of five bytes is not "Xen"
  const longer = Buffer.from(sample);
  longer.writeUInt32LE(5, longer.indexOf('Xen\0') - 12);
  expect(lookAtKernel(longer)).toMatchObject({ ok: true, kernel: { pvhEntry: null } });
  expect(lookAtKernel(elfSample({ machine: 183 }))).toMatchObject({ ok: true, kernel: { arch: 'arm64' } });
});

test('of two banners the one that is printed counts (Debian 6.1 has an early one without the build number)', () => {
  const banner = 'Linux version 6.1.0-56-cloud-amd64 (gcc) # SMP Debian\n\0Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian\n';
  expect(lookAtKernel(elfSample({ banner }))).toMatchObject({
    kernel: { banner: { text: 'Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian' } },
  });
});

test('a banner that lies across two pieces of the search is found', () => {
  const piece = 4 * 1024 * 1024;
  const sample = elfSample({ loadFileBytes: piece + 1000 });
  const file = Buffer.concat([Buffer.alloc(piece + 2000)]);
  sample.subarray(0, 400).copy(file);
  file.fill(0, 176, 400);
  file.write('Linux version 5.10.1 (a@b) (gcc) #7 SMP\n', piece + 170, 'latin1');
  expect(lookAtKernel(file)).toMatchObject({ ok: true, kernel: { banner: { release: '5.10.1' } } });
});

test('a bzImage: protocol, banner, entries, where its compressed part is', () => {
  const payload = gzipSync(elfSample());
  expect(lookAtKernel(bzImageSample(payload, 123, { appendSize: false }))).toMatchObject({
    ok: true,
    kernel: {
      format: 'bzImage',
      arch: 'x86-64',
      protocol: '2.15',
      banner: { release: '6.1.99-test', compiler: null, user: 'someone', buildNumber: '1' },
      setupSectors: 3,
      entry64: true,
      efiStub: false,
      payload: { offset: 2112, bytes: payload.length, compression: 'gzip' },
    },
  });
});

test('an arm64 Image and an EFI zboot image', () => {
  expect(lookAtKernel(arm64Sample())).toMatchObject({
    ok: true,
    kernel: { format: 'arm64 Image', arch: 'arm64', efiStub: true, banner: { release: '6.1.99-test' } },
  });
  const payload = gzipSync(arm64Sample());
  expect(lookAtKernel(zbootSample(payload))).toMatchObject({
    ok: true,
    kernel: { format: 'EFI zboot', arch: 'arm64', payload: { bytes: payload.length, compression: 'gzip' } },
  });
});

const text = (value: string): Buffer => Buffer.from(value);
const ext4 = Buffer.alloc(0x500);
ext4.writeUInt16LE(0xef53, 0x438);
const riscv = Buffer.alloc(128);
riscv.write('RSC\x05', 0x38, 'latin1');

test.each([
  ['empty', Buffer.alloc(0), 'an empty file'],
  ['script', text('#!/bin/sh\n'), 'a script'],
  ['gzip', gzipSync('x'), 'gzip-compressed data'],
  ['cpio archive', text('070701000'), 'cpio archive'],
  ['ext file system', ext4, 'ext2/3/4'],
  ['text', text('<html>not found</html>'), 'a text file'],
  ['zeros', Buffer.alloc(4096), 'zeros'],
  ['Debian package', text('!<arch>\ndebian-binary   '), 'Debian package'],
  ['RISC-V Image', riscv, 'RISC-V'],
  ['EFI program', text('MZ and more'), 'an EFI program'],
  ['qcow2 disk', Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), 'qcow2'],
  ['unknown', Buffer.from([1, 2, 3]), 'none of the known kinds'],
] as const)('not a kernel: %s', (looksLike, bytes, words) => {
  const look = lookAtKernel(bytes);
  expect(look).toMatchObject({ ok: false, looksLike });
  expect(look.ok ? '' : look.say).toContain(words);
});

test.each([
  ['a kernel module', elfSample({ type: 1 }), 'kernel module'],
  ['an ordinary program', elfSample({ banner: 'hello', interpreter: true }), 'ordinary program'],
  ['another ELF file', elfSample({ banner: 'hello' }), 'Linux version'],
  ['a cut-off ELF kernel', elfSample({ loadFileBytes: 100_000 }), 'cut short'],
  ['an ELF header only', elfSample().subarray(0, 64), 'cut short'],
  ['half an ELF header', elfSample().subarray(0, 30), 'cut short'],
  ['32-bit ELF', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(100)]), '64-bit'],
  ['a cut-off bzImage', bzImageSample(Buffer.alloc(5000), 1).subarray(0, 4000), 'cut short'],
  ['a bzImage header only', bzImageSample(Buffer.alloc(5000), 1).subarray(0, 0x220), 'cut short'],
  ['a cut-off zboot image', zbootSample(gzipSync(Buffer.alloc(5000, 'abc'))).subarray(0, 0x60), 'cut short'],
  ['an arm64 Image without its end', arm64Sample().subarray(0, 100), 'cut short'],
])('%s is refused with the reason', (_what, bytes, words) => {
  const look = lookAtKernel(bytes);
  expect(look.ok).toBe(false);
  expect(look.ok ? '' : look.say).toContain(words);
});
