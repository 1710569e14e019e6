/** Files that people bring, read whole; what keeps one from being read is a value. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isAbsence } from '../tools/files.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

/** Distribution kernels have 14 MB, an unstripped vmlinux with debug data up to 900 MB. */
export const MAX_KERNEL_FILE_BYTES = 1024 * 1024 * 1024;

/** A whole file of bounded size; what keeps it from being read is a value. */
export async function readWhole(path: string, limitBytes: number): Promise<{ ok: true; bytes: Buffer } | ImageRefusal> {
  try {
    // Asked of the opened file, so that it is the one that is read; a device has no end.
    await using file = await open(path, 'r');
    const seen = await file.stat();
    if (seen.isDirectory()) return refusal('file-unreadable', `${path} is a folder, not a file.`);
    if (!seen.isFile()) return refusal('file-unreadable', `${path} is not an ordinary file. Copy its content into one first.`);
    if (seen.size > limitBytes)
      return refusal('file-unreadable', `${path} has ${seen.size} bytes, more than the ${limitBytes} that are read here.`);
    return { ok: true, bytes: await readUpTo(file, seen.size) };
  } catch (error) {
    return unreadable(path, error);
  }
}

/** In one go, where readFile asks for half a megabyte at a time. A file that shrinks meanwhile is as long as what was read. */
async function readUpTo(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await file.read(bytes, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

/** A system error about a file somebody named → a refusal. Other errors are bugs and go on. */
export function unreadable(path: string, error: unknown): ImageRefusal {
  if (isAbsence(error)) return refusal('file-not-found', `There is no file ${path}. Check the path.`);
  const why = UNREADABLE.get((error as NodeJS.ErrnoException).code ?? '');
  if (why === undefined) throw error;
  return refusal('file-unreadable', `${path} ${why}`);
}

const UNREADABLE: ReadonlyMap<string, string> = new Map([
  ['EISDIR', 'is a folder, not a file.'],
  ['EACCES', 'may not be read by this user. Change its permissions or run as its owner.'],
  ['EPERM', 'may not be read by this user. Change its permissions or run as its owner.'],
  ['EIO', 'cannot be read: the disk reports an error.'],
  ['ERR_FS_FILE_TOO_LARGE', 'is too big to be a part of a golden image (more than 2 GiB).'],
]);
