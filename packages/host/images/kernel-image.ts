/**
 * What a kernel file shows of itself. Pure: bytes in, a value out; arbitrary bytes never throw (fuzzed) and every loop has a limit.
 * Facts: bzImage header from the kernel's Documentation/arch/x86/boot.rst; PVH note from xen/interface/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY =
 * 18); both tried on nine images in facts/lab.md 2c.
 */
import { gunzipSync } from 'node:zlib';
import { kindOf, looks } from './magic.ts';
import type { FileKind } from './magic.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'lzma' | 'bzip2' | 'zstd' | 'lz4' | 'lzo';

export type ElfKernel = {
  format: 'elf';
  /** First line of the `Linux version …` banner; null when the file holds none. */
  banner: string | null;
  /** `6.1.0-56-cloud-amd64`: the word after `Linux version`. */
  release: string | null;
  entry: bigint;
  /** Whether QEMU and Firecracker can start it by its PVH entry; QEMU refuses an ELF kernel without. */
  pvhNote: boolean;
  /** End of the highest PT_LOAD segment in guest-physical memory, `bytes`: a guest with less memory dies without a word (lab.md 2c). */
  highestLoadEndBytes: number;
};

export type BzImageKernel = {
  format: 'bzImage';
  /** `Linux version`-less banner of the setup header: release, builder, build. */
  banner: string | null;
  release: string | null;
  /** Boot protocol, e.g. `2.15`. */
  protocol: string;
  setupSectors: number;
  payload: { offset: number; bytes: number; compression: Compression | 'unknown' };
  /** Unpacked size as the image states it, `bytes`. */
  unpackedBytes: number;
};

export type KernelLook = { ok: true; kernel: ElfKernel | BzImageKernel } | { ok: false; looksLike: FileKind; say: string };

