/**
 * The golden image `tiny`, from nothing but the distribution's packages and this repository: stock kernel, busybox, our init, our agent.
 * `ensureTiny` makes it so that it is there; when it is, the call reads one manifest and hashes a few small sources.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GoldenManifest } from '@linstock/contract';
import { describeFailure, exec, execOk, succeeded } from '../tools/exec.ts';
import { ensureFolder, isThere, removeTree, sha256, sizeIfThere } from '../tools/files.ts';
import { lookAtPackage, unpackPackage } from './distribution-package.ts';
import type { PackageRecord } from './distribution-package.ts';
import { makeExt4 } from './ext4.ts';
import { leastMemoryMiB, readKernel, STANDARD_BOOT_ARGS } from './golden-parts.ts';
import { buildInitrd, INITRD_APPLETS, OPTIONAL_MODULES, REQUIRED_MODULES } from './initrd.ts';
import { fetchKernel, lookForKernel } from './kernel-package.ts';
import type { KernelSource } from './kernel-package.ts';
import { canonicalJson } from './manifest.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import { tinyPlan } from './rootfs-tiny.ts';
import type { ImageStore, Progress } from './store.ts';

/** Where the agent comes from: built with Go from its source folder, a finished program, or left out. */
export type AgentSource = false | { source: string; cache?: string } | { binary: string };

export type TinyRequest = {
  agent: AgentSource;
  /** `as-built`: a golden from older packages will do, nobody is asked. `newest`: ask apt's lists and rebuild when they hold newer ones. */
  packages?: 'as-built' | 'newest';
  progress?: Progress;
  signal?: AbortSignal;
  /** Folder with initrd-init, init and the pages; the repository's own unless told. */
  recipeFolder?: string;
};

export type TinyOutcome = { ok: true; golden: GoldenManifest; built: boolean } | ImageRefusal;

export const TINY = 'tiny';
/** To be raised when the code that makes the files changes what it makes; the scripts and tables below are part of the key by themselves. */
const RECIPE_REVISION = 1;
const MACHINE = { vcpus: 1, memoryMiB: 128 } as const;
const PORTS: GoldenManifest['ports'] = [{ port: 6080, level: 'http' }];
/** What the image cannot do without: its disk, network, console, agent channel and file systems. */
const REQUIRES = [
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
const PAGES = ['index.html', 'vnc.html'] as const;
/** The agent uses the standard library only, but the first build of that takes a minute on one slow core. */
const GO_TIMEOUT_MS = 600_000;
const TOOL_TIMEOUT_MS = 30_000;
/** People see life at least every two seconds; a margin for a busy machine. */
const HEARTBEAT_MS = 1_000;

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
      applets: INITRD_APPLETS,
      modules: [...REQUIRED_MODULES, ...OPTIONAL_MODULES],
      files: [initrdInit, init, ...pages.map((page) => page.data)].map((data) => sha256(data)),
    }),
  );
  return { initrdInit, init, pages, digest };
}

/** What identifies the agent that goes in: its sources (tests left out), its program, or `none`. */
async function agentIdentity(agent: AgentSource): Promise<string> {
  if (agent === false) return 'none';
  if ('binary' in agent) return `binary:${sha256(await readFile(agent.binary))}`;
  const names = (await readdir(agent.source, { recursive: true }))
    .filter((name) => /(\.go|(^|\/)go\.(mod|sum))$/.test(name) && !name.endsWith('_test.go'))
    .toSorted();
  const files = await Promise.all(names.map(async (name) => [name, sha256(await readFile(join(agent.source, name)))]));
  return `source:${sha256(canonicalJson(files))}`;
}

