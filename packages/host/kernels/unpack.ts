/**
 * Takes the kernel proper out of whatever is around it: QEMU's microvm starts faster from the ELF vmlinux and Firecracker takes nothing else
 * on x86-64; and only what is not compressed can be searched. gzip and zstd by node:zlib, lz4 by our own 60 lines, the rest by the
 * distribution's tools. All bounded.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { compressionOf, lookAtKernel } from '@linstock/core/kernel';
import type { FileKind } from '@linstock/core';
import type { Arm64Kernel, Compression, ElfKernel, KernelImage } from '@linstock/core/kernel';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { unpackLz4Legacy } from './lz4-legacy.ts';

/** The kernel proper: what runs, with nothing compressed around it. */
export type Core = { ok: true; kernel: ElfKernel | Arm64Kernel; bytes: Buffer } | { ok: false; say: string };

export type OpenedKernel =
  | {
      ok: true;
      /** The whole file is compressed, as `Image.gz` is. */
      wrapped: Compression | null;
      image: KernelImage;
      core: Core;
    }
  | { ok: false; looksLike: FileKind; say: string };

/** Distribution kernels unpack to 20-80 MB; ten times that is no kernel. */
const MAX_VMLINUX_BYTES = 768 * 1024 * 1024;
/** xz needs 1 s, bzip2 2 s for 20 MB on a slow machine. */
const UNPACK_TIMEOUT_MS = 120_000;

export async function openKernel(bytes: Buffer, signal?: AbortSignal): Promise<OpenedKernel> {
  const look = lookAtKernel(bytes);
  if (look.ok) return { ok: true, wrapped: null, image: look.kernel, core: await coreOf(look.kernel, bytes, signal) };
  const wrapped = compressionOf(bytes);
  if (wrapped === 'unknown' || wrapped === 'none') return look;
  const unpacked = await unpack(bytes, wrapped, signal);
  const inner = unpacked.ok ? lookAtKernel(unpacked.bytes) : look;
  if (!unpacked.ok || !inner.ok) return look;
  return { ok: true, wrapped, image: inner.kernel, core: await coreOf(inner.kernel, unpacked.bytes, signal) };
}

async function coreOf(image: KernelImage, file: Buffer, signal: AbortSignal | undefined): Promise<Core> {
  if (image.format === 'elf' || image.format === 'arm64 Image') return { ok: true, kernel: image, bytes: file };
  const { offset, bytes, compression } = image.payload;
  if (compression === 'unknown')
    return { ok: false, say: `This ${image.format} is compressed in a way that is not known here. Give the vmlinux itself.` };
  const payload = file.subarray(offset, offset + bytes);
  // Every compressor but gzip gets the unpacked size appended by the kernel's build (size_append in scripts/Makefile.lib); an EFI zboot
  // image does not count it as part of its payload.
  const appended = image.format === 'bzImage' && compression !== 'gzip' && compression !== 'none';
  const unpacked = appended
    ? await unpack(payload.subarray(0, bytes - 4), compression, signal, payload.readUInt32LE(bytes - 4))
    : await unpack(payload, compression, signal);
  if (!unpacked.ok)
    return {
      ok: false,
      say:
        unpacked.say ??
        `The ${compression}-compressed part of this ${image.format} cannot be unpacked: it is damaged. Copy the kernel again.`,
    };
  const inner = lookAtKernel(unpacked.bytes);
  if (inner.ok && (inner.kernel.format === 'elf' || inner.kernel.format === 'arm64 Image'))
    return { ok: true, kernel: inner.kernel, bytes: unpacked.bytes };
  return {
    ok: false,
    say: `The compressed part of this ${image.format} does not hold a vmlinux. The file is damaged or of an unusual kind; give the vmlinux itself.`,
  };
}

/** `say` null: nothing more is known than that it is damaged, or longer than any kernel. */
type Unpacked = { ok: true; bytes: Buffer } | { ok: false; say: string | null };

async function unpack(body: Buffer, compression: Compression, signal?: AbortSignal, expectedBytes?: number): Promise<Unpacked> {
  switch (compression) {
    case 'none':
      return { ok: true, bytes: body };
    case 'gzip':
      return settled(await orNothing(promisify(gunzip)(body, { maxOutputLength: MAX_VMLINUX_BYTES })));
    case 'zstd':
      return settled(await orNothing(promisify(zstdDecompress)(body, { maxOutputLength: MAX_VMLINUX_BYTES })));
    case 'lz4':
      return expectedBytes === undefined
        ? pipeThrough(['lz4', '-dcq'], body, signal)
        : settled(unpackLz4Legacy(body, MAX_VMLINUX_BYTES, expectedBytes));
    case 'xz':
      return pipeThrough(['xz', '-dc', '--single-stream'], body, signal);
    case 'lzma':
      return pipeThrough(['xz', '-dc', '--format=lzma'], body, signal);
    case 'bzip2':
      return pipeThrough(['bzip2', '-dcq'], body, signal);
    case 'lzo':
      return pipeThrough(['lzop', '-dcq'], body, signal);
  }
}

function settled(bytes: Buffer | undefined): Unpacked {
  return bytes === undefined ? { ok: false, say: null } : { ok: true, bytes };
}

async function orNothing(unpacking: Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    return await unpacking;
  } catch {
    // zlib's reason (a bad checksum, a wrong length, too long) says no more than "damaged", which the caller does.
    return undefined;
  }
}

/** prlimit(1) could not find the program that it was to start, as shells say it. */
const PROGRAM_NOT_FOUND = 127;

/** Bytes through a filter program, whole, up to the size of a kernel. A missing or failing program is a value with its sentence. */
export async function pipeThrough(
  argv: readonly [string, ...string[]],
  input: Buffer,
  signal?: AbortSignal,
): Promise<{ ok: true; bytes: Buffer } | { ok: false; say: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-unpack-'));
  try {
    const stdoutFile = join(folder, 'out');
    // What is packed may unpack to terabytes: the limit ends the program before the disk is full.
    const bounded = ['prlimit', `--fsize=${MAX_VMLINUX_BYTES}`, ...argv];
    const result = await exec(bounded, { input, stdoutFile, timeoutMs: UNPACK_TIMEOUT_MS, signal });
    if (result.aborted) signal?.throwIfAborted();
    if (result.code === PROGRAM_NOT_FOUND) return { ok: false, say: `The program ${argv[0]} is not installed.` };
    // The kernel build pads after the stream, which `xz --single-stream` and lzma leave unread; they still end with 0.
    return succeeded(result) ? { ok: true, bytes: await readFile(stdoutFile) } : { ok: false, say: describeFailure({ ...result, argv }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
