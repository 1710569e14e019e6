/** What a file looks like from its first bytes: used to refuse with "this looks like …" instead of "invalid". Pure; never throws. */

export type FileKind =
  | 'empty'
  | 'elf'
  | 'bzImage'
  | 'arm64 Image'
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

const STARTS: readonly (readonly [FileKind, readonly number[]])[] = [
  ['elf', [0x7f, 0x45, 0x4c, 0x46]],
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x02, 0x21, 0x4c, 0x18]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]],
  ['lzma', [0x5d, 0x00, 0x00]],
  ['cpio archive', [...Buffer.from('07070')]],
  ['squashfs image', [...Buffer.from('hsqs')]],
  ['qcow2 disk', [...Buffer.from('QFI\xfb', 'latin1')]],
  ['zip archive', [...Buffer.from('PK\x03\x04', 'latin1')]],
  ['Debian package', [...Buffer.from('!<arch>\ndebian')]],
  ['script', [...Buffer.from('#!')]],
];

/** Offset of the ext2/3/4 superblock's magic 0xEF53 (kernel Documentation/filesystems/ext4/super.rst: 0x400 + 0x38). */
export const EXT_MAGIC_OFFSET = 0x438;
/** Enough bytes of a file's beginning to tell all kinds (the ISO mark sits at 0x8001). */
export const MAGIC_BYTES = 0x8010;

export function kindOf(bytes: Uint8Array): FileKind {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAGIC_BYTES));
  if (head.length === 0) return 'empty';
  const textAt = (at: number, length: number): string => head.toString('latin1', at, at + length);
  // A bzImage before the rest: its first bytes may be an EFI stub's "MZ" or old boot code; "HdrS" is its sign (Documentation/arch/x86/boot.rst).
  if (textAt(0x202, 4) === 'HdrS' && head.length > 0x206) return 'bzImage';
  if (textAt(0x38, 4) === 'ARM\x64') return 'arm64 Image';
  for (const [kind, start] of STARTS) if (start.every((byte, index) => head[index] === byte)) return kind;
  if (head[EXT_MAGIC_OFFSET] === 0x53 && head[EXT_MAGIC_OFFSET + 1] === 0xef) return 'ext file system';
  if (textAt(257, 5) === 'ustar') return 'tar archive';
  if (textAt(0x8001, 5) === 'CD001') return 'ISO image';
  if (head[0x1fe] === 0x55 && head[0x1ff] === 0xaa) return 'partitioned disk';
  if (head.every((byte) => byte === 0)) return 'zeros';
  return head.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 0x20 && byte !== 0x7f)) ? 'text' : 'unknown';
}

/** "it is …", for sentences. */
export const looks: Record<FileKind, string> = {
  empty: 'an empty file',
  elf: 'an ELF file',
  bzImage: 'a bzImage kernel',
  'arm64 Image': 'a kernel for arm64',
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
