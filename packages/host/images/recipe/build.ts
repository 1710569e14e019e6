/**
 * Builds the root file system of a recipe: the ground it stands on, its stages, what every image gets, and an ext4 image of it all in the
 * store. What took long is kept as a layer; what was built before is found by what it was made with.
 */
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultError, rootfsRecordSchema } from '@linstock/contract';
import type { RootfsRecord } from '@linstock/contract';
import { ToolFailure } from '../../tools/exec.ts';
import { ensureFolder, isDiskFull, sha256 } from '../../tools/files.ts';
import { packagesOf } from '../debian.ts';
import { writeExt4 } from '../ext4-image/write.ts';
import { buildProgram, missingProgram, programIdentity } from '../go-program.ts';
import type { ProgramSource } from '../go-program.ts';
import { Layers } from '../layers.ts';
import { canonicalJson } from '../manifest.ts';
import { faultOfRefusal } from '../refusal.ts';
import { stepsTo } from '../steps.ts';
import type { Step } from '../steps.ts';
import type { ImageStore, Progress } from '../store.ts';
import { treeFromTar } from '../tree/from-tar.ts';
import { writeTar } from '../tree/tar-write.ts';
import { TREE_TIME } from '../tree/tree.ts';
import type { Tree } from '../tree/tree.ts';
import { applyStage, removeLeftOut } from './apply.ts';
import { runCommands } from './commands.ts';
import { AGENT_UNIT, finish } from './finish.ts';
import type { ModulesWish } from './kept-kernel.ts';
import { loadRecipe } from './load.ts';
import type { LoadedRecipe } from './load.ts';
import { layModules, modulesKey } from './modules.ts';
import { RootfsShelf } from './shelf.ts';
import { groundOf, keyAfter } from './source.ts';
import type { GroundJob } from './source.ts';

export type RootfsRequest = {
  /** a recipe by name or file, or a container image, as `from` of a recipe names it */
  named: string;
  /** what relative paths are relative to */
  cwd: string;
  /** the folder of the recipes that come with Linstock */
  builtIn: string;
  agent: ProgramSource;
  init: ProgramSource;
  /** `as-built`: what was built of the same recipe will do, nobody is asked */
  use?: GroundJob['use'];
  /** of the kernel that it will boot with; what the image brings stays as it is unless told */
  modules?: ModulesWish | undefined;
  /** called before anything is made, where what was made before will not do */
  begin?: ((scratch: string) => Promise<void>) | undefined;
  progress?: Progress | undefined;
  signal?: AbortSignal | undefined;
};

/** To be raised when this code changes what it makes of a recipe. */
const REVISION = '1';
const MIB = 1024 * 1024;
const AGENT = 'guest agent';
const INIT = 'init of container images';

/** A fault when it cannot be built; nothing of the attempt is left then but layers that were finished. */
export async function buildRootfs(
  store: ImageStore,
  now: () => number,
  request: RootfsRequest,
): Promise<{ rootfs: RootfsRecord; built: boolean }> {
  const loaded = await loadRecipe(request.named, request);
  const programs = { agent: loaded.agent ? request.agent : null, init: loaded.init === 'linstock' ? request.init : null };
  const unit = await readFile(join(request.builtIn, AGENT_UNIT), 'utf8');
  const local = {
    revision: REVISION,
    recipe: loaded.digest,
    agent: await identityOf(AGENT, programs.agent, store),
    init: await identityOf(INIT, programs.init, store),
    unit: programs.agent === null ? 'none' : sha256(unit),
    modules: modulesKey(request.modules),
  };
  const shelf = new RootfsShelf(store);
  // the image of a file or folder is looked at each time, which costs nothing; an archive and a registry are not asked
  if ((request.use ?? 'as-built') === 'as-built' && loaded.source.is !== 'image') {
    const known = await shelf.find(loaded.name, local);
    if (known !== undefined) return { rootfs: known, built: false };
  }
  const work = async (scratch: string): Promise<{ rootfs: RootfsRecord; built: boolean }> => {
    await request.begin?.(scratch);
    return new Build({ store, shelf, now, request, loaded, local, programs, unit, scratch }).run();
  };
  try {
    return await store.exclusively(request.signal, work);
  } catch (error) {
    throw await asFault(error, store.folder, request.signal);
  }
}

async function identityOf(what: string, source: ProgramSource | null, store: ImageStore): Promise<string> {
  if (source === null) return 'none';
  const missing = await missingProgram(what, source);
  if (missing !== undefined) throw faultOfRefusal(missing, store.folder);
  return programIdentity(source);
}

/** Troubles of the host, told as what they are; anything else goes on. */
async function asFault(error: unknown, folder: string, signal: AbortSignal | undefined): Promise<unknown> {
  if (signal?.aborted === true) return signal.reason;
  if (isDiskFull(error)) {
    const room = await statfs(folder);
    return new FaultError('host-disk-full', { path: folder, freeMiB: Math.floor((room.bavail * room.bsize) / MIB) }, { cause: error });
  }
  return error instanceof ToolFailure
    ? new FaultError('tool-failed', { step: 'build the image', hint: error.message }, { cause: error })
    : error;
}

type BuildParts = {
  store: ImageStore;
  shelf: RootfsShelf;
  now: () => number;
  request: RootfsRequest;
  loaded: LoadedRecipe;
  local: Readonly<Record<string, string>>;
  programs: { agent: ProgramSource | null; init: ProgramSource | null };
  unit: string;
  scratch: string;
};

