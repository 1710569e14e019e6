/** What the files that a boot is made of look like from their first bytes, in the words of file(1): a name or a format says nothing. */
import { open } from 'node:fs/promises';
import { kindOf, MAGIC_BYTES, type FileKind } from '@linstock/core';
import { lookAtElf } from '@linstock/core/kernel';
import { isAbsence } from '../tools/files.ts';
import type { Look } from './look.ts';

export type ImageFile = { name: 'kernel' | 'initrd' | 'rootfs'; path: string };

const words: Partial<Record<FileKind, string>> = {
  bzImage: 'Linux kernel x86 boot executable bzImage',
  'arm64 Image': 'Linux kernel ARM64 boot executable Image',
  'ext file system': 'Linux rev 1.0 ext2/ext3/ext4 filesystem data',
  'qcow2 disk': 'QEMU QCOW2 Image',
  'squashfs image': 'Squashfs filesystem, little endian',
  'partitioned disk': 'DOS/MBR boot sector',
  'cpio archive': 'ASCII cpio archive (SVR4 with no CRC)',
  gzip: 'gzip compressed data',
  xz: 'XZ compressed data',
  zstd: 'Zstandard compressed data',
  text: 'ASCII text',
  script: 'script, ASCII text executable',
  zeros: 'data, all zeros at its beginning',
  unknown: 'data',
};
/** e_machine (elf.h) */
const machines: Readonly<Record<number, string>> = { 3: 'Intel 80386', 40: 'ARM', 62: 'x86-64', 183: 'ARM aarch64', 243: 'UCB RISC-V' };

export function lookAtImageFiles(files: readonly ImageFile[]): Promise<Look[]> {
  return Promise.all(files.map(async ({ name, path }) => ({ shown: `file ${name}`, output: `${name}: ${await wordsOf(path)}` })));
}

async function wordsOf(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const head = Buffer.alloc(MAGIC_BYTES);
      const [{ bytesRead }, { size }] = [await file.read(head, 0, head.length, 0), await file.stat()];
      const bytes = head.subarray(0, bytesRead);
      const kind = kindOf(bytes);
      return `${kind === 'elf' ? elfWords(bytes) : (words[kind] ?? kind)}, ${size} bytes`;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isAbsence(error)) return 'cannot open (No such file or directory)';
    throw error;
  }
}

function elfWords(head: Buffer): string {
  const look = lookAtElf(head);
  if (look.is !== 'elf') return `ELF, ${look.is}`;
  const { machine, highestLoadEndBytes } = look.headers;
  const mib = (highestLoadEndBytes / 1_048_576).toFixed(1);
  return `ELF 64-bit LSB executable, ${machines[machine] ?? `machine ${machine}`}, loaded up to ${mib} MiB`;
}