/** x86-64 in e_machine; EM_AARCH64 is named because it is the mistake people make. */
const MACHINES: Readonly<Record<number, string>> = { 3: '32-bit x86', 62: 'x86-64', 183: 'arm64', 243: 'RISC-V' };
const EM_X86_64 = 62;
/** A vmlinux has 5 to 10 program headers; 128 leaves room and bounds the loop. */
const MAX_PROGRAM_HEADERS = 128;
const MAX_NOTES = 256;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
/** The longest banner kept. */
const MAX_BANNER_CHARS = 400;
const MAX_BANNER_TRIES = 64;
/** IKCONFIG unpacks to about 250 KB. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

export function lookAtKernel(bytes: Uint8Array): KernelLook {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = kindOf(buffer);
  if (kind === 'elf') return lookAtElf(buffer);
  if (kind === 'bzImage') return lookAtBzImage(buffer);
  return refuse(kind, `This is not a kernel: it is ${looks[kind]}. Give an x86-64 vmlinux (ELF) or bzImage.`);
}

function refuse(looksLike: FileKind, say: string): KernelLook {
  return { ok: false, looksLike, say };
}

function lookAtElf(file: Buffer): KernelLook {
  if (file.length < 64)
    return refuse(
      'elf',
      `This is not a kernel: the ELF file ends after ${file.length} bytes, within its own header. It was cut short; copy it again.`,
    );
  if (file[4] !== 2 || file[5] !== 1)
    return refuse('elf', 'This is not a kernel that can run here: the ELF file is not 64-bit little-endian. Give an x86-64 vmlinux.');
  const machine = file.readUInt16LE(18);
  if (machine !== EM_X86_64)
    return refuse(
      'elf',
      `This kernel cannot run here: it is for ${MACHINES[machine] ?? `machine type ${machine}`}. Give an x86-64 vmlinux.`,
    );
  const type = file.readUInt16LE(16);
  const headerBytes = file.readUInt16LE(54);
  const headers = file.readUInt16LE(56);
  const headersAt = file.readBigUInt64LE(32);
  const banner = bannerIn(file);
  if (type === 1)
    return refuse('elf', 'This is not a kernel: it is a relocatable ELF object, such as a kernel module. Give the vmlinux itself.');
  if (
    headers === 0 ||
    headers > MAX_PROGRAM_HEADERS ||
    headerBytes < 56 ||
    headersAt + BigInt(headers * headerBytes) > BigInt(file.length)
  ) {
    return refuse(
      'elf',
      'This is not a complete kernel: the program headers of the ELF file lie outside of it. It was cut short or damaged; copy it again.',
    );
  }
  let highest = 0n;
  let lastByte = 0n;
  let interpreter = false;
  let pvhNote = false;
  for (let index = 0; index < headers; index++) {
    const at = Number(headersAt) + index * headerBytes;
    const segment = file.readUInt32LE(at);
    const offset = file.readBigUInt64LE(at + 8);
    const physical = file.readBigUInt64LE(at + 24);
    const fileBytes = file.readBigUInt64LE(at + 32);
    const memoryBytes = file.readBigUInt64LE(at + 40);
    if (segment === 3) interpreter = true;
    if (segment === 1 && physical + memoryBytes > highest) highest = physical + memoryBytes;
    if (segment === 1 && offset + fileBytes > lastByte) lastByte = offset + fileBytes;
    if (segment === 4) pvhNote ||= hasPvhNote(file, offset, fileBytes);
  }
  if (banner === null) {
    const what = interpreter || type === 3 ? 'an ordinary program' : 'an ELF file without the "Linux version" text that every kernel has';
    return refuse('elf', `This is not a kernel: it is ${what}. Give an x86-64 vmlinux.`);
  }
  if (lastByte > BigInt(file.length)) {
    return refuse(
      'elf',
      `This kernel is not complete: its segments need ${lastByte} bytes and the file has ${file.length}. It was cut short; copy it again.`,
    );
  }
  return {
    ok: true,
    kernel: {
      format: 'elf',
      banner,
      release: releaseOf(banner),
      entry: file.readBigUInt64LE(24),
      pvhNote,
      highestLoadEndBytes: highest > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(highest),
    },
  };
}

function hasPvhNote(file: Buffer, offset: bigint, bytes: bigint): boolean {
  if (offset + bytes > BigInt(file.length)) return false;
  let at = Number(offset);
  const end = Number(offset + bytes);
  for (let note = 0; note < MAX_NOTES && at + 12 <= end; note++) {
    const nameBytes = file.readUInt32LE(at);
    const valueBytes = file.readUInt32LE(at + 4);
    const type = file.readUInt32LE(at + 8);
    if (nameBytes > end - at || valueBytes > end - at) return false;
    if (type === XEN_ELFNOTE_PHYS32_ENTRY && file.toString('latin1', at + 12, at + 15) === 'Xen' && nameBytes === 4) return true;
    at += 12 + align4(nameBytes) + align4(valueBytes);
  }
  return false;
}

const align4 = (length: number): number => (length + 3) & ~3;

/**
 * The banner of an ELF kernel. Passed over: `Linux version %s`, a format string of the same kernel (a version starts with a digit). Since
 * Linux 6.1 there are two: one of an early link stage without the build number (`… # SMP …`) and the one that is printed (`… #1 SMP …`).
 */
