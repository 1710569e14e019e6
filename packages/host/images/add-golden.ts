/**
 * A golden from files somebody brings. Everything is looked at before anything is kept: a refusal says what is wrong with which file and
 * leaves the store as it was. `lookAtGolden` is the look alone.
 */
import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { goldenManifestSchema } from '@linstock/contract';
import type { GoldenManifest } from '@linstock/contract';
import { MAGIC_BYTES, kindOf, lastValue, looks, parseCommandLine, type FileKind } from '@linstock/core';
import { readTextIfThere } from '../tools/files.ts';
import { checkInit, lookAtRootfs } from './ext4.ts';
import { freeMiB, wasFull } from './disk.ts';
import { leastMemoryMiB, readKernel, STANDARD_BOOT_ARGS, type KernelPart } from './golden-parts.ts';
import { unreadable } from './read-whole.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import type { ImageStore, Progress, Tell } from './store.ts';

export type AddGoldenRequest = {
  name: string;
  kernelPath: string;
  rootfsPath: string;
  initrdPath?: string;
  /** A kernel config file beside the kernel; without one an embedded IKCONFIG is used if there is. */
  configPath?: string;
  /** Program that becomes PID 1; what `init=` of the boot arguments names, else `/sbin/init`. Told, it goes on the command line, too. */
  init?: string;
  machine?: { vcpus: number; memoryMiB: number };
  /** Tokens with placeholders of core/cmdline.ts; the standard template unless told. */
  bootArgs?: readonly string[];
  /** kernel options without CONFIG_ */
  requires?: readonly string[];
  userspaceArgs?: readonly string[];
  ports?: GoldenManifest['ports'];
  agent?: boolean;
  progress?: Progress;
  signal?: AbortSignal;
};

export type AddGoldenOutcome = { ok: true; golden: GoldenManifest; looked: LookedAt } | ImageRefusal;

/** What the kernel unpacks as an initramfs (CONFIG_RD_*). */
const INITRD_KINDS: ReadonlySet<FileKind> = new Set<FileKind>(['gzip', 'xz', 'zstd', 'bzip2', 'lz4', 'lzma', 'lzo', 'cpio archive']);
const MACHINE = { vcpus: 1, memoryMiB: 128 };

/** What the files are, as far as the golden's manifest and its user need to know. */
export type LookedAt = {
  ok: true;
  kernel: KernelPart;
  /** what the kernel's file is; of a bzImage the vmlinux in it is kept */
  kernelIs: FileKind;
  leastMemoryMiB: number;
  rootfs: { bytes: number; virtualBytes: number };
  /** undefined: an initrd without root= decides who becomes PID 1, and it is not looked into */
  init: GoldenManifest['init'];
};

/** All that keeps these files from being a golden, as far as it can be seen; keeps nothing. */
export async function lookAtGolden(request: AddGoldenRequest): Promise<LookedAt | ImageRefusal> {
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
  const init = await lookAtInit(request);
  if (!init.ok) return init;
  return {
    ok: true,
    kernel: kernel.part,
    kernelIs: kindOf(await headOf(request.kernelPath)),
    leastMemoryMiB: least,
    rootfs: { bytes: rootfs.bytes, virtualBytes: rootfs.virtualBytes },
    init: init.is,
  };
}

async function lookAtInit(request: AddGoldenRequest): Promise<{ ok: true; is: GoldenManifest['init'] } | ImageRefusal> {
  const { kernel } = parseCommandLine((request.bootArgs ?? STANDARD_BOOT_ARGS).join(' '));
  if (request.initrdPath !== undefined && lastValue(kernel, 'root') === null) return { ok: true, is: undefined };
  const seen = await checkInit(request.rootfsPath, request.init ?? (lastValue(kernel, 'init') || '/sbin/init'));
  return seen.ok ? { ok: true, is: seen.program.endsWith('/systemd') ? 'systemd' : 'other' } : seen;
}

export async function addGolden(store: ImageStore, request: AddGoldenRequest): Promise<AddGoldenOutcome> {
  const looked = await lookAtGolden(request);
  if (!looked.ok) return looked;
  try {
    return { ok: true, golden: await keep(store, request, looked), looked };
  } catch (error) {
    if (!(await wasFull(error, store.folder))) throw error;
    return {
      freeMiB: await freeMiB(store.folder),
      ...refusal(
        'disk-full',
        `There is no room for the image: ${store.folder} is on a file system that is full. Make room, or move the state folder.`,
      ),
    };
  }
}

function keep(store: ImageStore, request: AddGoldenRequest, looked: LookedAt): Promise<GoldenManifest> {
  const { signal } = request;
  const telling =
    (what: string): Tell =>
    (doing, done, total) =>
      request.progress?.({ name: `${doing} the ${what}`, done, total, unit: 'bytes' });
  return store.exclusively(signal, async (scratch) => {
    // the biggest first: what is refused for want of room has then left nothing
    const rootfsBlob = await store.copyBlob(request.rootfsPath, scratch, signal, telling('root file system'));
    const vmlinux = join(scratch, 'vmlinux');
    await writeFile(vmlinux, looked.kernel.vmlinux);
    const kernelBlob = await store.adoptBlob(vmlinux, signal);
    const initrdBlob =
      request.initrdPath === undefined ? null : await store.copyBlob(request.initrdPath, scratch, signal, telling('initrd'));
    const { ports, requires, userspaceArgs } = request;
    return store.seal(
      {
        name: request.name,
        kernel: { ...kernelBlob, ...looked.kernel.facts, package: null },
        initrd: initrdBlob === null ? null : { ...initrdBlob, modules: [] },
        rootfs: { ...rootfsBlob, fstype: 'ext4', virtualBytes: looked.rootfs.virtualBytes },
        machine: { ...(request.machine ?? MACHINE), leastMemoryMiB: looked.leastMemoryMiB },
        requires: [...(requires ?? [])],
        bootArgs: withInit(request.bootArgs ?? STANDARD_BOOT_ARGS, request.init),
        userspaceArgs: [...(userspaceArgs ?? [])],
        ports: ports ?? [],
        agent: request.agent ?? false,
        ...(looked.init === undefined ? {} : { init: looked.init }),
        madeWith: { source: 'import' },
      },
      scratch,
    );
  });
}

/** Before a `--`: behind it stand the arguments of init itself. */
function withInit(tokens: readonly string[], init: string | undefined): string[] {
  if (init === undefined) return [...tokens];
  const dashes = tokens.indexOf('--');
  return tokens.toSpliced(dashes === -1 ? tokens.length : dashes, 0, `init=${init}`);
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
