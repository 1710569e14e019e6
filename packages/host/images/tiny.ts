/**
 * The golden image `tiny`, from nothing but the distribution's packages and this repository: stock kernel, busybox, our init, our agent.
 * `ensureTiny` makes it so that it is there; when it is, the call reads one manifest and hashes a few small sources.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GoldenManifest } from '@linstock/contract';
import { sha256 } from '../tools/files.ts';
import { REQUIRES, bootKey, initrdDigest, lookForBootPackages, makeBootParts, userspaceArgsFor } from './boot-parts.ts';
import type { BootPackages } from './boot-parts.ts';
import { makeExt4 } from './ext4.ts';
import { buildProgram, missingProgram, programIdentity } from './go-program.ts';
import type { ProgramSource } from './go-program.ts';
import type { Begin } from './golden-builds.ts';
import { STANDARD_BOOT_ARGS } from './golden-parts.ts';
import { canonicalJson, isMadeWith } from './manifest.ts';
import type { ImageRefusal } from './refusal.ts';
import { tinyPlan } from './rootfs-tiny.ts';
import { stepsTo } from './steps.ts';
import type { Step } from './steps.ts';
import type { GoldenRef, ImageStore, Progress } from './store.ts';

/** Where the agent comes from, or that it is left out. */
export type AgentSource = false | ProgramSource;

export type TinyRequest = {
  agent: AgentSource;
  /** `as-built`: a golden from older packages will do, nobody is asked. `newest`: ask apt's lists and rebuild when they hold newer ones. */
  packages?: 'as-built' | 'newest';
  progress?: Progress;
  signal?: AbortSignal;
  /** Folder with initrd-init, init and the pages; the repository's own unless told. */
  recipeFolder?: string;
  /** called before anything is made, where what was made before will not do */
  begin?: Begin;
};

export type TinyOutcome = { ok: true; golden: GoldenManifest; built: boolean } | ImageRefusal;

export const TINY = 'tiny';
/** To be raised when the code that makes the files changes what it makes; the scripts and tables below are part of the key by themselves. */
const RECIPE_REVISION = 2;
const MACHINE = { vcpus: 1, memoryMiB: 128 } as const;
const PORTS: GoldenManifest['ports'] = [{ port: 6080, level: 'http' }];
const PAGES = ['index.html', 'vnc.html'] as const;

export function tinyRecipeFolder(): string {
  return fileURLToPath(new URL('../../../guest/images/tiny/', import.meta.url));
}

type Recipe = { initrdInit: Buffer; init: Buffer; pages: { name: string; data: Buffer }[]; digest: string };

async function readRecipe(folder: string): Promise<Recipe> {
  const read = (name: string): Promise<Buffer> => readFile(join(folder, name));
  const [initrdInit, init] = await Promise.all([read('initrd-init'), read('init')]);
  const pages = await Promise.all(PAGES.map(async (name) => ({ name, data: await read(name) })));
  const digest = sha256(
    canonicalJson({
      revision: RECIPE_REVISION,
      machine: MACHINE,
      requires: REQUIRES,
      ports: PORTS,
      bootArgs: STANDARD_BOOT_ARGS,
      initrd: initrdDigest(initrdInit),
      files: [init, ...pages.map((page) => page.data)].map((data) => sha256(data)),
    }),
  );
  return { initrdInit, init, pages, digest };
}

export async function ensureTiny(store: ImageStore, request: TinyRequest): Promise<TinyOutcome> {
  const { signal } = request;
  const missing = request.agent === false ? undefined : await missingProgram('guest agent', request.agent);
  if (missing !== undefined) return missing;
  const recipe = await readRecipe(request.recipeFolder ?? tinyRecipeFolder());
  const local = { recipe: recipe.digest, agent: request.agent === false ? 'none' : await programIdentity(request.agent) };
  const fits = async (golden: GoldenManifest | undefined): Promise<boolean> => golden !== undefined && (await store.checkGolden(golden)).ok;
  const find = (key: Readonly<Record<string, string>>): Promise<GoldenManifest | undefined> =>
    store.newest(TINY, (golden) => isMadeWith(golden, key));
  if (request.packages !== 'newest') {
    const there = await find(local);
    if (there !== undefined && (await fits(there))) return { ok: true, golden: there, built: false };
  }
  return store.exclusively(signal, async (scratch): Promise<TinyOutcome> => {
    // Looked for again: an equal request may have been before us in the queue.
    const again = request.packages === 'newest' ? undefined : await find(local);
    if (again !== undefined && (await fits(again))) return { ok: true, golden: again, built: false };
    const step = stepsTo(request.progress);
    const packages = await step('ask the package lists', () => lookForBootPackages(signal));
    if (!packages.ok) return packages;
    const madeWith = { ...local, ...bootKey(packages, recipe.initrdInit) };
    const newest = await find(madeWith);
    if (newest !== undefined && (await fits(newest))) return { ok: true, golden: newest, built: false };
    const taken = await request.begin?.(scratch);
    return build({ store, request, recipe, scratch, step, packages, madeWith, taken });
  });
}

async function build(job: {
  store: ImageStore;
  request: TinyRequest;
  recipe: Recipe;
  scratch: string;
  step: Step;
  packages: BootPackages;
  madeWith: Record<string, string>;
  taken: GoldenRef | undefined;
}): Promise<TinyOutcome> {
  const { store, request, recipe, scratch, step, packages } = job;
  const { signal } = request;
  const source = request.agent;
  const agent =
    source === false
      ? null
      : await step('build the guest agent', () => buildProgram('guest agent', source, join(scratch, 'agent'), signal));
  if (agent?.ok === false) return agent;
  const parts = await makeBootParts({ store, packages, initScript: recipe.initrdInit, scratch, step, signal });
  if (!parts.ok) return parts;
  const plan = tinyPlan({
    busybox: parts.busybox.program,
    applets: parts.busybox.applets,
    init: recipe.init,
    pages: recipe.pages,
    agent: agent?.program ?? null,
  });
  const image = join(scratch, 'rootfs.ext4');
  const made = await step('make the root file system', () => makeExt4(plan, image, signal));
  return step('store', async () => {
    const rootfsBlob = await store.adoptBlob(image, signal);
    const golden = await store.seal(
      {
        name: TINY,
        kernel: parts.kernel,
        initrd: parts.initrd,
        rootfs: { ...rootfsBlob, fstype: 'ext4', virtualBytes: made.virtualBytes },
        machine: { ...MACHINE, leastMemoryMiB: parts.leastMemoryMiB },
        requires: [...REQUIRES],
        bootArgs: [...STANDARD_BOOT_ARGS],
        userspaceArgs: userspaceArgsFor(parts.kernel),
        ports: PORTS,
        agent: agent !== null,
        madeWith: job.madeWith,
      },
      scratch,
      job.taken,
    );
    return { ok: true, golden, built: true };
  });
}
