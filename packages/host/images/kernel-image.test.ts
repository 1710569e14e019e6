import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { exec } from '../tools/exec.ts';
import { configValues, embeddedConfig, lookAtKernel } from './kernel-image.ts';
import { bzImageSample, elfSample } from './kernel-samples.ts';
import { pipeThrough, unpackKernel } from './kernel-unpack.ts';

test('an ELF kernel: banner, release, PVH note, highest segment', () => {
  expect(lookAtKernel(elfSample())).toEqual({
    ok: true,
    kernel: {
      format: 'elf',
      banner: 'Linux version 6.1.99-test (someone@somewhere) #1 SMP',
      release: '6.1.99-test',
      entry: 0x100_0000n,
      pvhNote: true,
      highestLoadEndBytes: 0x1e1_0000,
    },
  });
  expect(lookAtKernel(elfSample({ note: false }))).toMatchObject({ ok: true, kernel: { pvhNote: false } });
});

test('of two banners the one that is printed counts (Debian 6.1 has an early one without the build number)', () => {
  const banner = 'Linux version 6.1.0-56-cloud-amd64 (gcc) # SMP Debian\n\0Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian\n';
  expect(lookAtKernel(elfSample({ banner }))).toMatchObject({
    kernel: { banner: 'Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP Debian' },
  });
});

test('a bzImage: protocol, banner, where its compressed part is', () => {
  const payload = gzipSync(elfSample());
  expect(lookAtKernel(bzImageSample(payload, 123, { appendSize: false }))).toMatchObject({
    ok: true,
    kernel: {
      format: 'bzImage',
      protocol: '2.15',
      release: '6.1.99-test',
      setupSectors: 3,
      payload: { offset: 2112, bytes: payload.length, compression: 'gzip' },
    },
  });
});

const text = (value: string): Buffer => Buffer.from(value);
const ext4 = Buffer.alloc(0x500);
ext4.writeUInt16LE(0xef53, 0x438);
const arm64 = Buffer.alloc(128);
arm64.write('ARM\x64', 0x38, 'latin1');

test.each([
  ['empty', Buffer.alloc(0), 'an empty file'],
  ['script', text('#!/bin/sh\n'), 'a script'],
  ['gzip', gzipSync('x'), 'gzip-compressed data'],
  ['cpio archive', text('070701000'), 'cpio archive'],
  ['ext file system', ext4, 'ext2/3/4'],
  ['text', text('<html>not found</html>'), 'a text file'],
  ['zeros', Buffer.alloc(4096), 'zeros'],
  ['Debian package', text('!<arch>\ndebian-binary   '), 'Debian package'],
  ['arm64 Image', arm64, 'arm64'],
  ['qcow2 disk', Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), 'qcow2'],
  ['unknown', Buffer.from([1, 2, 3]), 'none of the known kinds'],
] as const)('not a kernel: %s', (looksLike, bytes, words) => {
  const look = lookAtKernel(bytes);
  expect(look).toMatchObject({ ok: false, looksLike });
  expect(look.ok ? '' : look.say).toContain(words);
});

test.each([
  ['a kernel for arm64', elfSample({ machine: 183 }), 'arm64'],
  ['a kernel module', elfSample({ type: 1 }), 'kernel module'],
  ['an ordinary program', elfSample({ banner: 'hello', interpreter: true }), 'ordinary program'],
  ['another ELF file', elfSample({ banner: 'hello' }), 'Linux version'],
  ['a cut-off ELF kernel', elfSample({ loadFileBytes: 100_000 }), 'cut short'],
  ['an ELF header only', elfSample().subarray(0, 64), 'cut short'],
  ['half an ELF header', elfSample().subarray(0, 30), 'cut short'],
  ['32-bit ELF', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(100)]), '64-bit'],
  ['a cut-off bzImage', bzImageSample(Buffer.alloc(5000), 1).subarray(0, 4000), 'cut short'],
  ['a bzImage header only', bzImageSample(Buffer.alloc(5000), 1).subarray(0, 0x220), 'cut short'],
])('%s is refused with the reason', (_what, bytes, words) => {
  const look = lookAtKernel(bytes);
  expect(look.ok).toBe(false);
  expect(look.ok ? '' : look.say).toContain(words);
});

const KERNEL = Buffer.concat([elfSample(), Buffer.alloc(20_000, 'padding ')]);

test.each([
  ['gzip', () => bzImageSample(gzipSync(KERNEL), KERNEL.length, { appendSize: false })],
  ['zstd', () => bzImageSample(zstdCompressSync(KERNEL), KERNEL.length)],
  ['none', () => bzImageSample(KERNEL, KERNEL.length, { appendSize: false })],
] as const)('unpacks %s by itself', async (compression, make) => {
  const unpacked = await unpackKernel(make());
  expect(unpacked).toMatchObject({ ok: true, compression, kernel: { release: '6.1.99-test' } });
  expect(unpacked.ok && unpacked.vmlinux.equals(KERNEL)).toBe(true);
});

test.each([
  ['xz', ['xz', '-c', '--check=crc32', '--x86', '--lzma2=dict=32MiB'], true],
  ['lzma', ['xz', '-c', '--format=lzma'], true],
  ['bzip2', ['bzip2', '-c'], true],
  ['lz4', ['lz4', '-l', '-9', '-c'], true],
] as const)('unpacks %s with the distribution’s tools', async (compression, argv, appendSize) => {
  const packed = await pipeThrough(argv, KERNEL);
  if (!packed.ok) {
    expect((await exec([argv[0], '--version'], { timeoutMs: 5000 })).spawnError).toBe('ENOENT');
    console.log(`skipped: ${argv[0]} is not installed`);
    return;
  }
  const unpacked = await unpackKernel(bzImageSample(packed.bytes, KERNEL.length, { appendSize }));
  expect(unpacked).toMatchObject({ ok: true, compression });
  expect(unpacked.ok && unpacked.vmlinux.equals(KERNEL)).toBe(true);
});

test('a damaged payload and a payload that is no kernel are values with a sentence', async () => {
  const broken = gzipSync(KERNEL);
  broken.fill(0, 20, 60);
  expect(await unpackKernel(bzImageSample(broken, 1, { appendSize: false }))).toMatchObject({
    ok: false,
    say: expect.stringContaining('damaged'),
  });
  expect(await unpackKernel(bzImageSample(gzipSync('hello'), 1, { appendSize: false }))).toMatchObject({
    ok: false,
    say: expect.stringContaining('does not hold'),
  });
  expect(await unpackKernel(bzImageSample(Buffer.alloc(50, 7), 1))).toMatchObject({ ok: false, say: expect.stringContaining('not known') });
});

test('the embedded config, and nothing where there is none', () => {
  const config = 'CONFIG_A=y\n';
  expect(embeddedConfig(Buffer.concat([Buffer.from('..IKCFG_ST'), gzipSync(config), Buffer.from('IKCFG_ED..')]))).toBe(config);
  expect(embeddedConfig(Buffer.from('IKCFG_ST no gzip IKCFG_ED'))).toBeNull();
  expect(embeddedConfig(Buffer.from('IKCFG_ST'))).toBeNull();
  expect(embeddedConfig(KERNEL)).toBeNull();
});

test('config values: set, module, text, not set, not named', () => {
  const config = 'CONFIG_A=y\nCONFIG_B=m\nCONFIG_C="text"\n# CONFIG_D is not set\nCONFIG_AB=y\r\n';
  expect(configValues(config, ['A', 'B', 'C', 'D', 'E', 'AB'])).toEqual({ A: 'y', B: 'm', C: 'y', D: 'n', E: 'n', AB: 'y' });
});
