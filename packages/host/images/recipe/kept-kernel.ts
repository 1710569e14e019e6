/**
 * What an image boots with when it is given a kernel of the store. A kernel that drives the guest by itself boots alone; one that has the drivers
 * as modules boots with our initrd, made of its own modules. The modules that were kept with it go into the root file system either way.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KernelRecord } from '@linstock/contract';
import { removeTree } from '../../tools/files.ts';
import { keptModules, unpackModules } from '../../kernels/module-tree.ts';
import { KernelShelf } from '../../kernels/shelf.ts';
import { fetchBusybox, initrdDigest, REQUIRES, type BootParts } from '../boot-parts.ts';
import { lookAtPackage } from '../distribution-package.ts';
import { leastMemoryMiB, readKernel } from '../golden-parts.ts';
import { buildInitrd } from '../initrd.ts';
import { faultOfRefusal, imageFault } from '../refusal.ts';
import type { Step } from '../steps.ts';
import type { ImageStore } from '../store.ts';

/** Of what images require, this is for an initrd; without one the kernel itself sets the address of `ip=`. */
const forInitrd: readonly string[] = ['BLK_DEV_INITRD', 'RD_GZIP'];
export const REQUIRES_ALONE: readonly string[] = [...REQUIRES.filter((option) => !forInitrd.includes(option)), 'IP_PNP'].toSorted();
/** What our initrd brings where it is a module. */
const BROUGHT: readonly string[] = ['EXT4_FS', 'HW_RANDOM_VIRTIO', 'VIRTIO_BLK', 'VIRTIO_CONSOLE', 'VIRTIO_MMIO', 'VIRTIO_NET'];

/** The modules that an image gets. */
export type ModulesWish = {
  /** of the kernel that the image will boot with: trees of other releases are of no use to it */
  release: string;
  /** `name@version`, for people */
  called: string;
  /** the archive that was kept with it; null: none was */
  archive: { blob: string; bytes: number } | null;
};

export type KeptBoot = {
  called: string;
  kernel: BootParts['kernel'];
  highestLoadEndBytes: number;
  modules: ModulesWish;
  /** whether it boots with an initrd, for which it needs its modules */
  initrd: boolean;
  requires: readonly string[];
};

/** Pure. What of its configuration decides how it boots; `missing` is what it lacks for the way that asks less of it. */
export function howItBoots(
  config: Readonly<Record<string, string>>,
  hasModules: boolean,
): { initrd: boolean; requires: readonly string[]; missing: readonly string[] } {
  const alone = REQUIRES_ALONE.filter((option) => config[option] !== 'y');
  if (alone.length === 0 || !hasModules) return { initrd: false, requires: REQUIRES_ALONE, missing: alone };
  const missing = REQUIRES.filter((option) => config[option] !== 'y' && !(config[option] === 'm' && BROUGHT.includes(option)));
  return { initrd: true, requires: REQUIRES, missing };
}

/** A fault when there is no such kernel, or it can boot neither way. */
export async function readKeptKernel(store: ImageStore, named: string): Promise<KeptBoot> {
  const record = await new KernelShelf(store).find(named);
  if (record === undefined) throw imageFault(`There is no kernel ${named} in the store. "linstock kernel list" shows what there is.`);
  const called = `${record.name}@${record.version}`;
  if (!(await held(store, record))) throw imageFault(`The file of the kernel ${called} is damaged or gone. Import or build it again.`);
  const { blob, bytes } = record.kernel;
  if (record.config === null)
    throw imageFault(
      `What is built into the kernel ${called} is not known, so whether it boots without an initrd is not either. Import it again with --config FILE.`,
    );
  const configText = await readFile(store.blobPath(record.config.blob), 'latin1');
  const read = await readKernel({ path: store.blobPath(blob), configText });
  if (!read.ok) throw faultOfRefusal(read, store.folder);
  const { facts, highestLoadEndBytes } = read.part;
  const modules = { release: facts.release, called, archive: record.modules };
  if (modules.archive !== null) await modulesOf(store, modules, undefined); // told before a build of minutes
  const { initrd, requires, missing } = howItBoots(facts.config, record.modules !== null);
  if (missing.length > 0) {
    const list = missing.map((option) => `CONFIG_${option}`).join(', ');
    throw imageFault(
      initrd
        ? `The kernel ${called} boots with our initrd, which cannot bring these, and they are not built into it: ${list}. Take another kernel.`
        : `The kernel ${called} boots without an initrd here, because no modules were kept with it, and these are not built into it: ${list}. Build it with them, which "linstock kernel build" does, or import its package with --modules.`,
    );
  }
  const from = record.from.is === 'package' ? `${record.from.package}=${record.from.version}` : null;
  return {
    called,
    kernel: { blob, bytes, ...facts, package: from },
    highestLoadEndBytes,
    modules,
    initrd,
    requires,
  };
}

/** For the time that a build may take nobody drops what it will need. */
async function held(store: ImageStore, { kernel, config, modules }: KernelRecord): Promise<boolean> {
  for (const part of [kernel, config, modules]) if (part !== null && !(await store.hold(part))) return false;
  return true;
}

/** What a golden was made with when it was made with this kernel: enough to find it again. */
export function keyOfKept(kept: KeptBoot, initScript: Uint8Array): { kernel: string; initrd: string } {
  return { kernel: `${kept.called} ${kept.kernel.blob}`, initrd: kept.initrd ? initrdDigest(initScript) : 'none' };
}

export async function bootPartsOfKept(
  kept: KeptBoot,
  job: { store: ImageStore; initScript: Uint8Array; scratch: string; step: Step; signal: AbortSignal | undefined },
): Promise<{ parts: BootParts; busybox: string | null }> {
  const { store, initScript, scratch, step, signal } = job;
  const { kernel, highestLoadEndBytes } = kept;
  if (!kept.initrd) return { parts: { kernel, initrd: null, leastMemoryMiB: leastMemoryMiB(highestLoadEndBytes, null) }, busybox: null };
  const record = await lookAtPackage('busybox-static', signal);
  if (!record.ok) throw faultOfRefusal(record, store.folder);
  const busybox = await step('fetch busybox', () => fetchBusybox(record.record, join(scratch, 'busybox'), signal));
  if (!busybox.ok) throw faultOfRefusal(busybox, store.folder);
  const initrd = await step('make the initrd', async () => {
    const place = join(scratch, 'modules');
    await unpackModules(await modulesOf(store, kept.modules, signal), place, scratch, signal);
    const made = await buildInitrd({ modulesFolder: join(place, kept.modules.release), busybox: busybox.program, initScript }, signal);
    await removeTree(place);
    return made;
  });
  if (!initrd.ok) throw faultOfRefusal(initrd, store.folder);
  const file = join(scratch, 'initrd.cpio.gz');
  await writeFile(file, initrd.bytes);
  const blob = await store.adoptBlob(file, signal);
  return {
    parts: {
      kernel,
      initrd: { ...blob, modules: [...initrd.modules] },
      leastMemoryMiB: leastMemoryMiB(highestLoadEndBytes, blob.bytes),
    },
    busybox: `${record.record.name}=${record.record.version}`,
  };
}

function modulesOf(
  store: ImageStore,
  { archive, release, called }: ModulesWish,
  signal: AbortSignal | undefined,
): ReturnType<typeof keptModules> {
  if (archive === null) throw new Error(`an initrd of modules that were not kept with ${called}`);
  return keptModules(store.blobPath(archive.blob), { release, called, signal });
}
