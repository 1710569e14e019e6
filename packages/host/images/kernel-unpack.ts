/**
 * Takes the ELF vmlinux out of a bzImage: QEMU's microvm starts faster from it and Firecracker takes nothing else on x86-64.
 * gzip and zstd by node:zlib, lz4 by our own 60 lines, the rest by the distribution's tools. All bounded.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { lookAtKernel } from './kernel-image.ts';
import type { BzImageKernel, Compression, ElfKernel } from './kernel-image.ts';
import { unpackLz4Legacy } from './lz4-legacy.ts';

export type UnpackedKernel = { ok: true; vmlinux: Buffer; kernel: ElfKernel; compression: Compression } | { ok: false; say: string };

/** Distribution kernels unpack to 20-80 MB; ten times that is no kernel. */
const MAX_VMLINUX_BYTES = 768 * 1024 * 1024;
/** xz needs 1 s, bzip2 2 s for 20 MB on the lab's machine. */
const UNPACK_TIMEOUT_MS = 120_000;

/** The vmlinux of a kernel file of either format. The bytes must have passed `lookAtKernel`; what does not unpack is a value. */
export async function unpackKernel(bytes: Buffer, signal?: AbortSignal): Promise<UnpackedKernel> {
  const look = lookAtKernel(bytes);
  if (!look.ok) return look;
  if (look.kernel.format === 'elf') return { ok: true, vmlinux: bytes, kernel: look.kernel, compression: 'none' };
  const unpacked = await unpackPayload(bytes, look.kernel, signal);
  if (!unpacked.ok) return unpacked;
  const inner = lookAtKernel(unpacked.bytes);
  if (!inner.ok || inner.kernel.format !== 'elf')
    return {
      ok: false,
      say: 'The compressed part of this bzImage does not hold an x86-64 vmlinux. The file is damaged or of an unusual kind; give the vmlinux itself.',
    };
  return { ok: true, vmlinux: unpacked.bytes, kernel: inner.kernel, compression: unpacked.compression };
}

type Payload = { ok: true; bytes: Buffer; compression: Compression } | { ok: false; say: string };

async function unpackPayload(file: Buffer, kernel: BzImageKernel, signal: AbortSignal | undefined): Promise<Payload> {
  const { offset, bytes, compression } = kernel.payload;
  const whole = file.subarray(offset, offset + bytes);
  // Every compressor but gzip gets the unpacked size appended by the kernel's build (size_append in scripts/Makefile.lib).
  const body = whole.subarray(0, bytes - 4);
  const damaged: Payload = {
    ok: false,
    say: `The ${compression}-compressed part of this bzImage cannot be unpacked: it is damaged. Copy the kernel again.`,
  };
  switch (compression) {
    case 'none':
      return { ok: true, bytes: whole, compression };
    case 'gzip':
      return settle(await orNothing(promisify(gunzip)(whole, { maxOutputLength: MAX_VMLINUX_BYTES })));
    case 'zstd':
      return settle(await orNothing(promisify(zstdDecompress)(body, { maxOutputLength: MAX_VMLINUX_BYTES })));
    case 'lz4':
      return settle(unpackLz4Legacy(whole, MAX_VMLINUX_BYTES, kernel.unpackedBytes));
    case 'xz':
      return byTool(['xz', '-dc', '--single-stream'], whole);
    case 'lzma':
      return byTool(['xz', '-dc', '--format=lzma'], body);
    case 'bzip2':
      return byTool(['bzip2', '-dcq'], body);
    case 'lzo':
      return byTool(['lzop', '-dcq'], body);
    case 'unknown':
      return { ok: false, say: 'This bzImage is compressed in a way that is not known here. Give the vmlinux itself.' };
  }

  function settle(unpacked: Buffer | undefined): Payload {
    return unpacked === undefined || compression === 'unknown' ? damaged : { ok: true, bytes: unpacked, compression };
  }
  async function byTool(argv: readonly string[], input: Buffer): Promise<Payload> {
    const result = await pipeThrough(argv, input, signal);
    return result.ok ? settle(result.bytes) : result;
  }
}

async function orNothing(unpacking: Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    return await unpacking;
  } catch {
    // zlib's reason (a bad checksum, a wrong length, too long) says no more than "damaged", which the caller does.
    return undefined;
  }
}

/** Bytes through a filter program, whole. A missing or failing program is a value with its sentence. */
export async function pipeThrough(
  argv: readonly string[],
  input: Buffer,
  signal?: AbortSignal,
): Promise<{ ok: true; bytes: Buffer } | { ok: false; say: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-unpack-'));
  try {
    const stdoutFile = join(folder, 'out');
    const result = await exec(argv, { input, stdoutFile, timeoutMs: UNPACK_TIMEOUT_MS, signal });
    if (result.aborted) signal?.throwIfAborted();
    // The kernel build pads after the stream, which `xz --single-stream` and lzma leave unread; they still end with 0.
    return succeeded(result) ? { ok: true, bytes: await readFile(stdoutFile) } : { ok: false, say: describeFailure(result) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
