/**
 * The distribution's own kernel, taken out of its package without installing it on the host. A meta-package (`linux-image-cloud-amd64`)
 * names the versioned one; Ubuntu keeps config and modules in a second package. Debian was tried; the Ubuntu row is from knowledge of its
 * archive (linux-image-virtual → linux-image-VERSION-generic → linux-modules-VERSION-generic).
 */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere, readTextIfThere } from '../tools/files.ts';
import { lookAtPackage, unpackPackage } from './distribution-package.ts';
import type { PackageName, PackageRecord } from './distribution-package.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

export type KernelRecipe = {
  meta: string;
  /** The versioned package among the meta-package's dependencies. */
  image: RegExp;
  /** Name of the package with modules and config, when it is not the image itself. */
  modules: ((image: string) => string) | null;
};

/** By ID of /etc/os-release. */
export const kernelRecipes = {
  debian: { meta: 'linux-image-cloud-amd64', image: /^linux-image-\d.*-cloud-amd64$/, modules: null },
  ubuntu: {
    meta: 'linux-image-virtual',
    image: /^linux-image-\d.*-generic$/,
    modules: (image) => image.replace(/^linux-image-/, 'linux-modules-'),
  },
} as const satisfies Record<string, KernelRecipe>;

/** Reads NAME=value lines, quotes removed (os-release(5)). */
export function parseOsRelease(text: string): Record<string, string> {
  const entries: [string, string][] = [];
  for (const line of text.split('\n')) {
    const match = /^([A-Z0-9_]+)=(?:"([^"]*)"|'([^']*)'|(\S*))\s*$/.exec(line);
    if (match?.[1] !== undefined) entries.push([match[1], match[2] ?? match[3] ?? match[4] ?? '']);
  }
  return Object.fromEntries(entries);
}

/** The recipe for a distribution: its own ID first, then what it says it is like (Linux Mint is like ubuntu, Ubuntu like debian). */
export function kernelRecipeFor(osRelease: string): KernelRecipe | undefined {
  const facts = parseOsRelease(osRelease);
  const table: Readonly<Record<string, KernelRecipe>> = kernelRecipes;
  for (const id of [facts['ID'] ?? '', ...(facts['ID_LIKE'] ?? '').split(' ')]) {
    if (Object.hasOwn(table, id)) return table[id];
  }
  return undefined;
}

export type KernelSource = { image: PackageRecord; modules: PackageRecord | null };

/** Which packages hold the newest kernel; asks apt's lists only. */
export async function lookForKernel(signal?: AbortSignal): Promise<{ ok: true; source: KernelSource } | ImageRefusal> {
  const osRelease = (await readTextIfThere('/etc/os-release')) ?? '';
  const recipe = kernelRecipeFor(osRelease);
  if (recipe === undefined) {
    const name = parseOsRelease(osRelease)['PRETTY_NAME'] ?? 'This host';
    return refusal(
      'distribution-unknown',
      `${name} is neither Debian nor Ubuntu nor like them, so its kernel package is not known here. Give your own kernel with "linstock golden import".`,
    );
  }
  const meta = await lookAtPackage(recipe.meta, signal);
  if (!meta.ok) return meta;
  const name = meta.record.depends.find((word) => recipe.image.test(word));
  if (name === undefined)
    return refusal(
      'package-unknown',
      `The package ${recipe.meta} ${meta.record.version} names no kernel image among its dependencies. Run "apt-get update" as root, then try again.`,
    );
  const image = await lookAtPackage(name, signal);
  if (!image.ok) return image;
  if (recipe.modules === null) return { ok: true, source: { image: image.record, modules: null } };
  const modules = await lookAtPackage(recipe.modules(name), signal);
  return modules.ok ? { ok: true, source: { image: image.record, modules: modules.record } } : modules;
}

export type KernelTree = {
  package: PackageName;
  release: string;
  /** Path of the bzImage. */
  vmlinuz: string;
  configText: string;
  /** Folder with `kernel/`, `modules.builtin`, `modules.order`. */
  modulesFolder: string;
};

/** Downloads and unpacks into `folder`. */
export async function fetchKernel(
  source: KernelSource,
  folder: string,
  signal?: AbortSignal,
): Promise<{ ok: true; kernel: KernelTree } | ImageRefusal> {
  const image = await unpackPackage(source.image, join(folder, 'image'), signal);
  if (!image.ok) return image;
  const trees = [image.tree];
  if (source.modules !== null) {
    const modules = await unpackPackage(source.modules, join(folder, 'modules'), signal);
    if (!modules.ok) return modules;
    trees.push(modules.tree);
  }
  const boot = await firstMatch(
    trees.map((tree) => join(tree, 'boot')),
    /^vmlinuz-/,
  );
  const config = await firstMatch(
    trees.map((tree) => join(tree, 'boot')),
    /^config-/,
  );
  // Since Debian 13 and Ubuntu 24.04 packages ship below /usr.
  const modulesFolder = await firstMatch(
    trees.flatMap((tree) => [join(tree, 'lib/modules'), join(tree, 'usr/lib/modules')]),
    /^\d/,
    'kernel',
  );
  if (boot === undefined || config === undefined || modulesFolder === undefined) {
    const lacks = [
      boot === undefined ? 'boot/vmlinuz-*' : '',
      config === undefined ? 'boot/config-*' : '',
      modulesFolder === undefined ? 'lib/modules/*' : '',
    ].filter((word) => word !== '');
    return refusal(
      'kernel-incomplete-package',
      `The package ${source.image.name} ${source.image.version} is not as expected: it lacks ${lacks.join(', ')}. Give your own kernel with "linstock golden import", and tell us.`,
    );
  }
  return {
    ok: true,
    kernel: {
      package: { name: source.image.name, version: source.image.version },
      release: boot.slice(boot.lastIndexOf('/vmlinuz-') + '/vmlinuz-'.length),
      vmlinuz: boot,
      configText: await readFile(config, 'latin1'),
      modulesFolder,
    },
  };
}

/** The first entry of these folders with such a name, by name. */
async function firstMatch(folders: readonly string[], name: RegExp, mustHold?: string): Promise<string | undefined> {
  for (const folder of folders) {
    if (!(await isThere(folder))) continue;
    for (const entry of (await readdir(folder)).toSorted()) {
      const path = join(folder, entry);
      if (name.test(entry) && (mustHold === undefined || (await isThere(join(path, mustHold))))) return path;
    }
  }
  return undefined;
}