function bannerIn(file: Buffer): string | null {
  const needle = Buffer.from('Linux version ');
  let last: string | null = null;
  let at = file.indexOf(needle);
  for (let tries = 0; at >= 0 && tries < MAX_BANNER_TRIES; tries++) {
    const first = file[at + needle.length] ?? 0;
    if (first >= 0x30 && first <= 0x39) {
      last = lineAt(file, at);
      if (/ #\d/.test(last)) return last;
    }
    at = file.indexOf(needle, at + needle.length);
  }
  return last;
}

function lineAt(file: Buffer, at: number): string {
  const text = file.toString('latin1', at, at + MAX_BANNER_CHARS);
  return (/^[\x20-\x7e]*/.exec(text)?.[0] ?? '').trimEnd();
}

function releaseOf(banner: string | null): string | null {
  return /^(?:Linux version )?(\d\S*)/.exec(banner ?? '')?.[1] ?? null;
}

function lookAtBzImage(file: Buffer): KernelLook {
  const short = (): KernelLook =>
    refuse(
      'bzImage',
      `This kernel is not complete: the bzImage ends after ${file.length} bytes, before its compressed part does. It was cut short; copy it again.`,
    );
  if (file.length < 0x268) return short();
  const protocol = file.readUInt16LE(0x206);
  if (protocol < 0x208)
    return refuse(
      'bzImage',
      `This kernel is too old: boot protocol ${dotted(protocol)} does not say where its compressed part is; 2.8 (Linux 2.6.26) is the first that does.`,
    );
  if (((file[0x211] ?? 0) & 1) === 0)
    return refuse('bzImage', 'This is a zImage (loaded low), which no 64-bit kernel is. Give an x86-64 bzImage or vmlinux.');
  const setupSectors = (file[0x1f1] ?? 0) || 4;
  const offset = (setupSectors + 1) * 512 + file.readUInt32LE(0x248);
  const bytes = file.readUInt32LE(0x24c);
  if (bytes < 8 || offset + bytes > file.length) return short();
  const bannerAt = file.readUInt16LE(0x20e);
  const banner = bannerAt === 0 ? null : lineAt(file, bannerAt + 0x200);
  const payload = file.subarray(offset, offset + bytes);
  return {
    ok: true,
    kernel: {
      format: 'bzImage',
      banner,
      release: releaseOf(banner),
      protocol: dotted(protocol),
      setupSectors,
      payload: { offset, bytes, compression: compressionOf(payload) },
      unpackedBytes: payload.readUInt32LE(bytes - 4),
    },
  };
}

const dotted = (protocol: number): string => `${protocol >> 8}.${protocol & 0xff}`;

const COMPRESSIONS: Partial<Record<FileKind, Compression>> = {
  gzip: 'gzip',
  xz: 'xz',
  lzma: 'lzma',
  bzip2: 'bzip2',
  zstd: 'zstd',
  lz4: 'lz4',
  lzo: 'lzo',
  elf: 'none',
};

function compressionOf(payload: Buffer): Compression | 'unknown' {
  // Only the first bytes: a payload may have anything at the offsets where other kinds keep their marks.
  return COMPRESSIONS[kindOf(payload.subarray(0, 16))] ?? 'unknown';
}

/** The kernel's own configuration when it was built with CONFIG_IKCONFIG: gzip between two marks, which survives strip. */
export function embeddedConfig(vmlinux: Uint8Array): string | null {
  const file = Buffer.from(vmlinux.buffer, vmlinux.byteOffset, vmlinux.length);
  const from = file.indexOf('IKCFG_ST');
  if (from < 0) return null;
  const to = file.indexOf('IKCFG_ED', from);
  if (to < 0) return null;
  try {
    return gunzipSync(file.subarray(from + 8, to), { maxOutputLength: MAX_CONFIG_BYTES }).toString('latin1');
  } catch {
    // Not gzip after all (the two marks also occur as plain text, in a kernel that contains such a parser): no way, no claim.
    return null;
  }
}

export type ConfigValue = 'y' | 'm' | 'n';

/**
 * The given options (without `CONFIG_`) in the text of a kernel config file. A complete config names every option that could be set, so an
 * option it does not name is off. Options with a text or a number as value count as `y`.
 */
export function configValues(text: string, names: readonly string[]): Record<string, ConfigValue> {
  const set = new Map<string, ConfigValue>();
  for (const line of text.split('\n')) {
    const match = /^CONFIG_([A-Za-z0-9_]+)=(.*)$/.exec(line.trimEnd());
    if (match?.[1] !== undefined) set.set(match[1], match[2] === 'm' ? 'm' : match[2] === 'n' ? 'n' : 'y');
  }
  return Object.fromEntries(names.map((name) => [name, set.get(name) ?? 'n']));
}
