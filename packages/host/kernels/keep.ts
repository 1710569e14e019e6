/**
 * Takes a kernel into the image store: an ELF vmlinux, a bzImage (the vmlinux in it is kept), or a Debian package with one. All that can be
 * wrong is found before anything is kept.
 */
import { open, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { goldenManifestSchema } from '@linstock/contract';
import type { KernelOrigin, KernelRecord, KernelReport } from '@linstock/contract';
import { kindOf, MAGIC_BYTES } from '@linstock/core';
import { CONFIG_MARK } from '@linstock/core/kernel';
import { ensureFolder, sha256 } from '../tools/files.ts';
import { freeMiB, wasFull } from '../images/disk.ts';
import { MAX_KERNEL_FILE_BYTES, readWhole, unreadable } from '../images/read-whole.ts';
import { faultOfRefusal, imageFault, refusal } from '../images/refusal.ts';
import type { ImageStore, Progress } from '../images/store.ts';
import { bytesOf, sizeOf } from '../images/tree/tree.ts';
import type { Folder, RegularFile, Tree } from '../images/tree/tree.ts';
import { embeddedConfigText, unzippedText } from './embedded-config.ts';
import { inspectBytes } from './inspect.ts';
import { modulesIn, packModules, releasesIn } from './module-tree.ts';
import { readKernelPackage } from './package.ts';
import { KernelShelf } from './shelf.ts';

export type KeepKernelRequest = {
  path: string;
  /** made of the release unless told */
  name?: string | undefined;
  configPath?: string | undefined;
  /** of a package, its modules too */
  modules?: boolean;
  /** what the file is known to be of, when it is a build's, and the modules that were built with it */
  from?: KernelOrigin;
  built?: Tree | null;
  progress?: Progress;
  signal?: AbortSignal | undefined;
};

export type KeptKernel = { record: KernelRecord; made: boolean; refused: KernelReport['config']['refused'] };

/** 10,000 options have 300 KB. */
const MOST_CONFIG_BYTES = 16 * 1024 * 1024;

export async function keepKernel(store: ImageStore, request: KeepKernelRequest): Promise<KeptKernel> {
  const { signal, progress } = request;
  if (request.name !== undefined) nameOrThrow(request.name);
  const isPackage = kindOf(await headOf(request.path)) === 'Debian package';
  if (request.modules === true && !isPackage)
    throw imageFault(
      `${request.path} is no Debian package, and only from one can modules be taken. Leave --modules out, or give the linux-image-*.deb.`,
    );
  try {
    return await store.exclusively(signal, async (scratch) => {
      if (!isPackage)
        return keep(
          store,
          { ...request, believed: request.from === undefined ? request.configPath : undefined },
          originOf(request),
          scratch,
        );
      progress?.({ name: `unpack ${basename(request.path)}` });
      const read = await readKernelPackage(request.path, { scratch, signal });
      const taken = join(scratch, 'taken');
      await ensureFolder(taken);
      const path = await takeOut(read.kernel, taken, MAX_KERNEL_FILE_BYTES);
      const config = read.config === undefined ? undefined : await takeOut(read.config, taken, MOST_CONFIG_BYTES);
      const modulesOf = (release: string): Folder => {
        const modules = modulesIn(read.tree, release);
        if (modules !== undefined) return modules;
        const others = releasesIn(read.tree).slice(0, 3).join(', ');
        throw imageFault(
          `${request.path} (${read.what}) holds no modules of Linux ${release}${others === '' ? '; Ubuntu has them in a package of their own' : `, only of ${others}`}. Leave --modules out.`,
        );
      };
      return keep(
        store,
        { ...request, path, configPath: request.configPath ?? config, believed: request.configPath },
        { from: read.from, modulesOf: request.modules === true ? modulesOf : null },
        scratch,
      );
    });
  } catch (error) {
    if (!(await wasFull(error, store.folder))) throw error;
    throw faultOfRefusal(
      { ...refusal('disk-full', 'There is no room for the kernel.'), freeMiB: await freeMiB(store.folder) },
      store.folder,
    );
  }
}

/** `modulesOf`: the tree of the kernel's own release; null where none is to be kept. */
type Origin = { from: KernelOrigin; modulesOf: ((release: string) => Folder) | null };

function originOf({ path, from, built }: KeepKernelRequest): Origin {
  const modulesOf = (release: string): Folder => {
    const modules = built && modulesIn(built, release);
    if (!modules) throw new Error(`the modules that were built are not those of ${release}`);
    return modules;
  };
  return { from: from ?? { is: 'file', file: basename(path) }, modulesOf: built ? modulesOf : null };
}

async function takeOut({ name, node }: { name: string; node: RegularFile }, folder: string, most: number): Promise<string> {
  if (sizeOf(node.data) > most)
    throw imageFault(`${name} in the package has ${sizeOf(node.data)} bytes, more than the ${most} that are read here.`);
  const path = join(folder, name);
  await writeFile(path, await bytesOf(node.data));
  return path;
}

async function keep(
  store: ImageStore,
  request: KeepKernelRequest & { believed: string | undefined },
  { from, modulesOf }: Origin,
  scratch: string,
): Promise<KeptKernel> {
  const { path, configPath, signal, progress } = request;
  const of = from.is === 'package' ? from.file : path;
  progress?.({ name: `look into ${basename(path)}` });
  const read = await readWhole(path, MAX_KERNEL_FILE_BYTES);
  if (!read.ok) throw faultOfRefusal(read, path);
  const looked = await inspectBytes(read.bytes, { path, configPath, signal });
  if (!looked.ok) throw faultOfRefusal(looked, path);
  const { core, facts, evidence } = looked;
  if (!core.ok) throw imageFault(`${of}: ${core.say}`);
  const { kernel, bytes: vmlinux } = core;
  if (kernel.format !== 'elf' || kernel.arch !== 'x86-64' || facts.format === 'arm64 Image' || facts.format === 'EFI zboot')
    throw imageFault(
      `${of} is a kernel for ${kernel.arch} (${facts.format}). Linstock runs x86-64 guests: give an ELF vmlinux or a bzImage.`,
    );
  const unbelieved = facts.config.refused.find(({ file }) => file === request.believed);
  if (unbelieved !== undefined && facts.config.by !== 'ikconfig')
    throw imageFault(
      `${unbelieved.file} is not the configuration of ${of}: ${unbelieved.why}. Give the one that it was built with, or none.`,
    );
  const name = request.name ?? nameOf(kernel.banner.release);
  nameOrThrow(name);

  const adopt = async (file: string, data: string | Uint8Array): Promise<{ blob: string; bytes: number }> => {
    const at = join(scratch, file);
    await writeFile(at, data);
    return store.adoptBlob(at, signal);
  };
  const { release } = kernel.banner;
  progress?.({ name: `keep Linux ${release}` });
  const packed = modulesOf === null ? null : join(scratch, 'modules.tar');
  if (packed !== null && modulesOf !== null) await packModules({ release, from: modulesOf(release), scratch, file: packed, signal });
  const modules = packed === null ? null : await store.adoptBlob(packed, signal);
  const kernelBlob = await adopt('vmlinux', vmlinux);
  const known = await configOf(facts, vmlinux, evidence.proper?.hits.get(CONFIG_MARK)?.[0], from.is === 'build' ? configPath : undefined);
  const config = known === null ? null : { ...(await adopt('config', known.text)), by: known.by, file: known.file };
  const kept = await new KernelShelf(store).put(
    {
      name,
      kernel: {
        ...kernelBlob,
        release,
        banner: kernel.banner.text,
        pvh: kernel.pvhEntry !== null,
        leastMemoryMiB: facts.leastMemoryMiB ?? 0,
      },
      file: { format: facts.format, compression: facts.compression, bytes: read.bytes.length, sha256: sha256(read.bytes) },
      config,
      modules,
      from,
    },
    scratch,
  );
  return { ...kept, refused: facts.config.refused };
}

type KnownConfig = { text: string; by: 'ikconfig' | 'config-file'; file: string | null };

/** `built`: what it was just built with; nothing needs to speak for that. */
async function configOf(
  { config }: Pick<KernelReport, 'config'>,
  vmlinux: Buffer,
  markAt: number | undefined,
  built: string | undefined,
): Promise<KnownConfig | null> {
  if (config.by === 'ikconfig') {
    const text = markAt === undefined ? null : await embeddedConfigText(vmlinux, markAt);
    return text === null ? null : { text, by: 'ikconfig', file: null };
  }
  const file = config.file ?? built;
  if (file === undefined) return null;
  const bytes = await readFile(file);
  return { text: (await unzippedText(bytes)) ?? bytes.toString('latin1'), by: 'config-file', file: basename(file) };
}

function nameOrThrow(name: string): void {
  if (!goldenManifestSchema.shape.name.safeParse(name).success)
    throw imageFault(`A kernel cannot be called ${JSON.stringify(name)}. Use 1 to 63 small letters, digits and hyphens, a letter first.`);
}

/** `6.1.0-56-cloud-amd64` → `linux-6-1-0-56-cloud-amd64`. */
export function nameOf(release: string): string {
  return `linux-${release.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`.slice(0, 63).replace(/-+$/, '');
}

async function headOf(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const head = Buffer.alloc(MAGIC_BYTES);
    // What is no ordinary file is refused when it is read whole; a pipe would never answer.
    if (!(await file.stat()).isFile()) return head.subarray(0, 0);
    return head.subarray(0, (await file.read(head, 0, head.length, 0)).bytesRead);
  } catch (error) {
    throw faultOfRefusal(unreadable(path, error), path);
  }
}