export async function ensureTiny(store: ImageStore, request: TinyRequest): Promise<TinyOutcome> {
  const { signal } = request;
  const missing = await missingAgent(request.agent);
  if (missing !== undefined) return missing;
  const recipe = await readRecipe(request.recipeFolder ?? tinyRecipeFolder());
  const local = { recipe: recipe.digest, agent: await agentIdentity(request.agent) };
  const fits = async (golden: GoldenManifest | undefined): Promise<boolean> => golden !== undefined && (await store.checkGolden(golden)).ok;
  const find = (key: Readonly<Record<string, string>>): Promise<GoldenManifest | undefined> =>
    store.newest(TINY, (golden) => Object.entries(key).every(([name, value]) => golden.madeWith[name] === value));
  if (request.packages !== 'newest') {
    const there = await find(local);
    if (there !== undefined && (await fits(there))) return { ok: true, golden: there, built: false };
  }
  return store.exclusively(signal, async (scratch): Promise<TinyOutcome> => {
    // Looked for again: an equal request may have been before us in the queue.
    const again = request.packages === 'newest' ? undefined : await find(local);
    if (again !== undefined && (await fits(again))) return { ok: true, golden: again, built: false };
    const step = beat(request.progress);
    const packages = await step('ask the package lists', () => lookForPackages(signal));
    if (!packages.ok) return packages;
    const madeWith = {
      ...local,
      kernel: `${packages.kernel.image.name}=${packages.kernel.image.version}`,
      busybox: `${packages.busybox.name}=${packages.busybox.version}`,
    };
    const newest = await find(madeWith);
    if (newest !== undefined && (await fits(newest))) return { ok: true, golden: newest, built: false };
    return build({ store, request, recipe, scratch, step, packages, madeWith });
  });
}

async function missingAgent(agent: AgentSource): Promise<ImageRefusal | undefined> {
  if (agent === false) return undefined;
  const path = 'binary' in agent ? agent.binary : join(agent.source, 'go.mod');
  return (await isThere(path))
    ? undefined
    : refusal('file-not-found', `The guest agent is not there: no file ${path}. Give another place, or build the image without the agent.`);
}

type Packages = { ok: true; kernel: KernelSource; busybox: PackageRecord };

async function lookForPackages(signal: AbortSignal | undefined): Promise<Packages | ImageRefusal> {
  const kernel = await lookForKernel(signal);
  if (!kernel.ok) return kernel;
  const busybox = await lookAtPackage('busybox-static', signal);
  return busybox.ok ? { ok: true, kernel: kernel.source, busybox: busybox.record } : busybox;
}

type Step = <T>(name: string, work: () => Promise<T>, measure?: { folder: string; total: number }) => Promise<T>;

