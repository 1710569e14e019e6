/**
 * The private disk of a VM. For QEMU a qcow2 overlay over the golden's root file system, for Firecracker a copy that shares blocks where the
 * host's file system can. A disk is whole under its name or not there; a full host disk is a value, and nothing is left of the attempt.
 */
import { copyFile, open, rm, statfs } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GoldenManifest } from '@linstock/contract';
import { ToolFailure, execOk } from '../tools/exec.ts';
import { cloneFile, ensureFolder, halfNameOf, isDiskFull, isThere, settleFile, sha256, sizeIfThere } from '../tools/files.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import type { ImageStore } from './store.ts';

export type DiskRequest = {
  store: ImageStore;
  golden: GoldenManifest;
  /** Absolute path of the disk. */
  path: string;
  format: 'qcow2' | 'raw';
  signal?: AbortSignal;
};
export type Disk = { ok: true; path: string; format: DiskRequest['format']; bytes: number };

const TOOL_TIMEOUT_MS = 60_000;
/** A failed tool does not say why in its exit code; with less room than this the reason was the room. */
const FULL_BELOW_BYTES = 1024 * 1024;

async function overlay(request: DiskRequest, half: string): Promise<void> {
  const template = await ensureTemplate(request);
  await copyFile(template, half, constants.COPYFILE_FICLONE);
}

async function rawCopy(request: DiskRequest, half: string): Promise<void> {
  await cloneFile(request.store.blobPath(request.golden.rootfs.blob), half, request.signal);
  // The blob is read-only and cp keeps that.
  const file = await open(half, 'r');
  try {
    await file.chmod(0o600);
  } finally {
    await file.close();
  }
}

/** A VM's disk; one that is there already is kept, with what the guest wrote. */
export async function ensureDisk(request: DiskRequest): Promise<Disk | ImageRefusal> {
  const { path, store, golden, format } = request;
  const there = await sizeIfThere(path);
  if (there !== undefined) return { ok: true, path, format, bytes: there };
  const parts = await store.checkBlob(golden.rootfs);
  if (!parts.ok)
    return refusal(parts.code, `The root file system of golden image ${golden.name} version ${golden.version} is damaged. ${parts.say}`);
  request.signal?.throwIfAborted();
  const half = halfNameOf(path);
  try {
    await ensureFolder(dirname(path));
    await rm(half, { force: true });
    await (format === 'qcow2' ? overlay : rawCopy)(request, half);
    await settleFile(half, path);
    return { ok: true, path, format, bytes: (await sizeIfThere(path)) ?? 0 };
  } catch (error) {
    // Asked before the half file is removed: that would make room again.
    const full = await wasFull(error, dirname(path));
    await rm(half, { force: true });
    if (full)
      return {
        freeMiB: await freeMiB(dirname(path)),
        ...refusal(
          'disk-full',
          `There is no room for the disk of this VM: ${dirname(path)} is on a file system that is full. Make room, or move the state folder.`,
        ),
      };
    throw error;
  }
}

export async function freeMiB(folder: string): Promise<number> {
  const room = await statfs(folder);
  return Math.floor((room.bavail * room.bsize) / (1024 * 1024));
}

/** Whether a file or a tool failed for want of room under `folder`; asked before what is half done is removed. */
export async function wasFull(error: unknown, folder: string): Promise<boolean> {
  if (isDiskFull(error)) return true;
  if (!(error instanceof ToolFailure) || error.result.timedOut) return false;
  const room = await statfs(folder);
  return room.bavail * room.bsize < FULL_BELOW_BYTES || (room.files > 0 && room.ffree === 0);
}

/**
 * The empty overlay beside the golden, made once: qemu-img takes 30 ms and a process, copying its 200 KB takes a fraction of one. The backing
 * path is absolute (a relative one is looked up from the overlay's folder) and part of the name: a moved state folder gets a new template.
 */
async function ensureTemplate(request: DiskRequest): Promise<string> {
  const { store, golden } = request;
  const backing = store.blobPath(golden.rootfs.blob);
  const template = join(store.goldenFolder(golden), `overlay-${sha256(backing).slice(0, 16)}.qcow2`);
  if (await isThere(template)) return template;
  // Not in the store's queue, where a build may take minutes. Two VMs may come first at once: both templates are equal, the later rename wins.
  return store.withScratch(async (scratch) => {
    const half = join(scratch, 'overlay.qcow2');
    await execOk(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', backing, half], {
      timeoutMs: TOOL_TIMEOUT_MS,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    await settleFile(half, template);
    return template;
  });
}
