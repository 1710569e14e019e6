/** A golden image from a recipe: its root file system, with the kernel and the initrd that every image built here boots with. */
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { FaultError, goldenManifestSchema } from '@linstock/contract';
import type { GoldenManifest, GoldenOrder, RootfsRecord } from '@linstock/contract';
import { applyChanges } from '@linstock/core';
import { REQUIRES, bootKey, bootPartsThere, initrdDigest, lookForBootPackages, makeBootParts, userspaceArgsFor } from '../boot-parts.ts';
import type { BootParts } from '../boot-parts.ts';
import { STANDARD_BOOT_ARGS } from '../golden-parts.ts';
import { GoldenBuilds } from '../golden-builds.ts';
import type { Begin } from '../golden-builds.ts';
import { isMadeWith } from '../manifest.ts';
import { faultOfRefusal, imageFault } from '../refusal.ts';
import { stepsTo } from '../steps.ts';
import type { ImageStore } from '../store.ts';
import { buildRootfs } from './build.ts';
import type { RootfsRequest } from './build.ts';
import { loadRecipe } from './load.ts';
import { bootPartsOfKept, keyOfKept, readKeptKernel } from './kept-kernel.ts';

export type GoldenRequest = RootfsRequest & {
  name?: string | undefined;
  /** a kernel of the store by its name, with the modules that were kept with it; the distribution's unless told */
  kernel?: string | undefined;
  /** who asks, as its record names them */
  by: string;
};
export type GoldenBuilt = { golden: GoldenManifest; rootfs: RootfsRecord; built: boolean };

/** From its start on the version is there as a record, which says how far it is; a fault, and what is wrong stands in it, too. */
export async function buildGolden(store: ImageStore, now: () => number, request: GoldenRequest): Promise<GoldenBuilt> {
  const name = async (): Promise<string> => request.name ?? (await loadRecipe(request.named, request)).name;
  const asked = { name, order: orderOf(request), by: request.by, signal: request.signal };
  return new GoldenBuilds(store, now).during(asked, (begin) => build(store, now, request, begin));
}

function orderOf({ named, cwd, name, kernel, use }: GoldenRequest): GoldenOrder {
  return { recipe: named, cwd, name: name ?? null, kernel: kernel ?? null, use: use ?? 'as-built' };
}

async function build(store: ImageStore, now: () => number, request: GoldenRequest, begin: Begin): Promise<GoldenBuilt> {
  const { signal } = request;
  if (request.name !== undefined && !goldenManifestSchema.shape.name.safeParse(request.name).success)
    throw imageFault(
      `A golden image cannot be called ${JSON.stringify(request.name)}. Use 1 to 63 small letters, digits and hyphens, a letter first.`,
    );
  // before a build of minutes: a kernel that is not there, or cannot be used, is told at once
  const kept = request.kernel === undefined ? null : await readKeptKernel(store, request.kernel);
  const { rootfs } = await buildRootfs(store, now, {
    ...request,
    modules: kept?.modules,
    begin: async (scratch) => void (await begin(scratch)),
  });
  const name = request.name ?? rootfs.name;
  const local = { rootfs: rootfs.digest, blob: rootfs.rootfs.blob };
  const find = async (madeWith: Readonly<Record<string, string>>): Promise<GoldenBuilt | undefined> => {
    const golden = await store.newest(name, (one) => isMadeWith(one, madeWith));
    return golden !== undefined && (await store.checkGolden(golden)).ok ? { golden, rootfs, built: false } : undefined;
  };
  const seal = async (made: { parts: BootParts; requires: readonly string[]; key: Readonly<Record<string, string>> }, scratch: string) => {
    const { kernel, initrd, leastMemoryMiB } = made.parts;
    if (rootfs.machine.memoryMiB < leastMemoryMiB)
      throw imageFault(
        `The recipe ${rootfs.name} gives a VM ${rootfs.machine.memoryMiB} MiB of memory; its kernel and initrd need at least ${leastMemoryMiB} MiB. Raise machine.memoryMiB.`,
      );
    const golden = await store.seal(
      {
        name,
        kernel,
        initrd,
        rootfs: rootfs.rootfs,
        machine: { ...rootfs.machine, leastMemoryMiB },
        requires: [...made.requires],
        bootArgs: bootArgsOf(rootfs),
        userspaceArgs: userspaceArgsFor(kernel),
        ports: rootfs.ports,
        agent: rootfs.agent,
        init: rootfs.initIs,
        madeWith: { ...rootfs.madeWith, ...local, ...made.key },
      },
      scratch,
      await begin(scratch),
    );
    return { golden, rootfs, built: true };
  };
  const initScript = await readFile(join(request.builtIn, 'tiny', 'initrd-init'));
  const step = stepsTo(request.progress);
  if (kept !== null) {
    const key = keyOfKept(kept, initScript);
    const there = request.use === 'fresh' ? undefined : await find({ ...local, ...key });
    return (
      there ??
      store.exclusively(signal, async (scratch) => {
        await begin(scratch);
        const { parts, busybox } = await bootPartsOfKept(kept, { store, initScript, scratch, step, signal });
        return seal({ parts, requires: kept.requires, key: busybox === null ? key : { ...key, busybox } }, scratch);
      })
    );
  }
  const known = (request.use ?? 'as-built') === 'as-built' ? await find({ ...local, initrd: initrdDigest(initScript) }) : undefined;
  if (known !== undefined) return known;
  const packages = await step('ask the package lists', () => lookForBootPackages(signal));
  if (!packages.ok) throw faultOfRefusal(packages, store.folder);
  const key = bootKey(packages, initScript);
  const same = await find({ ...local, ...key });
  if (same !== undefined) return same;
  const newParts = async (scratch: string): Promise<BootParts> => {
    const made = await makeBootParts({ store, packages, initScript, scratch, step, signal });
    if (!made.ok) throw faultOfRefusal(made, store.folder);
    return made;
  };
  return store.exclusively(signal, async (scratch) => {
    await begin(scratch);
    const parts = (await bootPartsThere(store, key)) ?? (await newParts(scratch));
    return seal({ parts, requires: REQUIRES, key }, scratch);
  });
}

function bootArgsOf({ name, init, bootArgs }: RootfsRecord): string[] {
  const add = [...bootArgs.add, ...(init === '/sbin/init' ? [] : [`init=${init}`])];
  const changed = applyChanges(STANDARD_BOOT_ARGS, { ...bootArgs, add });
  if (changed.is === 'wrong')
    throw new FaultError('boot-args-invalid', { problems: `in the recipe ${name}, ${changed.problems.join(' ')}` });
  return [...changed.tokens];
}