/** Tells each step when it begins and every second while it lasts; with a folder to measure, how many bytes have come. */
function beat(progress: Progress | undefined): Step {
  return async (name, work, measure) => {
    if (progress === undefined) return work();
    const tell = (): void => {
      if (measure === undefined) return progress({ name });
      bytesBelow(measure.folder).then(
        (done) => progress({ name, done: Math.min(done, measure.total), total: measure.total, unit: 'bytes' }),
        () => progress({ name }),
      );
    };
    progress({ name });
    const timer = setInterval(tell, HEARTBEAT_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  };
}

/** Bytes of the packages in a folder, also of one that is still coming (apt keeps it under its name or in partial/). */
async function bytesBelow(folder: string): Promise<number> {
  if (!(await isThere(folder))) return 0;
  let sum = 0;
  for (const name of await readdir(folder)) {
    if (name.includes('.deb')) sum += (await sizeIfThere(join(folder, name))) ?? 0;
    else if (name === 'image' || name === 'modules') sum += await bytesBelow(join(folder, name));
  }
  return sum;
}

async function build(job: {
  store: ImageStore;
  request: TinyRequest;
  recipe: Recipe;
  scratch: string;
  step: Step;
  packages: Packages;
  madeWith: Record<string, string>;
}): Promise<TinyOutcome> {
  const { store, request, recipe, scratch, step, packages } = job;
  const { signal } = request;
  const folder = (name: string): string => join(scratch, name);

  const fetched = await step('fetch the kernel package', () => fetchKernel(packages.kernel, folder('kernel'), signal), {
    folder: folder('kernel'),
    total: packages.kernel.image.bytes + (packages.kernel.modules?.bytes ?? 0),
  });
  if (!fetched.ok) return fetched;
  const { kernel } = fetched;
  const box = await step('fetch busybox', async () => {
    const unpacked = await unpackPackage(packages.busybox, folder('busybox'), signal);
    return unpacked.ok ? findBusybox(unpacked.tree, signal) : unpacked;
  });
  if (!box.ok) return box;
  const agent = await step('build the guest agent', () => agentProgram(request.agent, folder('agent'), signal));
  if (!agent.ok) return agent;
  const read = await step('unpack the kernel', () => readKernel({ path: kernel.vmlinuz, configText: kernel.configText }, signal));
  if (!read.ok) return read;
  const initrd = await step('make the initrd', () =>
    buildInitrd({ modulesFolder: kernel.modulesFolder, busybox: box.program, initScript: recipe.initrdInit }, signal),
  );
  if (!initrd.ok) return initrd;
  // 100 MB of unpacked modules are no longer needed; free them before the image asks for room.
  await removeTree(folder('kernel'));
  const plan = tinyPlan({ busybox: box.program, applets: box.applets, init: recipe.init, pages: recipe.pages, agent: agent.program });
  const image = folder('rootfs.ext4');
  const made = await step('make the root file system', () => makeExt4(plan, image, folder('ext4'), signal));

  return step('store', async () => {
    await writeFile(folder('vmlinux'), read.part.vmlinux);
    await writeFile(folder('initrd.cpio.gz'), initrd.bytes);
    const kernelBlob = await store.adoptBlob(folder('vmlinux'), signal);
    const initrdBlob = await store.adoptBlob(folder('initrd.cpio.gz'), signal);
    const rootfsBlob = await store.adoptBlob(image, signal);
    const golden = await store.seal(
      {
        name: TINY,
        kernel: { ...kernelBlob, ...read.part.facts, package: `${kernel.package.name}=${kernel.package.version}` },
        initrd: { ...initrdBlob, modules: [...initrd.modules] },
        rootfs: { ...rootfsBlob, fstype: 'ext4', virtualBytes: made.virtualBytes },
        machine: { ...MACHINE, leastMemoryMiB: leastMemoryMiB(read.part.highestLoadEndBytes, initrdBlob.bytes) },
        requires: [...REQUIRES],
        bootArgs: [...STANDARD_BOOT_ARGS],
        // A kernel without IP_PNP calls ip= unknown and our initrd reads it; with IP_PNP the kernel does it and calls nothing unknown.
        userspaceArgs: read.part.facts.config['IP_PNP'] === 'y' ? [] : ['ip'],
        ports: PORTS,
        agent: agent.program !== null,
        madeWith: job.madeWith,
      },
      scratch,
    );
    return { ok: true, golden, built: true };
  });
}

async function findBusybox(
  tree: string,
  signal: AbortSignal | undefined,
): Promise<{ ok: true; program: Buffer; applets: string[] } | ImageRefusal> {
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

async function agentProgram(
  agent: AgentSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<{ ok: true; program: Buffer | null } | ImageRefusal> {
  if (agent === false) return { ok: true, program: null };
  if ('binary' in agent) return { ok: true, program: await readFile(agent.binary) };
  await ensureFolder(folder);
  const out = join(folder, 'linstock-agent');
  // Flags that leave paths, version control and build id out, so that equal sources and an equal compiler give equal bytes.
  const result = await exec(['go', 'build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', out, '.'], {
    cwd: agent.source,
    timeoutMs: GO_TIMEOUT_MS,
    env: {
      // what Go keeps for itself goes with the scratch folder, and not into the home of whoever called
      GOCACHE: agent.cache ?? join(folder, 'go-cache'),
      GOPATH: join(folder, 'go-path'),
      XDG_CONFIG_HOME: join(folder, 'go-config'),
      CGO_ENABLED: '0',
      GOOS: 'linux',
      GOARCH: 'amd64',
      GOFLAGS: '',
      GOTOOLCHAIN: 'local',
    },
    signal,
  });
  if (result.aborted) signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT')
    return refusal(
      'tool-missing',
      'Go is not installed, which the guest agent is built with: install golang-go, or build the image without the agent.',
    );
  return succeeded(result)
    ? { ok: true, program: await readFile(out) }
    : refusal('tool-failed', `The guest agent does not build: ${describeFailure(result)}`);
}
