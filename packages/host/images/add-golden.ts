/**
 * A golden from files somebody brings. Everything is looked at before anything is kept: a refusal says what is wrong with which file and
 * leaves the store as it was.
 */
import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { goldenManifestSchema } from '@linstock/contract';
import type { GoldenManifest } from '@linstock/contract';
import { readTextIfThere } from '../tools/files.ts';
import { checkInit, lookAtRootfs } from './ext4.ts';
import { leastMemoryMiB, readKernel, STANDARD_BOOT_ARGS, unreadable } from './golden-parts.ts';
import { MAGIC_BYTES, kindOf, looks } from './magic.ts';
import type { FileKind } from './magic.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import type { ImageStore } from './store.ts';

export type AddGoldenRequest = {
  name: string;
  kernelPath: string;
  rootfsPath: string;
  initrdPath?: string;
  /** A kernel config file beside the kernel; without one an embedded IKCONFIG is used if there is. */
  configPath?: string;
  /** Program that becomes PID 1; `/sbin/init` unless told. Told, it goes on the command line, too. */
  init?: string;
  machine?: { vcpus: number; memoryMiB: number };
  /** Tokens with placeholders of core/cmdline.ts; the standard template unless told. */
  bootArgs?: readonly string[];
  /** kernel options without CONFIG_ */
  requires?: readonly string[];
  userspaceArgs?: readonly string[];
  ports?: GoldenManifest['ports'];
  agent?: boolean;
  signal?: AbortSignal;
};

export type AddGoldenOutcome = { ok: true; golden: GoldenManifest } | ImageRefusal;

/** What the kernel unpacks as an initramfs (CONFIG_RD_*). */
const INITRD_KINDS: ReadonlySet<FileKind> = new Set<FileKind>(['gzip', 'xz', 'zstd', 'bzip2', 'lz4', 'lzma', 'lzo', 'cpio archive']);
const MACHINE = { vcpus: 1, memoryMiB: 128 };

export async function addGolden(store: ImageStore, request: AddGoldenRequest): Promise<AddGoldenOutcome> {
  const { signal } = request;
  const name = goldenManifestSchema.shape.name.safeParse(request.name);
  if (!name.success)
    return refusal(
      'name-not-allowed',
      `A golden image cannot be called ${JSON.stringify(request.name)}. Use 1 to 63 small letters, digits and hyphens, a letter first.`,
    );
  const machine = request.machine ?? MACHINE;
  for (const path of [request.kernelPath, request.rootfsPath, request.initrdPath, request.configPath]) {
    if (path === undefined) continue;
    const seen = await checkReadable(path);
    if (!seen.ok) return seen;
  }
  const configText = request.configPath === undefined ? null : ((await readTextIfThere(request.configPath)) ?? null);
  const kernel = await readKernel({ path: request.kernelPath, configText }, signal);
  if (!kernel.ok) return kernel;
  if (request.initrdPath !== undefined) {
    const kind = kindOf(await headOf(request.initrdPath));
    if (!INITRD_KINDS.has(kind))
      return refusal(
        'not-an-initrd',
        `${request.initrdPath} is not an initrd: it is ${looks[kind]}. Give a cpio archive, compressed or not.`,
      );
  }
  const least = leastMemoryMiB(
    kernel.part.highestLoadEndBytes,
    request.initrdPath === undefined ? null : (await stat(request.initrdPath)).size,
  );
  if (machine.memoryMiB < least) {
    return refusal(
      'kernel-too-big-for-memory',
      `${request.kernelPath} needs at least ${least} MiB of guest memory and the golden gives ${machine.memoryMiB}; such a guest would end without a word. Give more memory.`,
    );
  }
  const rootfs = await lookAtRootfs(request.rootfsPath);
  if (!rootfs.ok) return rootfs;
  const init = await checkInit(request.rootfsPath, request.init ?? '/sbin/init', signal);
  if (!init.ok) return init;

  return store.exclusively(signal, async (scratch): Promise<AddGoldenOutcome> => {
    const vmlinux = join(scratch, 'vmlinux');
    await writeFile(vmlinux, kernel.part.vmlinux);
    const kernelBlob = await store.adoptBlob(vmlinux, signal);
    const initrdBlob = request.initrdPath === undefined ? null : await store.copyBlob(request.initrdPath, scratch, signal);
    const rootfsBlob = await store.copyBlob(request.rootfsPath, scratch, signal);
    const golden = await store.seal(
      {
        name: request.name,
        kernel: { ...kernelBlob, ...kernel.part.facts, package: null },
        initrd: initrdBlob === null ? null : { ...initrdBlob, modules: [] },
        rootfs: { ...rootfsBlob, fstype: 'ext4', virtualBytes: rootfs.virtualBytes },
        machine: { ...machine, leastMemoryMiB: least },
        requires: [...(request.requires ?? [])],
        bootArgs: [...(request.bootArgs ?? STANDARD_BOOT_ARGS), ...(request.init === undefined ? [] : [`init=${request.init}`])],
        userspaceArgs: [...(request.userspaceArgs ?? [])],
        ports: request.ports ?? [],
        agent: request.agent ?? false,
        madeWith: { source: 'import' },
      },
      scratch,
    );
    return { ok: true, golden };
  });
}

async function checkReadable(path: string): Promise<{ ok: true } | ImageRefusal> {
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) return refusal('file-unreadable', `${path} is a folder, not a file.`);
    if (!facts.isFile()) return refusal('file-unreadable', `${path} is not an ordinary file. Copy its content into one first.`);
    await (await open(path, 'r')).close();
    return { ok: true };
  } catch (error) {
    return unreadable(path, error);
  }
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(MAGIC_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
