/**
 * What a kernel file shows of itself. Pure: bytes in, a value out; arbitrary bytes never throw (fuzzed) and every loop has a limit.
 * Sources: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst, drivers/firmware/efi/libstub/zboot-header.S.
 */
import { latin1, u16, u32, u64 } from '../bytes.ts';
import { kindOf, looks } from '../magic.ts';
import type { FileKind } from '../magic.ts';
import { bannerIn, lineAt, readBanner } from './banner.ts';
import type { Banner } from './banner.ts';
import { lookAtElf } from './elf.ts';
import type { ElfHeaders } from './elf.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'lzma' | 'bzip2' | 'zstd' | 'lz4' | 'lzo';

export type ElfKernel = { format: 'elf'; arch: string; banner: Banner } & Omit<ElfHeaders, 'machine' | 'type' | 'interpreter'>;

/** What is compressed inside of a kernel file. */
export type Payload = { offset: number; bytes: number; compression: Compression | 'unknown' };

export type BzImageKernel = {
  format: 'bzImage';
  arch: 'x86-64' | '32-bit x86';
  /** Without the compiler, which the setup header does not name. */
  banner: Banner | null;
  /** Boot protocol, e.g. `2.15`. */
  protocol: string;
  setupSectors: number;
  payload: Payload;
  /** Unpacked size as the image states it, `bytes`. */
  unpackedBytes: number;
  /** A boot loader may enter it in 64-bit mode (XLF_KERNEL_64). */
  entry64: boolean;
  efiStub: boolean;
};

/** The flat image of arm64, which is its vmlinux without ELF around it. */
export type Arm64Kernel = { format: 'arm64 Image'; arch: 'arm64'; banner: Banner; efiStub: boolean; imageBytes: number };

/** A kernel that unpacks itself as an EFI program (CONFIG_EFI_ZBOOT). */
export type ZbootKernel = { format: 'EFI zboot'; arch: string; payload: Payload };

export type KernelImage = ElfKernel | BzImageKernel | Arm64Kernel | ZbootKernel;
export type KernelLook = { ok: true; kernel: KernelImage } | { ok: false; looksLike: FileKind; say: string };

/** e_machine of an ELF file. */
const ELF_MACHINES: Readonly<Record<number, string>> = {
  3: '32-bit x86',
  21: '64-bit PowerPC',
  22: 's390',
  40: '32-bit arm',
  62: 'x86-64',
  183: 'arm64',
  243: 'RISC-V',
  258: 'LoongArch',
};
/** The machine of a PE header. */
const PE_MACHINES: Readonly<Record<number, string>> = { 0x8664: 'x86-64', 0xaa64: 'arm64', 0x5064: 'RISC-V', 0x6264: 'LoongArch' };

export function lookAtKernel(bytes: Uint8Array): KernelLook {
  const kind = kindOf(bytes);
  if (kind === 'elf') return elfKernel(bytes);
  if (kind === 'bzImage') return bzImage(bytes);
  if (kind === 'arm64 Image') return arm64Image(bytes);
  if (kind === 'EFI zboot image') return zboot(bytes);
  return refuse(kind, `This is not a kernel: it is ${looks[kind]}. Give an x86-64 vmlinux (ELF) or bzImage.`);
}

function refuse(looksLike: FileKind, say: string): KernelLook {
  return { ok: false, looksLike, say };
}

function elfKernel(file: Uint8Array): KernelLook {
  const look = lookAtElf(file);
  if (look.is === 'not-64-bit')
    return refuse('elf', 'This is not a kernel that can run here: the ELF file is not 64-bit little-endian. Give an x86-64 vmlinux.');
  if (look.is === 'cut-short')
    return refuse(
      'elf',
      look.at === 'header'
        ? `This is not a kernel: the ELF file ends after ${file.length} bytes, within its own header. It was cut short; copy it again.`
        : 'This is not a complete kernel: the program headers of the ELF file lie outside of it. It was cut short or damaged; copy it again.',
    );
  const { machine, type, interpreter, ...headers } = look.headers;
  if (type === 'relocatable')
    return refuse('elf', 'This is not a kernel: it is a relocatable ELF object, such as a kernel module. Give the vmlinux itself.');
  const banner = bannerIn(file, headers.loaded);
  if (banner === null) {
    const what =
      interpreter || type === 'shared' ? 'an ordinary program' : 'an ELF file without the "Linux version" text that every kernel has';
    return refuse('elf', `This is not a kernel: it is ${what}. Give an x86-64 vmlinux.`);
  }
  if (headers.neededBytes > file.length)
    return refuse(
      'elf',
      `This kernel is not complete: its segments need ${headers.neededBytes} bytes and the file has ${file.length}. It was cut short; copy it again.`,
    );
  return { ok: true, kernel: { format: 'elf', arch: ELF_MACHINES[machine] ?? `machine type ${machine}`, banner, ...headers } };
}

