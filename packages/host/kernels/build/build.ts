/**
 * Builds a kernel from the distribution's source package and fragments of a configuration:
 *
 *   BUILDS/SERIES-RECIPE/build.log     everything that make said, over all tries
 *   BUILDS/SERIES-RECIPE/source/       the sources, unpacked; objects are made inside of it; gone when the kernel is kept
 *   BUILDS/SERIES-RECIPE/asked.json    written when it is configured: what was asked for and not met
 *
 * Every step finds what an earlier try has made and goes on from there. RECIPE is the digest of everything that decides the bytes: package,
 * fragments, compiler, linker, how make is called. The same recipe gives the same bytes in every folder.
 */
import { readdir, readFile, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { unmetOptionSchema } from '@linstock/contract';
import type { KernelBuild, KernelRecord, UnmetOption } from '@linstock/contract';
import { readConfigText } from '@linstock/core/kernel';
import { askingText, estimatedSteps, layFragments, readFragment, readKconfig, unmetOptions } from '@linstock/core/kernel-build';
import type { Fragment } from '@linstock/core/kernel-build';
import { describeFailure, exec, execOk, succeeded } from '../../tools/exec.ts';
import { ensureFolder, isThere, readTextIfThere, removeTree, sha256, writeDurably } from '../../tools/files.ts';
import { lookAtPackage, unpackPackage } from '../../images/distribution-package.ts';
import type { PackageRecord } from '../../images/distribution-package.ts';
import { canonicalJson } from '../../images/manifest.ts';
import { readWhole } from '../../images/read-whole.ts';
import { faultOfRefusal, imageFault } from '../../images/refusal.ts';
import { stepsTo } from '../../images/steps.ts';
import type { ImageStore, Progress } from '../../images/store.ts';
import { treeFromTar } from '../../images/tree/from-tar.ts';
import type { Tree } from '../../images/tree/tree.ts';
import { keepKernel } from '../keep.ts';
import { KernelShelf } from '../shelf.ts';
import { HOW_MADE, make, watching } from './make.ts';
import type { Making } from './make.ts';
import { BUILD_PATH, refuseWithoutTools } from './needs.ts';

export type BuildKernelRequest = {
  /** `6.1`: of linux-source-6.1 */
  series: string;
  /** laid over each other in this order; the first is the ground */
  fragments: readonly { name: string; text: string }[];
  name: string;
  jobs: number;
  /** where builds happen */
  builds: string;
  /** nobody else builds in a folder as long as this is held; null when somebody does */
  hold: (folder: string) => Promise<{ release(): Promise<void> } | null>;
  /** told when it is known where the log will be */
  began?: (log: string) => void;
  progress?: Progress;
  signal?: AbortSignal | undefined;
};

export type BuiltKernel = { record: KernelRecord; built: boolean; unmet: readonly UnmetOption[]; log: string };

/** 1.5 GB in 80,000 files onto a slow disk. */
const UNPACK_TIMEOUT_MS = 1_800_000;
const TOOL_TIMEOUT_MS = 120_000;
const MAX_KCONFIG_BYTES = 64 * 1024 * 1024;

export async function buildKernel(store: ImageStore, request: BuildKernelRequest): Promise<BuiltKernel> {
  const { series, signal, name, progress } = request;
  if (!/^[1-9]\d?\.\d{1,3}$/.test(series))
    throw imageFault(`A kernel is built from a series of sources such as 6.1 or 6.12, not from ${JSON.stringify(series)}.`);
  const fragments = request.fragments.map(({ name: called, text }) => fragmentOrThrow(called, text));
  await refuseWithoutTools();
  const source = await lookAtPackage(`linux-source-${series}`, signal);
  if (!source.ok) throw faultOfRefusal(source, request.builds);
  const recipe = await recipeOf(source.record, fragments, signal);
  const folder = join(request.builds, `${series}-${recipe.recipe.slice(0, 16)}`);
  const log = join(folder, 'build.log');
  const there = await findBuilt(store, name, recipe.recipe);
  if (there !== undefined) return { ...there, built: false, log };
  if (/[\s:]/.test(folder))
    throw imageFault(
      `The sources of a kernel cannot lie in ${folder}: its makefiles allow no spaces and no colons in it. Use another state folder.`,
    );
  await ensureFolder(folder);
  const held = await request.hold(folder);
  if (held === null) throw imageFault(`This kernel is being built already, in ${folder}. Wait for it, or end it.`);
  try {
    request.began?.(log);
    const step = stepsTo(progress);
    const tree = join(folder, 'source');
    if (!(await isThere(tree))) await unpackSource(source.record, folder, tree, step, signal);
    const making = { tree, log, jobs: request.jobs, signal };
    const { unmet, optionsOn } = await step('configure the kernel', () => configure(making, folder, fragments));
    const withModules = asksForModules(fragments);
    const targets = withModules ? [HOW_MADE.target, 'modules'] : [HOW_MADE.target];
    await watching({ log, steps: estimatedSteps(optionsOn), progress }, () => make(making, targets));
    const stripped = join(folder, 'vmlinux');
    await execOk(['strip', '--strip-all', '-o', stripped, join(tree, 'vmlinux')], { timeoutMs: TOOL_TIMEOUT_MS, signal });
    const built = withModules ? await step('collect the modules', () => installedModules(making, folder)) : null;
    const { record } = await keepKernel(store, {
      path: stripped,
      built,
      name,
      configPath: join(tree, '.config'),
      from: { is: 'build', ...recipe, unmet: [...unmet] },
      signal,
      ...(progress === undefined ? {} : { progress }),
    });
    await step('tidy up', async () => {
      for (const part of ['source', 'vmlinux', 'asked.json', 'modules', 'modules.tar']) await removeTree(join(folder, part));
    });
    return { record, built: true, unmet, log };
  } finally {
    await held.release();
  }
}

function fragmentOrThrow(name: string, text: string): Fragment {
  const read = readFragment(name, text);
  if (!read.ok) throw imageFault(`${read.say}.`);
  return read.fragment;
}

/** A fragment that somebody brings. */
export async function readFragmentFile(path: string): Promise<{ name: string; text: string }> {
  const read = await readWhole(path, 4 * 1024 * 1024);
  if (!read.ok) throw faultOfRefusal(read, path);
  return { name: basename(path), text: read.bytes.toString('utf8') };
}

/** Nothing selects MODULES: who wants modules asks for them. */
function asksForModules(fragments: readonly Fragment[]): boolean {
  return layFragments(fragments).get('MODULES')?.value === 'y';
}

/** Part of what decides the bytes; what depmod makes is left to who keeps them. */
const MODULES_HOW = { INSTALL_MOD_STRIP: '1', DEPMOD: '/bin/true' } as const;

async function installedModules(making: Making, folder: string): Promise<Tree> {
  const [place, archive] = [join(folder, 'modules'), join(folder, 'modules.tar')];
  for (const left of [place, archive]) await removeTree(left);
  await ensureFolder(place);
  await make({ ...making, jobs: 1 }, [
    'modules_install',
    ...Object.entries(MODULES_HOW).map(([name, value]) => `${name}=${value}`),
    `INSTALL_MOD_PATH=${place}`,
  ]);
  await execOk(['tar', '--create', '--sort=name', `--file=${archive}`, `--directory=${place}`, 'lib'], {
    timeoutMs: TOOL_TIMEOUT_MS,
    signal: making.signal,
  });
  return treeFromTar(archive, 'The archive of the modules that were built', making.signal);
}

type Recipe = Omit<KernelBuild, 'is' | 'unmet'>;

async function recipeOf(source: PackageRecord, fragments: readonly Fragment[], signal: AbortSignal | undefined): Promise<Recipe> {
  const parts = {
    source: { package: source.name, version: source.version },
    fragments: fragments.map(({ name, text }) => ({ name, digest: sha256(text), text })),
    compiler: await versionOf('gcc', signal),
    linker: await versionOf('ld', signal),
  };
  // Of fragments only what they ask for counts, not what they or their files are called.
  const asked = askingText(layFragments(fragments));
  const { compiler, linker } = parts;
  const how = asksForModules(fragments) ? { ...HOW_MADE, modules: MODULES_HOW } : HOW_MADE;
  return { ...parts, recipe: sha256(canonicalJson({ source: parts.source, asked, compiler, linker, how })) };
}

async function versionOf(program: string, signal: AbortSignal | undefined): Promise<string> {
  const { stdout } = await execOk(['env', `PATH=${BUILD_PATH}`, program, '--version'], { timeoutMs: TOOL_TIMEOUT_MS, signal });
  return stdout.split('\n')[0] ?? '';
}

/** What the same recipe was built to before; under another name it gets this one, too. */
async function findBuilt(store: ImageStore, name: string, recipe: string): Promise<Pick<BuiltKernel, 'record' | 'unmet'> | undefined> {
  const shelf = new KernelShelf(store);
  const { items } = await shelf.all();
  for (const record of items.toSorted((a, b) => Number(b.name === name) - Number(a.name === name) || b.version - a.version)) {
    const { schema: _schema, version: _version, createdAt: _createdAt, ...content } = record;
    if (record.from.is !== 'build' || record.from.recipe !== recipe || !(await store.checkBlob(record.kernel)).ok) continue;
    const { unmet } = record.from;
    if (record.name === name) return { record, unmet };
    return { record: (await store.withScratch((scratch) => shelf.put({ ...content, name }, scratch))).record, unmet };
  }
  return undefined;
}

type Step = ReturnType<typeof stepsTo>;

async function unpackSource(
  source: PackageRecord,
  folder: string,
  tree: string,
  step: Step,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [fetched, half] = [join(folder, 'package'), join(folder, 'unpacking')];
  for (const left of [fetched, half]) await removeTree(left);
  const measure = async (): Promise<{ done: number; total: number; unit: string }> => ({
    done: await bytesIn(fetched),
    total: source.bytes,
    unit: 'bytes',
  });
  const unpacked = await step(`fetch ${source.name} ${source.version}`, () => unpackPackage(source, fetched, signal), measure);
  if (!unpacked.ok) throw faultOfRefusal(unpacked, folder);
  const archives = join(unpacked.tree, 'usr/src');
  const archive = (await isThere(archives))
    ? (await readdir(archives)).find((name) => /^linux-source-[\d.]+\.tar\.xz$/.test(name))
    : undefined;
  if (archive === undefined)
    throw imageFault(`The package ${source.name} ${source.version} is not as expected: it lacks usr/src/linux-source-*.tar.xz.`);
  await ensureFolder(half);
  const result = await step('unpack the sources', () =>
    exec(['tar', '--extract', '--strip-components=1', `--file=${join(archives, archive)}`, `--directory=${half}`], {
      timeoutMs: UNPACK_TIMEOUT_MS,
      signal,
    }),
  );
  if (result.aborted) signal?.throwIfAborted();
  if (!succeeded(result)) throw imageFault(`The sources could not be unpacked. ${describeFailure(result)}`);
  await rename(half, tree);
  await removeTree(fetched);
}

async function bytesIn(folder: string): Promise<number> {
  let sum = 0;
  for (const name of (await isThere(folder)) ? await readdir(folder) : [])
    if (name.includes('.deb')) sum += (await stat(join(folder, name))).size;
  return sum;
}

const configuredSchema = z.strictObject({ unmet: z.array(unmetOptionSchema), optionsOn: z.int() });
type Configured = z.infer<typeof configuredSchema>;

/** Everything is off but what is asked for and what that selects; then what came of it is looked at, option by option. */
async function configure(
  o: { tree: string; log: string; jobs: number; signal: AbortSignal | undefined },
  folder: string,
  fragments: readonly Fragment[],
): Promise<Configured> {
  const done = join(folder, 'asked.json');
  const known = await readTextIfThere(done);
  if (known !== undefined) return configuredSchema.parse(JSON.parse(known));
  const asked = layFragments(fragments);
  const file = join(folder, 'asked.config');
  await writeDurably(file, askingText(asked));
  await make({ ...o, jobs: 1 }, ['allnoconfig'], { KCONFIG_ALLCONFIG: file });
  await removeTree(file);
  const config = readConfigText(await readFile(join(o.tree, '.config'), 'latin1'));
  const texts = await kconfigTexts(o.tree);
  const unmet = unmetOptions(
    asked,
    config,
    readKconfig((path) => texts.get(path), 'x86'),
    config.version?.text ?? 'of this package',
  );
  const optionsOn = [...config.values.values()].filter((value) => value === 'y' || value === 'm').length;
  const configured = { unmet, optionsOn };
  await writeDurably(done, JSON.stringify(configured));
  return configured;
}

async function kconfigTexts(tree: string): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  let bytes = 0;
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.startsWith('Kconfig')) continue;
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, 'latin1');
    bytes += text.length;
    if (bytes > MAX_KCONFIG_BYTES) break;
    texts.set(path.slice(tree.length + 1), text);
  }
  return texts;
}
