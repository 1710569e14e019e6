/**
 * The hand for files. Promises: a file that appears under its name is whole and on the disk (rule 17: files appear by rename and folders
 * are synced); absence is a value; removing what is not there is fine.
 */
import { createHash } from 'node:crypto';
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execOk } from './exec.ts';

/** 10 min: a full copy of a 100 GiB disk on a slow disk; an honest bound for something that normally takes milliseconds. */
const COPY_TIMEOUT_MS = 600_000;
const HASH_CHUNK_BYTES = 1024 * 1024;

/** True for the errors that only mean "not there". */
export function isAbsence(error: unknown): boolean {
  const code = errnoName(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** True when the disk, the quota or the file size limit is exhausted. */
export function isDiskFull(error: unknown): boolean {
  const code = errnoName(error);
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}

/** The name of an error of the system such as `EACCES`; undefined for any other error. */
export function errnoName(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

export async function ensureFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
}

export async function isThere(path: string): Promise<boolean> {
  return (await sizeIfThere(path)) !== undefined;
}

/** Size in bytes of what the path leads to, or undefined when there is nothing. */
export async function sizeIfThere(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

export async function readTextIfThere(path: string): Promise<string | undefined> {
  return (await readIfThere(path))?.toString('utf8');
}

/** Names in a folder, sorted; none when there is no folder. */
export async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).toSorted();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** The temporary name that a file has until it is whole. Fixed, so that a repeated attempt replaces the half file of the last one. */
export function halfNameOf(path: string): string {
  return `${path}.half`;
}

/** Writes a file that is either whole or not there, also after a power cut. */
export async function writeDurably(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  await writeWhole(path, data, { mode, sync: true });
  await syncFolder(dirname(path));
}

/**
 * Writes a file that is either whole or not there as long as the power stays on. What goes to the disk is the caller's to wait for: with
 * `syncFile` and `syncFolder`, before anything is recorded that rests on it.
 */
export async function writeWhole(path: string, data: string | Uint8Array, o: { mode?: number; sync?: boolean } = {}): Promise<void> {
  const half = halfNameOf(path);
  try {
    await rm(half, { force: true });
    const file = await open(half, 'wx', o.mode ?? 0o644);
    try {
      await file.writeFile(data);
      if (o.sync === true) await file.sync();
    } finally {
      await file.close();
    }
    await rename(half, path);
  } catch (error) {
    await rm(half, { force: true });
    throw error;
  }
}

/** Like writeDurably, but the first one wins: a file that is there already stays as it is. */
export async function writeFirst(path: string, data: string, mode = 0o644): Promise<void> {
  const half = `${path}.${process.pid}.half`;
  await writeDurably(half, data, mode);
  try {
    await link(half, path); // fails where a name exists, and a rename would not
    await syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(half, { force: true });
  }
}

/** Gives a finished file its final name, durably. */
export async function settleFile(half: string, path: string): Promise<void> {
  await syncFile(half);
  await rename(half, path);
  await syncFolder(dirname(path));
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncFolder(path: string): Promise<void> {
  await syncFile(path);
}

/** The SHA-256 of a file in hex, read in pieces; `read` is told how many bytes have been. */
export async function sha256File(path: string, signal?: AbortSignal, read: (bytes: number) => void = () => {}): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(HASH_CHUNK_BYTES);
    for (let bytes = 0; ;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
      read((bytes += bytesRead));
    }
  } finally {
    await file.close();
  }
}

export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * Copies a file, sharing blocks where the filesystem can (XFS and btrfs: 2 ms per GB image) and leaving holes where it cannot.
 * cp does both; Node's copyFile knows the first and not the second. Throws ToolFailure; the caller owns the half-written target.
 */
export async function cloneFile(from: string, to: string, signal?: AbortSignal): Promise<void> {
  await execOk(['cp', '--reflink=auto', '--sparse=always', '--', from, to], {
    timeoutMs: COPY_TIMEOUT_MS,
    signal,
  });
}
