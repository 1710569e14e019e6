/**
 * A recipe as it was named → all that a build needs of it: read, checked, its chain of `from` followed to something that is no recipe, and
 * everything beside the files in memory. Nothing is built or fetched.
 */
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { goldenManifestSchema, recipeSchema, recipeSource } from '@linstock/contract';
import type { PromisedPort, Recipe, RecipeSource } from '@linstock/contract';
import type { BootArgChanges } from '@linstock/core';
import { errnoName, isThere, listFolder, sha256 } from '../../tools/files.ts';
import { canonicalJson } from '../manifest.ts';
import { imageFault } from '../refusal.ts';
import { fileNode, folderNode, linkNode } from '../tree/tree.ts';
import type { TreeNode } from '../tree/tree.ts';

/** One recipe of the chain: what it does to the tree that it is given. */
export type Stage = {
  name: string;
  recipe: Recipe;
  /** the overlay, then `files` */
  files: readonly { path: string; node: TreeNode }[];
  /** of everything it does to the tree */
  digest: string;
};

export type LoadedRecipe = {
  name: string;
  /** paths are absolute */
  source: Exclude<RecipeSource, { is: 'recipe' }>;
  packages: readonly string[];
  /** from the ground up */
  stages: readonly Stage[];
  init: string;
  agent: boolean;
  ports: readonly PromisedPort[];
  bootArgs: BootArgChanges;
  machine: { vcpus: number; memoryMiB: number };
  size: { freeMiB: number } | { sizeMiB: number };
  digest: string;
};

const MOST_RECIPE_BYTES = 4 * 1024 * 1024;
const MOST_CHAIN = 16;
/** Large things belong into a package or an image: files beside a recipe are held in memory. */
const MOST_OVERLAY_BYTES = 256 * 1024 * 1024;
const MOST_OVERLAY_FILES = 20_000;
const USUAL = { init: '/sbin/init', machine: { vcpus: 1, memoryMiB: 256 }, freeMiB: 128 } as const;

/** Names of the recipes that come with Linstock. */
export async function builtInRecipes(folder: string): Promise<string[]> {
  return (await listFolder(folder)).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
}

/** `builtIn`: the folder of our own recipes; `cwd`: what relative paths are relative to. */
export async function loadRecipe(named: string, o: { builtIn: string; cwd: string }): Promise<LoadedRecipe> {
  const chain: { recipe: Recipe; folder: string }[] = [];
  const seen = new Set<string>();
  let source = meaningOf(named, 'It');
  let folder = o.cwd;
  if (source.is !== 'recipe') {
    // an image alone is the recipe that changes nothing
    chain.push({ recipe: recipeSchema.parse({ name: nameOfImage(source), from: named }), folder });
  }
  while (source.is === 'recipe') {
    const file = await fileOf(source.named, folder, o.builtIn);
    if (seen.has(file) || seen.size >= MOST_CHAIN)
      throw imageFault(`The recipe ${file} is made from itself, or from too many others (${MOST_CHAIN} at most).`);
    seen.add(file);
    const recipe = parseRecipe(await textOf(file), file);
    folder = dirname(file);
    chain.unshift({ recipe, folder });
    source = meaningOf(recipe.from, `"from" of the recipe ${file}`);
  }
  const stages: Stage[] = [];
  for (const { recipe, folder: beside } of chain) stages.push(await stageOf(recipe, beside));
  return flatten(stages, source.is === 'image' ? { is: 'image', path: resolve(folder, source.path) } : source);
}

function meaningOf(from: string, what: string): RecipeSource {
  const source = recipeSource(from);
  if (source !== null) return source;
  throw imageFault(
    `${what} is ${JSON.stringify(from)}, which is neither a recipe (a name such as base, a file such as ./mine.json) nor scratch, debian:SUITE, oci:FOLDER, docker-archive:FILE or docker://REFERENCE.`,
  );
}

/** The last word of what the image is called, as far as it can be a name. */
function nameOfImage(source: RecipeSource): string {
  const words =
    source.is === 'image'
      ? basename(source.path).replace(/\.tar$/, '')
      : source.is === 'registry'
        ? (source.reference.split('/').at(-1) ?? '').replace(/[:@].*$/, '')
        : source.is;
  const name = words
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63);
  return goldenManifestSchema.shape.name.safeParse(name).success ? name : 'image';
}

async function fileOf(named: string, folder: string, builtIn: string): Promise<string> {
  if (named.endsWith('.json')) return resolve(folder, named);
  const file = join(builtIn, `${named}.json`);
  if (await isThere(file)) return file;
  if (named === 'tiny')
    throw imageFault('The image tiny is no recipe to make something else from: "linstock golden build tiny" makes it, as a whole.');
  throw imageFault(
    `There is no recipe ${named}; there are: ${['tiny', ...(await builtInRecipes(builtIn))].join(', ')}. A recipe of your own is named by its file, such as ./${named}.json.`,
  );
}

async function textOf(file: string): Promise<string> {
  const bytes = await readBeside(file);
  if (bytes.length > MOST_RECIPE_BYTES) throw imageFault(`${file} has ${bytes.length} bytes, which is no recipe.`);
  return bytes.toString('utf8');
}

