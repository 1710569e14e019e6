/**
 * Reads a distribution's kernel package without unpacking it: its archive is written as one file of bounded size, each name in it is judged, and
 * only what is asked for is taken out. Nothing of the package gets a name on this host.
 */
import { basename, join } from 'node:path';
import type { KernelOrigin } from '@linstock/contract';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { sizeIfThere } from '../tools/files.ts';
import { imageFault } from '../images/refusal.ts';
import { treeFromTar } from '../images/tree/from-tar.ts';
import type { RegularFile, Tree } from '../images/tree/tree.ts';

export type KernelPackage = {
  from: KernelOrigin;
  /** name and version, for people */
  what: string;
  tree: Tree;
  kernel: { name: string; node: RegularFile };
  config: { name: string; node: RegularFile } | undefined;
};

/** Debian's largest kernel has 400 MB in files, Ubuntu's with all modules 700 MB; with debug symbols, which nothing here needs, 6 GB. */
const MOST_BYTES = 2 * 1024 ** 3;
const UNPACK_TIMEOUT_MS = 300_000;
const ASK_TIMEOUT_MS = 30_000;

export async function readKernelPackage(
  path: string,
  o: { scratch: string; signal?: AbortSignal | undefined; mostBytes?: number },
): Promise<KernelPackage> {
  const { scratch, signal, mostBytes = MOST_BYTES } = o;
  const asked = await exec(['dpkg-deb', '--field', path, 'Package', 'Version', 'Architecture'], { timeoutMs: ASK_TIMEOUT_MS, signal });
  if (asked.aborted) signal?.throwIfAborted();
  if (!succeeded(asked)) throw imageFault(`${path} cannot be read as a Debian package. ${describeFailure(asked)}`);
  const field = (name: string): string => new RegExp(`^${name}: *(\\S+)$`, 'm').exec(asked.stdout)?.[1] ?? '';
  const what = `${field('Package')} ${field('Version')}`;
  const archive = join(scratch, 'package.tar');
  // Whatever it unpacks to, the kernel ends what writes more than this.
  const unpacked = await exec(['prlimit', `--fsize=${mostBytes}`, 'dpkg-deb', '--fsys-tarfile', path], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    signal,
    stdoutFile: archive,
  });
  if (unpacked.aborted) signal?.throwIfAborted();
  if (!succeeded(unpacked)) {
    if (((await sizeIfThere(archive)) ?? 0) >= mostBytes)
      throw imageFault(
        `${path} (${what}) unpacks to more than ${mostBytes / 1024 ** 2} MiB, which no kernel package does. Give the linux-image-*.deb without debug symbols.`,
      );
    throw imageFault(`${path} cannot be unpacked. ${describeFailure(unpacked)}`);
  }
  const tree = await treeFromTar(archive, `The package ${basename(path)}`, signal);
  const kernel = firstFile(tree, /^vmlinu[xz]-/);
  if (kernel === undefined)
    throw imageFault(
      `${path} (${what}) holds no kernel: there is no boot/vmlinuz-* in it. Give a linux-image-*.deb with a version in its name; a package without one only names another.`,
    );
  return {
    from: { is: 'package', file: basename(path), package: field('Package'), version: field('Version') },
    what,
    tree,
    kernel,
    config: firstFile(tree, /^config-/),
  };
}

/** A link in the place of a file is none: what it leads to may be no file of the package. */
function firstFile(tree: Tree, name: RegExp): { name: string; node: RegularFile } | undefined {
  const boot = tree.at('boot');
  if (boot?.kind !== 'folder') return undefined;
  const names = [...boot.children.keys()].filter((one) => name.test(one)).toSorted();
  for (const one of names) {
    const node = boot.children.get(one);
    if (node?.kind === 'file') return { name: one, node };
  }
  return undefined;
}
