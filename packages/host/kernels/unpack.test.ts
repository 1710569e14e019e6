import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { arm64Sample, bzImageSample, elfSample, zbootSample } from '@linstock/testkit/kernel-samples';
import { exec } from '../tools/exec.ts';
import { openKernel, pipeThrough } from './unpack.ts';

const KERNEL = Buffer.concat([elfSample(), Buffer.alloc(20_000, 'padding ')]);

test('an ELF vmlinux is the kernel itself', async () => {
  const opened = await openKernel(KERNEL);
  expect(opened).toMatchObject({ ok: true, wrapped: null, image: { format: 'elf' }, core: { ok: true } });
  expect(opened.ok && opened.core.ok && opened.core.bytes).toBe(KERNEL);
});

test.each([
  ['gzip', () => bzImageSample(gzipSync(KERNEL), KERNEL.length, { appendSize: false })],
  ['zstd', () => bzImageSample(zstdCompressSync(KERNEL), KERNEL.length)],
  ['none', () => bzImageSample(KERNEL, KERNEL.length, { appendSize: false })],
] as const)('a bzImage compressed by %s is unpacked without tools', async (compression, make) => {
  const opened = await openKernel(make());
  expect(opened).toMatchObject({ ok: true, image: { format: 'bzImage', payload: { compression } }, core: { ok: true } });
  expect(opened.ok && opened.core.ok && opened.core.bytes.equals(KERNEL)).toBe(true);
});

test.each([
  ['xz', ['xz', '-c', '--check=crc32', '--x86', '--lzma2=dict=32MiB'], true],
  ['lzma', ['xz', '-c', '--format=lzma'], true],
  ['bzip2', ['bzip2', '-c'], true],
  ['lz4', ['lz4', '-l', '-9', '-c'], true],
  ['lzo', ['lzop', '-9', '-c'], true],
] as const)('a bzImage compressed by %s', async (compression, argv, appendSize) => {
  const packed = await pipeThrough(argv, KERNEL);
  if (!packed.ok) {
    expect((await exec([argv[0], '--version'], { timeoutMs: 5000 })).spawnError).toBe('ENOENT');
    console.log(`skipped: ${argv[0]} is not installed`);
    return;
  }
  const opened = await openKernel(bzImageSample(packed.bytes, KERNEL.length, { appendSize }));
  expect(opened).toMatchObject({ ok: true, image: { payload: { compression } }, core: { ok: true } });
  expect(opened.ok && opened.core.ok && opened.core.bytes.equals(KERNEL)).toBe(true);
});

test('a kernel whose whole file is compressed, and an EFI zboot image', async () => {
  expect(await openKernel(gzipSync(arm64Sample()))).toMatchObject({
    ok: true,
    wrapped: 'gzip',
    image: { format: 'arm64 Image' },
    core: { ok: true, kernel: { arch: 'arm64' } },
  });
  expect(await openKernel(zbootSample(gzipSync(arm64Sample())))).toMatchObject({
    ok: true,
    wrapped: null,
    image: { format: 'EFI zboot' },
    core: { ok: true, kernel: { format: 'arm64 Image' } },
  });
});

test('compressed data that holds no kernel is said to be compressed data', async () => {
  expect(await openKernel(gzipSync('hello'))).toMatchObject({ ok: false, looksLike: 'gzip' });
  const cut = gzipSync(KERNEL).subarray(0, 100);
  expect(await openKernel(cut)).toMatchObject({ ok: false, looksLike: 'gzip' });
});

test('a damaged payload and a payload that is no kernel: the header is still told, and why the rest is not', async () => {
  const broken = gzipSync(KERNEL);
  broken.fill(0, 20, 60);
  expect(await openKernel(bzImageSample(broken, 1, { appendSize: false }))).toMatchObject({
    ok: true,
    image: { banner: { release: '6.1.99-test' } },
    core: { ok: false, say: expect.stringContaining('damaged') },
  });
  expect(await openKernel(bzImageSample(gzipSync('hello'), 1, { appendSize: false }))).toMatchObject({
    core: { ok: false, say: expect.stringContaining('does not hold') },
  });
  expect(await openKernel(bzImageSample(Buffer.alloc(50, 7), 1))).toMatchObject({
    core: { ok: false, say: expect.stringContaining('not known') },
  });
});

test('a program that is not there is named', async () => {
  expect(await pipeThrough(['no-such-filter-program', '-dc'], KERNEL)).toEqual({
    ok: false,
    say: 'The program no-such-filter-program is not installed.',
  });
});