class Build {
  readonly #p: BuildParts;
  readonly #layers: Layers;
  readonly #step: Step;
  readonly #use: GroundJob['use'];
  constructor(parts: BuildParts) {
    this.#p = parts;
    this.#layers = new Layers({ images: parts.store.folder, now: parts.now });
    this.#step = stepsTo(parts.request.progress);
    this.#use = parts.request.use ?? 'as-built';
  }

  async run(): Promise<{ rootfs: RootfsRecord; built: boolean }> {
    const { shelf, loaded, local, scratch, request } = this.#p;
    const ground = await groundOf(loaded, { layers: this.#layers, scratch, step: this.#step, use: this.#use, signal: request.signal });
    const madeWith = { ...local, ground: ground.key };
    const known = this.#use === 'fresh' ? undefined : await shelf.find(loaded.name, madeWith);
    if (known !== undefined) return { rootfs: known, built: false };
    let tree = await this.#step(`read ${ground.from}`, () => ground.tree());
    let key = ground.key;
    for (const stage of loaded.stages) {
      key = keyAfter(key, stage.digest);
      tree = await this.#stage(tree, stage, key);
    }
    const programs = {
      agent: await this.#program(AGENT, this.#p.programs.agent, local['agent'] ?? ''),
      unit: this.#p.unit,
      init: await this.#program(INIT, this.#p.programs.init, local['init'] ?? ''),
    };
    const init = await finish(tree, loaded, programs, ground.config);
    const { modules } = request;
    if (modules !== undefined)
      await this.#step(`lay the modules of ${modules.release}`, () => layModules(tree, modules, this.#p.store, request.signal));
    const rootfs = await this.#image(tree);
    const { name, agent, ports, bootArgs, machine } = loaded;
    const record: RootfsRecord = rootfsRecordSchema.parse({
      schema: 1,
      name,
      digest: sha256(canonicalJson(madeWith)),
      createdAt: this.#p.now(),
      rootfs,
      madeWith,
      from: ground.from,
      packages: (await packagesOf(tree)) ?? null,
      init: init.path,
      initIs: init.is,
      agent,
      ports,
      bootArgs,
      machine,
    });
    await shelf.put(record);
    return { rootfs: record, built: true };
  }

  async #stage(before: Tree, stage: LoadedRecipe['stages'][number], key: string): Promise<Tree> {
    const { scratch, request, now } = this.#p;
    const { name, recipe } = stage;
    if (recipe.commands.length === 0) {
      await this.#step(`lay the files of ${name}`, () => applyStage(before, stage));
      removeLeftOut(before, stage);
      return before;
    }
    const spec = sha256(`commands ${key}`);
    const known = this.#use === 'fresh' ? undefined : await this.#layers.newestFor(spec);
    if (known !== undefined) return treeFromTar(this.#layers.tar(known.key), 'A layer in the store', request.signal);
    await this.#step(`lay the files of ${name}`, () => applyStage(before, stage));
    const place = join(scratch, `commands-${key.slice(0, 12)}`);
    await ensureFolder(place);
    const tree = await runCommands({
      tree: before,
      name,
      commands: recipe.commands,
      scratch: place,
      step: this.#step,
      begunAt: Math.floor(now() / 1000),
      signal: request.signal,
    });
    removeLeftOut(tree, stage);
    const file = join(place, 'layer.tar');
    await writeTar(tree, file, request.signal);
    const { tar } = await this.#layers.keep(file, { spec, made: {} });
    return treeFromTar(tar, 'A layer in the store', request.signal);
  }

  async #program(what: string, source: ProgramSource | null, identity: string): Promise<Buffer | null> {
    if (source === null) return null;
    const known = this.#use === 'fresh' ? undefined : await this.#layers.program(identity);
    if (known !== undefined) return known;
    const { scratch, request, store } = this.#p;
    // one cache for both: most of the work is Go's own library
    const from = 'source' in source ? { cache: join(scratch, 'go-cache'), ...source } : source;
    const made = await this.#step(`build the ${what}`, () =>
      buildProgram(what, from, join(scratch, what.replaceAll(' ', '-')), request.signal),
    );
    if (!made.ok) throw faultOfRefusal(made, store.folder);
    await this.#layers.keepProgram(identity, made.program);
    return made.program;
  }

  async #image(tree: Tree): Promise<RootfsRecord['rootfs']> {
    const { store, loaded, scratch, request } = this.#p;
    const { name, size } = loaded;
    const image = join(scratch, 'rootfs.ext4');
    const options = {
      label: name.slice(0, 16),
      uuid: uuidFor(`${name} file system`),
      hashSeed: uuidFor(`${name} folders`),
      time: TREE_TIME,
      size: 'sizeMiB' in size ? { bytes: size.sizeMiB * MIB } : { freeBytes: size.freeMiB * MIB },
      journal: true,
    };
    let far = { done: 0, total: 0 };
    const { virtualBytes } = await this.#step(
      'make the file system',
      () => writeExt4(tree, image, options, { signal: request.signal, progress: (done, total) => (far = { done, total }) }),
      () => Promise.resolve({ ...far, unit: 'bytes' }),
    );
    const blob = await this.#step('store', () => store.adoptBlob(image, request.signal));
    return { ...blob, fstype: 'ext4', virtualBytes };
  }
}

/** A fixed UUID for a name (version 8, RFC 9562): a random one would differ from build to build. */
function uuidFor(name: string): string {
  const hex = sha256(`linstock ${name}`);
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}