export function parseRecipe(text: string, file: string): Recipe {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw imageFault(`The recipe ${file} is not JSON: ${error instanceof Error ? error.message : String(error)}.`);
  }
  const parsed = recipeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.length === 0 ? '' : `${z.core.toDotPath(issue.path)}: `}${issue.message}`,
  );
  throw imageFault(`The recipe ${file} does not fit: ${problems.slice(0, 8).join('; ')}.`);
}

async function stageOf(recipe: Recipe, folder: string): Promise<Stage> {
  const files = recipe.overlay === undefined ? [] : await readOverlay(join(folder, recipe.overlay));
  for (const file of recipe.files) {
    const owned = { uid: file.uid, gid: file.gid };
    const data = file.from === undefined ? (file.text ?? '') : await readBeside(join(folder, file.from));
    const node =
      file.link !== undefined
        ? { ...linkNode(file.link), ...owned }
        : file.folder === true
          ? folderNode(file.mode ?? 0o755, owned)
          : fileNode(data, file.mode ?? 0o644, owned);
    files.push({ path: file.path, node });
  }
  const { users, hostname, units, commands, remove } = recipe;
  const digest = sha256(
    canonicalJson({ users, hostname, units, commands, remove, files: files.map(({ path, node }) => [path, factsOf(node)]) }),
  );
  return { name: recipe.name, recipe, files, digest };
}

function factsOf(node: TreeNode): unknown {
  const { kind, mode, uid, gid } = node;
  const what = node.kind === 'file' && node.data instanceof Uint8Array ? sha256(node.data) : node.kind === 'symlink' ? node.target : null;
  return { kind, mode, uid, gid, what };
}

/** A folder as it is laid over a tree: who owns it here means nothing in an image. */
async function readOverlay(folder: string): Promise<{ path: string; node: TreeNode }[]> {
  const files: { path: string; node: TreeNode }[] = [];
  let bytes = 0;
  const names = await readdir(folder, { recursive: true }).catch((error: unknown) => {
    throw imageFault(`The overlay ${folder} cannot be read (${errnoName(error) ?? 'unknown'}).`, error);
  });
  if (names.length > MOST_OVERLAY_FILES) throw imageFault(`The overlay ${folder} has more than ${MOST_OVERLAY_FILES} files.`);
  for (const path of names.toSorted()) {
    const at = join(folder, path);
    const facts = await lstat(at);
    if (facts.isDirectory()) files.push({ path, node: folderNode() });
    else if (facts.isSymbolicLink()) files.push({ path, node: linkNode(await readlink(at)) });
    else if (facts.isFile()) {
      bytes += facts.size;
      if (bytes > MOST_OVERLAY_BYTES)
        throw imageFault(
          `The overlay ${folder} has more than ${MOST_OVERLAY_BYTES / 1024 / 1024} MiB; put large things into a package or an image.`,
        );
      files.push({ path, node: fileNode(await readFile(at), (facts.mode & 0o111) === 0 ? 0o644 : 0o755) });
    } else throw imageFault(`The overlay holds ${at}, which is neither a file nor a folder nor a link.`);
  }
  return files;
}

async function readBeside(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const name = errnoName(error);
    if (name === undefined) throw error;
    throw imageFault(name === 'ENOENT' ? `There is no file ${file}.` : `${file} cannot be read (${name}).`, error);
  }
}

/** What the chain comes to. Later recipes win; lists grow. Pure. */
export function flatten(stages: readonly Stage[], source: LoadedRecipe['source']): LoadedRecipe {
  const recipes = stages.map((stage) => stage.recipe);
  const last = <K extends 'init' | 'agent'>(key: K): Recipe[K] | undefined =>
    recipes.findLast((recipe) => recipe[key] !== undefined)?.[key];
  const changes = (kind: keyof BootArgChanges): string[] => recipes.flatMap((recipe) => recipe.bootArgs[kind]);
  const packages = [...new Set(recipes.flatMap((recipe) => recipe.packages))].toSorted();
  if (packages.length > 0 && source.is !== 'debian')
    throw imageFault(
      `Packages are of Debian (${packages.slice(0, 3).join(', ')}): such a recipe must be made from debian:SUITE, or from a recipe that is.`,
    );
  const ports = new Map(recipes.flatMap((recipe) => recipe.ports).map((port) => [port.port, port]));
  const sized = recipes.findLast((recipe) => recipe.sizeMiB !== undefined || recipe.freeMiB !== undefined);
  const loaded = {
    name: recipes.at(-1)?.name ?? 'image',
    source,
    packages,
    init: last('init') ?? (source.is === 'image' || source.is === 'registry' ? 'linstock' : USUAL.init),
    agent: last('agent') ?? true,
    ports: [...ports.values()].toSorted((a, b) => a.port - b.port),
    bootArgs: { add: changes('add'), replace: changes('replace'), remove: changes('remove') },
    machine: Object.assign({ ...USUAL.machine }, ...recipes.map((recipe) => recipe.machine)) as LoadedRecipe['machine'],
    size: sized?.sizeMiB === undefined ? { freeMiB: sized?.freeMiB ?? USUAL.freeMiB } : { sizeMiB: sized.sizeMiB },
  };
  return { ...loaded, stages, digest: sha256(canonicalJson({ ...loaded, stages: stages.map((stage) => stage.digest) })) };
}
