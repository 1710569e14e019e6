/**
 * What every image built here boots with: the kernel of the host's distribution, unpacked, and our initrd with the modules it needs. Both come
 * from packages without installing any.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GoldenManifest } from '@linstock/contract';
import { execOk } from '../tools/exec.ts';
import { isThere, removeTree, sha256 } from '../tools/files.ts';
import { lookAtPackage, unpackPackage } from './distribution-package.ts';
import type { PackageRecord } from './distribution-package.ts';
import { leastMemoryMiB, readKernel } from './golden-parts.ts';
import { INITRD_APPLETS, OPTIONAL_MODULES, REQUIRED_MODULES, buildInitrd } from './initrd.ts';
import { fetchKernel, lookForKernel } from './kernel-package.ts';
import type { KernelSource } from './kernel-package.ts';
import { canonicalJson, isMadeWith } from './manifest.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import { packagesBelow } from './steps.ts';
import type { Step } from './steps.ts';
import type { ImageStore } from './store.ts';

/** What an image cannot do without: its disk, network, console, agent channel and file systems. */
export const REQUIRES = [
  'ACPI',
  'BLK_DEV_INITRD',
  'DEVTMPFS',
  'EXT4_FS',
  'HW_RANDOM_VIRTIO',
  'PVH',
  'RD_GZIP',
  'SERIAL_8250_CONSOLE',
  'TMPFS',
  'UNIX',
  'VIRTIO_BLK',
  'VIRTIO_CONSOLE',
  'VIRTIO_MMIO',
  'VIRTIO_NET',
] as const;

const TOOL_TIMEOUT_MS = 30_000;

export type BootPackages = { kernel: KernelSource; busybox: PackageRecord };

/** Which packages apt would take now; asks its lists only. */
export async function lookForBootPackages(signal: AbortSignal | undefined): Promise<({ ok: true } & BootPackages) | ImageRefusal> {
  const kernel = await lookForKernel(signal);
  if (!kernel.ok) return kernel;
  const busybox = await lookAtPackage('busybox-static', signal);
  return busybox.ok ? { ok: true, kernel: kernel.source, busybox: busybox.record } : busybox;
}

/** What decides kernel and initrd, as a manifest's `madeWith` names it. */
export type BootKey = { kernel: string; busybox: string; initrd: string };
export function bootKey({ kernel, busybox }: BootPackages, initScript: Uint8Array): BootKey {
  return {
    kernel: `${kernel.image.name}=${kernel.image.version}`,
    busybox: `${busybox.name}=${busybox.version}`,
    initrd: initrdDigest(initScript),
  };
}

/** Everything of the initrd but the packages. */
export function initrdDigest(initScript: Uint8Array): string {
  return sha256(canonicalJson({ applets: INITRD_APPLETS, modules: [...REQUIRED_MODULES, ...OPTIONAL_MODULES], init: sha256(initScript) }));
}

export type Busybox = { program: Buffer; applets: string[] };
export type BootParts = Pick<GoldenManifest, 'kernel' | 'initrd'> & { leastMemoryMiB: number };

/** Those of a golden that was made of the same, whatever its root file system is; undefined when there is none that is whole. */
export async function bootPartsThere(store: ImageStore, key: BootKey): Promise<BootParts | undefined> {
  for (const name of await store.names()) {
    const golden = await store.newest(name, (one) => isMadeWith(one, key));
    if (golden === undefined || !(await store.checkGolden(golden)).ok) continue;
    const { kernel, initrd } = golden;
    if ((await store.hold(kernel)) && (initrd === null || (await store.hold(initrd))))
      return { ...golden, leastMemoryMiB: golden.machine.leastMemoryMiB };
  }
  return undefined;
}

/** Fetches, unpacks and puts kernel and initrd into the store. */
export async function makeBootParts(job: {
  store: ImageStore;
  packages: BootPackages;
  initScript: Uint8Array;
  scratch: string;
  step: Step;
  signal: AbortSignal | undefined;
}): Promise<({ ok: true; busybox: Busybox } & BootParts) | ImageRefusal> {
  const { store, packages, scratch, step, signal } = job;
  const folder = (name: string): string => join(scratch, name);
  const fetched = await step(
    'fetch the kernel package',
    () => fetchKernel(packages.kernel, folder('kernel'), signal),
    packagesBelow(folder('kernel'), packages.kernel.image.bytes + (packages.kernel.modules?.bytes ?? 0)),
  );
  if (!fetched.ok) return fetched;
  const { kernel } = fetched;
  const busybox = await step('fetch busybox', () => fetchBusybox(packages.busybox, folder('busybox'), signal));
  if (!busybox.ok) return busybox;
  const read = await step('unpack the kernel', () => readKernel({ path: kernel.vmlinuz, configText: kernel.configText }, signal));
  if (!read.ok) return read;
  const initrd = await step('make the initrd', () =>
    buildInitrd({ modulesFolder: kernel.modulesFolder, busybox: busybox.program, initScript: job.initScript }, signal),
  );
  if (!initrd.ok) return initrd;
  // 100 MB of unpacked modules are no longer needed; free them before the image asks for room.
  await removeTree(folder('kernel'));
  await writeFile(folder('vmlinux'), read.part.vmlinux);
  await writeFile(folder('initrd.cpio.gz'), initrd.bytes);
  const kernelBlob = await store.adoptBlob(folder('vmlinux'), signal);
  const initrdBlob = await store.adoptBlob(folder('initrd.cpio.gz'), signal);
  return {
    ok: true,
    kernel: { ...kernelBlob, ...read.part.facts, package: `${kernel.package.name}=${kernel.package.version}` },
    initrd: { ...initrdBlob, modules: [...initrd.modules] },
    leastMemoryMiB: leastMemoryMiB(read.part.highestLoadEndBytes, initrdBlob.bytes),
    busybox,
  };
}

export async function fetchBusybox(
  record: PackageRecord,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<({ ok: true } & Busybox) | ImageRefusal> {
  const unpacked = await unpackPackage(record, folder, signal);
  return unpacked.ok ? findBusybox(unpacked.tree, signal) : unpacked;
}

async function findBusybox(tree: string, signal: AbortSignal | undefined): Promise<({ ok: true } & Busybox) | ImageRefusal> {
  for (const path of ['bin/busybox', 'usr/bin/busybox']) {
    const file = join(tree, path);
    if (!(await isThere(file))) continue;
    const list = await execOk([file, '--list'], { timeoutMs: TOOL_TIMEOUT_MS, signal });
    return { ok: true, program: await readFile(file), applets: list.stdout.split('\n').filter((name) => name !== '') };
  }
  return refusal(
    'package-unknown',
    'The package busybox-static holds no busybox program where it was expected (bin, usr/bin). Tell us, with the name of your distribution.',
  );
}

/** A kernel without IP_PNP calls ip= unknown and our initrd reads it; with IP_PNP the kernel does it and calls nothing unknown. */
export function userspaceArgsFor(kernel: GoldenManifest['kernel']): string[] {
  return kernel.config['IP_PNP'] === 'y' ? [] : ['ip'];
}
