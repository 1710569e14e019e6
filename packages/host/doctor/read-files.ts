/** Reading for the doctor: whatever happens is a value, nothing is written, and nothing that blocks is waited for. */
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoName, isAbsence } from '../tools/files.ts';
import type { DeviceSight, FolderSight, Reading } from './readings.ts';

/** /proc/cpuinfo of 512 processors has 900 KB; more than this is nobody's honest file. */
const MOST_BYTES = 2 * 1024 * 1024;
/** Of a folder: a machine with more processors than this has the same governor on the others. */
const MOST_ENTRIES = 1_024;

/** ESRCH: the process that the file tells of has just gone. */
export function failed(error: unknown): { is: 'absent' } | { is: 'denied'; errno: string } {
  const errno = errnoName(error);
  if (errno === undefined) throw error;
  return isAbsence(error) || errno === 'ESRCH' ? { is: 'absent' } : { is: 'denied', errno };
}

export async function readHead(
  path: string,
  most: number,
): Promise<{ is: 'bytes'; bytes: Buffer } | { is: 'absent' } | { is: 'denied'; errno: string }> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK); // a FIFO would be waited for
    const parts: Buffer[] = [];
    let total = 0;
    while (total < most) {
      const part = Buffer.alloc(Math.min(65_536, most - total));
      const { bytesRead } = await file.read(part, 0, part.length, null);
      if (bytesRead === 0) break;
      parts.push(part.subarray(0, bytesRead));
      total += bytesRead;
    }
    return { is: 'bytes', bytes: Buffer.concat(parts) };
  } catch (error) {
    return failed(error);
  }
}

export async function readText(path: string): Promise<Reading> {
  const read = await readHead(path, MOST_BYTES);
  return read.is === 'bytes' ? { is: 'text', text: read.bytes.toString('utf8') } : read;
}

/** The file of this name in each entry of a folder, or with `file` absent each entry itself. */
export async function readFolder(path: string, choose: RegExp, file?: string): Promise<FolderSight> {
  let names: string[];
  try {
    names = (await readdir(path)).filter((name) => choose.test(name)).toSorted();
  } catch (error) {
    return failed(error);
  }
  const entries = names
    .slice(0, MOST_ENTRIES)
    .map(async (name) => ({ name, reading: await readText(join(path, name, ...(file === undefined ? [] : [file]))) }));
  return { is: 'read', entries: await Promise.all(entries) };
}

/** Opening is the only proof that it may be opened. O_NONBLOCK: some devices wait for their other side. */
export async function tryDevice(path: string): Promise<DeviceSight> {
  try {
    const character = (await stat(path)).isCharacterDevice();
    await using file = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
    return { is: 'opens', character: character && (await file.stat()).isCharacterDevice() };
  } catch (error) {
    return failed(error);
  }
}
