/**
 * Takes a kernel into the image store: an ELF vmlinux, a bzImage (the vmlinux in it is kept), or a Debian package with one. All that can be
 * wrong is found before anything is kept.
 */
import { lstat, open, readFile, realpath, writeFile } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { goldenManifestSchema } from '@linstock/contract';
import type { KernelOrigin, KernelRecord, KernelReport } from '@linstock/contract';
import { kindOf, MAGIC_BYTES } from '@linstock/core';
import { CONFIG_MARK } from '@linstock/core/kernel';
import { describeFailure, exec, execOk, succeeded } from '../tools/exec.ts';
import { sha256 } from '../tools/files.ts';
import { freeMiB, wasFull } from '../images/disk.ts';
import { firstMatch } from '../images/kernel-package.ts';
import { MAX_KERNEL_FILE_BYTES, readWhole, unreadable } from '../images/read-whole.ts';
import { faultOfRefusal, imageFault, refusal } from '../images/refusal.ts';
import type { ImageStore, Progress } from '../images/store.ts';
import { embeddedConfigText, unzippedText } from './embedded-config.ts';
import { inspectBytes } from './inspect.ts';
import { KernelShelf } from './shelf.ts';

export type KeepKernelRequest = {
  path: string;
  /** made of the release unless told */
  name?: string | undefined;
  configPath?: string | undefined;
  /** of a package, its modules too */
  modules?: boolean;
  /** what the file is known to be of, when it is a build's */
  from?: KernelOrigin;
  progress?: Progress;
  signal?: AbortSignal | undefined;
};

export type KeptKernel = { record: KernelRecord; made: boolean; refused: KernelReport['config']['refused'] };

/** Of packages in the field: 60 to 400 MB unpacked, on a slow disk. */
const UNPACK_TIMEOUT_MS = 300_000;
const ASK_TIMEOUT_MS = 30_000;

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
          { from: request.from ?? { is: 'file', file: basename(request.path) }, modulesFolder: null },
          scratch,
        );
      progress?.({ name: `unpack ${basename(request.path)}` });
      const unpacked = await unpackKernelPackage(request, scratch);
      return keep(
        store,
        { ...request, path: unpacked.vmlinuz, configPath: request.configPath ?? unpacked.config, believed: request.configPath },
        unpacked,
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

type Origin = { from: KernelOrigin; modulesFolder: string | null };

async function keep(
  store: ImageStore,
  request: KeepKernelRequest & { believed: string | undefined },
  { from, modulesFolder }: Origin,
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
  progress?.({ name: `keep Linux ${kernel.banner.release}` });
  const modules = modulesFolder === null ? null : await store.adoptBlob(await packedModules(modulesFolder, scratch, signal), signal);
  const kernelBlob = await adopt('vmlinux', vmlinux);
  const known = await configOf(facts, vmlinux, evidence.proper?.hits.get(CONFIG_MARK)?.[0], from.is === 'build' ? configPath : undefined);
  const config = known === null ? null : { ...(await adopt('config', known.text)), by: known.by, file: known.file };
  const kept = await new KernelShelf(store).put(
    {
      name,
      kernel: {
        ...kernelBlob,
        release: kernel.banner.release,
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

async function unpackKernelPackage(
  request: KeepKernelRequest,
  scratch: string,
): Promise<Origin & { vmlinuz: string; config: string | undefined }> {
  const { path, signal } = request;
  const tree = join(scratch, 'tree');
  const asked = await exec(['dpkg-deb', '--field', path, 'Package', 'Version', 'Architecture'], { timeoutMs: ASK_TIMEOUT_MS, signal });
  if (asked.aborted) signal?.throwIfAborted();
  if (!succeeded(asked)) throw imageFault(`${path} cannot be read as a Debian package. ${describeFailure(asked)}`);
  const field = (name: string): string => new RegExp(`^${name}: *(\\S+)$`, 'm').exec(asked.stdout)?.[1] ?? '';
  const what = `${field('Package')} ${field('Version')}`;
  const unpacked = await exec(['dpkg-deb', '--extract', path, tree], { timeoutMs: UNPACK_TIMEOUT_MS, signal });
  if (unpacked.aborted) signal?.throwIfAborted();
  if (!succeeded(unpacked)) throw imageFault(`${path} cannot be unpacked. ${describeFailure(unpacked)}`);
  const vmlinuz = await inside(tree, await firstMatch([join(tree, 'boot')], /^vmlinu[xz]-/));
  if (vmlinuz === undefined)
    throw imageFault(
      `${path} (${what}) holds no kernel: there is no boot/vmlinuz-* in it. Give a linux-image-*.deb with a version in its name; a package without one only names another.`,
    );
  const config = await inside(tree, await firstMatch([join(tree, 'boot')], /^config-/));
  // Since Debian 13 and Ubuntu 24.04 packages ship below /usr.
  const modulesFolder = await inside(tree, await firstMatch([join(tree, 'lib/modules'), join(tree, 'usr/lib/modules')], /^\d/, 'kernel'));
  if (request.modules === true && modulesFolder === undefined)
    throw imageFault(`${path} (${what}) holds no modules; Ubuntu has them in a package of their own. Leave --modules out.`);
  return {
    vmlinuz,
    config,
    modulesFolder: request.modules === true ? (modulesFolder ?? null) : null,
    from: { is: 'package', file: basename(path), package: field('Package'), version: field('Version') },
  };
}

/** A package may hold links that lead out of it: what they lead to is none of its files. */
async function inside(tree: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined || (await lstat(path)).isSymbolicLink()) return undefined;
  return (await realpath(path)).startsWith(`${await realpath(tree)}${sep}`) ? path : undefined;
}

/** Sorted, dated and owned alike: the same modules are the same bytes. */
async function packedModules(folder: string, scratch: string, signal: AbortSignal | undefined): Promise<string> {
  const file = join(scratch, 'modules.tar');
  const alike = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
  await execOk(['tar', '--create', ...alike, `--file=${file}`, `--directory=${dirname(folder)}`, `./${basename(folder)}`], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    signal,
  });
  return file;
}