const BZIMAGE_HEADER_BYTES = 0x268;
/** xloadflags, boot protocol 2.12. */
const XLF_KERNEL_64 = 1;

function bzImage(file: Uint8Array): KernelLook {
  const short = refuse(
    'bzImage',
    `This kernel is not complete: the bzImage ends after ${file.length} bytes, before its compressed part does. It was cut short; copy it again.`,
  );
  if (file.length < BZIMAGE_HEADER_BYTES) return short;
  const protocol = u16(file, 0x206);
  if (protocol < 0x208)
    return refuse(
      'bzImage',
      `This kernel is too old: boot protocol ${dotted(protocol)} does not say where its compressed part is; 2.8 (Linux 2.6.26) is the first that does.`,
    );
  if (((file[0x211] ?? 0) & 1) === 0)
    return refuse('bzImage', 'This is a zImage (loaded low), which no 64-bit kernel is. Give an x86-64 bzImage or vmlinux.');
  const setupSectors = (file[0x1f1] ?? 0) || 4;
  const offset = (setupSectors + 1) * 512 + u32(file, 0x248);
  const bytes = u32(file, 0x24c);
  if (bytes < 8 || offset + bytes > file.length) return short;
  const bannerAt = u16(file, 0x20e);
  const entry64 = protocol >= 0x20c && (u16(file, 0x236) & XLF_KERNEL_64) !== 0;
  return {
    ok: true,
    kernel: {
      format: 'bzImage',
      arch: entry64 ? 'x86-64' : '32-bit x86',
      banner: bannerAt === 0 ? null : readBanner(lineAt(file, bannerAt + 0x200)),
      protocol: dotted(protocol),
      setupSectors,
      payload: { offset, bytes, compression: compressionOf(file.subarray(offset, offset + bytes)) },
      unpackedBytes: u32(file, offset + bytes - 4),
      entry64,
      efiStub: peMachineOf(file) !== null,
    },
  };
}

const dotted = (protocol: number): string => `${protocol >> 8}.${protocol & 0xff}`;

function arm64Image(file: Uint8Array): KernelLook {
  const banner = bannerIn(file, [{ from: 0, to: file.length }]);
  if (banner === null)
    return refuse(
      'arm64 Image',
      'This is not a complete kernel: it begins as an arm64 Image and holds no "Linux version" text. It was cut short; copy it again.',
    );
  return {
    ok: true,
    kernel: { format: 'arm64 Image', arch: 'arm64', banner, efiStub: peMachineOf(file) !== null, imageBytes: u64(file, 16) },
  };
}

function zboot(file: Uint8Array): KernelLook {
  const offset = u32(file, 8);
  const bytes = u32(file, 12);
  if (bytes < 8 || offset + bytes > file.length)
    return refuse(
      'EFI zboot image',
      `This kernel is not complete: the EFI zboot image ends after ${file.length} bytes, before its compressed part does. It was cut short; copy it again.`,
    );
  const machine = peMachineOf(file);
  return {
    ok: true,
    kernel: {
      format: 'EFI zboot',
      arch: machine === null ? 'unknown' : (PE_MACHINES[machine] ?? `PE machine type ${machine}`),
      payload: { offset, bytes, compression: compressionOf(file.subarray(offset, offset + bytes)) },
    },
  };
}

/** The machine in the PE header that an EFI stub puts before the kernel; null without one. */
function peMachineOf(file: Uint8Array): number | null {
  const at = u32(file, 0x3c);
  return latin1(file, 0, 2) === 'MZ' && latin1(file, at, at + 4) === 'PE\0\0' ? u16(file, at + 4) : null;
}

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

/** How these bytes are compressed; `none` when they are an ELF file as they are. */
export function compressionOf(payload: Uint8Array): Compression | 'unknown' {
  // Only the first bytes: a payload may have anything at the offsets where other kinds keep their marks.
  return COMPRESSIONS[kindOf(payload.subarray(0, 16))] ?? 'unknown';
}
