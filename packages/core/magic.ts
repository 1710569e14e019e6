/** What a file looks like from its first bytes: used to refuse with "this looks like …" instead of "invalid". Pure; never throws. */
import { isAt } from './bytes.ts';

export type FileKind =
  | 'empty'
  | 'elf'
  | 'bzImage'
  | 'arm64 Image'
  | 'RISC-V Image'
  | 'EFI zboot image'
  | 'EFI program'
  | 'script'
  | 'gzip'
  | 'xz'
  | 'zstd'
  | 'bzip2'
  | 'lz4'
  | 'lzma'
  | 'lzo'
  | 'cpio archive'
  | 'ext file system'
  | 'squashfs image'
  | 'qcow2 disk'
  | 'tar archive'
  | 'zip archive'
  | 'Debian package'
  | 'ISO image'
  | 'partitioned disk'
  | 'zeros'
  | 'text'
  | 'unknown';

/** A character per byte. */
const STARTS: readonly (readonly [FileKind, string])[] = [
  ['elf', '\x7fELF'],
  ['gzip', '\x1f\x8b\x08'],
  ['xz', '\xfd7zXZ\0'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['bzip2', 'BZh'],
  ['lz4', '\x02\x21\x4c\x18'],
  ['lz4', '\x04\x22\x4d\x18'],
  ['lzo', '\x89LZO\0\r\n\x1a\n'],
  ['lzma', '\x5d\0\0'],
  ['cpio archive', '07070'],
  ['squashfs image', 'hsqs'],
  ['qcow2 disk', 'QFI\xfb'],
  ['zip archive', 'PK\x03\x04'],
  ['Debian package', '!<arch>\ndebian'],
  ['script', '#!'],
];

/** Offset of the ext2/3/4 superblock's magic 0xEF53 (kernel Documentation/filesystems/ext4/super.rst: 0x400 + 0x38). */
const EXT_MAGIC_OFFSET = 0x438;
/** Enough bytes of a file's beginning to tell all kinds (the ISO mark sits at 0x8001). */
export const MAGIC_BYTES = 0x8010;

export function kindOf(bytes: Uint8Array): FileKind {
  const head = bytes.subarray(0, MAGIC_BYTES);
  if (head.length === 0) return 'empty';
  // Kernels before the rest: the first bytes of one may be an EFI stub's "MZ" or old boot code; what tells is further in.
  if (isAt(head, 0x202, 'HdrS') && head.length > 0x206) return 'bzImage'; // Documentation/arch/x86/boot.rst
  if (isAt(head, 0x38, 'ARM\x64')) return 'arm64 Image'; // Documentation/arch/arm64/booting.rst
  if (isAt(head, 0x38, 'RSC\x05')) return 'RISC-V Image'; // Documentation/arch/riscv/boot-image-header.rst
  if (isAt(head, 0, 'MZ') && isAt(head, 4, 'zimg')) return 'EFI zboot image'; // drivers/firmware/efi/libstub/zboot-header.S
  for (const [kind, start] of STARTS) if (isAt(head, 0, start)) return kind;
  if (isAt(head, EXT_MAGIC_OFFSET, '\x53\xef')) return 'ext file system';
  if (isAt(head, 257, 'ustar')) return 'tar archive';
  if (isAt(head, 0x8001, 'CD001')) return 'ISO image';
  if (isAt(head, 0x1fe, '\x55\xaa')) return 'partitioned disk';
  if (isAt(head, 0, 'MZ')) return 'EFI program';
  if (head.every((byte) => byte === 0)) return 'zeros';
  return head.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 0x20 && byte !== 0x7f)) ? 'text' : 'unknown';
}

/** "it is …", for sentences. */
export const looks: Record<FileKind, string> = {
  empty: 'an empty file',
  elf: 'an ELF file',
  bzImage: 'a bzImage kernel',
  'arm64 Image': 'a kernel for arm64',
  'RISC-V Image': 'a kernel for RISC-V',
  'EFI zboot image': 'a kernel in an EFI zboot image',
  'EFI program': 'an EFI program, such as a boot loader or a unified kernel image',
  script: 'a script',
  gzip: 'gzip-compressed data',
  xz: 'xz-compressed data',
  zstd: 'zstd-compressed data',
  bzip2: 'bzip2-compressed data',
  lz4: 'lz4-compressed data',
  lzma: 'lzma-compressed data',
  lzo: 'lzo-compressed data',
  'cpio archive': 'a cpio archive (an uncompressed initrd)',
  'ext file system': 'an ext2/3/4 file system image',
  'squashfs image': 'a squashfs image',
  'qcow2 disk': 'a qcow2 disk',
  'tar archive': 'a tar archive',
  'zip archive': 'a zip archive',
  'Debian package': 'a Debian package',
  'ISO image': 'an ISO image',
  'partitioned disk': 'a disk with a partition table',
  zeros: 'nothing but zeros at its beginning',
  text: 'a text file',
  unknown: 'none of the known kinds of file',
};
