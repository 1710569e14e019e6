/**
 * The modules of a kernel as a tree of their own: RELEASE/… with plain files and folders and nothing else, and with the files in which modprobe
 * looks things up. What is kept, what an initrd is made of and what a root file system gets are the same tree.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFailure, exec, execOk, succeeded } from '../tools/exec.ts';
import { ensureFolder, removeTree } from '../tools/files.ts';
import { readWhole } from '../images/read-whole.ts';
import { faultOfRefusal, imageFault } from '../images/refusal.ts';
import { treeFromTar } from '../images/tree/from-tar.ts';
import { writeTar } from '../images/tree/tar-write.ts';
import { Tree, fileNode, folderNode } from '../images/tree/tree.ts';
import type { Folder, TreeNode } from '../images/tree/tree.ts';
import { BUILD_PATH } from './build/needs.ts';

/** Where trees of modules lie; since Debian 13 and Ubuntu 24.04 packages ship them below /usr. */
export const MODULE_PLACES = ['lib/modules', 'usr/lib/modules'] as const;
/** As kmod names them: by the one modprobe finds what a module needs, by the other which modules fit a device. */
export const MODULE_INDEX = 'modules.dep.bin';

/** A release as a banner says it may have anything in it; as the name of a folder it may not. */
const NAME = /^\d[\w.+~-]*$/;
/** A whole distribution's modules on a slow disk. */
const TOOL_TIMEOUT_MS = 300_000;
/** Of a distribution: 5 MB for all of them. */
const MOST_INDEX_BYTES = 64 * 1024 * 1024;

/** Links (`build` and `source` lead to the sources, which are not there), devices and foreign owners stay behind. Pure. */
export function modulesOnly(release: string, from: Folder): Tree {
  const tree = new Tree();
  tree.put(release, folderNode());
  for (const { path, node } of new Tree(from).walk()) {
    if (node.kind === 'folder') tree.put(`${release}/${path}`, folderNode());
    if (node.kind === 'file') tree.put(`${release}/${path}`, fileNode(node.data));
  }
  return tree;
}

/** The tree of one release in a larger one, which has more in it than what its package's scripts would make; undefined when there is none. */
export function modulesIn(tree: Tree, release: string): Folder | undefined {
  const found = MODULE_PLACES.map((place) => tree.at(`${place}/${release}`)).find(isFullFolder);
  return found?.kind === 'folder' ? found : undefined;
}

function isFullFolder(node: TreeNode | undefined): node is Folder {
  return node?.kind === 'folder' && node.children.size > 0;
}

/** Releases in a tree that have modules, each once. */
export function releasesIn(tree: Tree): string[] {
  const places = MODULE_PLACES.map((place) => tree.seen(place)).filter(isFullFolder);
  return [...new Set(places.flatMap(({ children }) => [...children].filter(([, node]) => isFullFolder(node)).map(([name]) => name)))];
}

/** Packs them as they are kept, once depmod has said what each needs: the same modules are the same bytes. */
export async function packModules(o: {
  release: string;
  from: Folder;
  scratch: string;
  file: string;
  signal: AbortSignal | undefined;
}): Promise<void> {
  const { release, scratch, signal } = o;
  if (!NAME.test(release)) throw imageFault(`Linux ${JSON.stringify(release)} is no release that modules could lie under.`);
  const tree = modulesOnly(release, o.from);
  const root = join(scratch, 'depmod');
  const folder = join(root, 'lib/modules');
  await unpackModules(tree, folder, scratch, signal);
  await ensureFolder(join(root, 'config'));
  const indexed = await exec(['depmod', '--basedir', root, '--config', join(root, 'config'), release], {
    timeoutMs: TOOL_TIMEOUT_MS,
    signal,
    // programs of an administrator are not on everybody's PATH
    env: { PATH: BUILD_PATH },
  });
  if (indexed.aborted) signal?.throwIfAborted();
  if (indexed.spawnError === 'ENOENT')
    throw imageFault(
      'Modules are of no use to a guest without what depmod says of them, and depmod is not here: install the package kmod.',
    );
  if (!succeeded(indexed)) throw imageFault(`depmod cannot make sense of the modules of Linux ${release}. ${describeFailure(indexed)}`);
  for (const name of await readdir(join(folder, release))) {
    if (!/^modules\.[a-z.]+$/.test(name)) continue;
    const read = await readWhole(join(folder, release, name), MOST_INDEX_BYTES);
    if (!read.ok) throw faultOfRefusal(read, scratch);
    tree.put(`${release}/${name}`, fileNode(read.bytes));
  }
  await writeTar(tree, o.file, signal);
  await removeTree(root);
}

/** Below `folder`, as RELEASE/…; plain files and folders only, so nothing leads out of it. */
export async function unpackModules(tree: Tree, folder: string, scratch: string, signal: AbortSignal | undefined): Promise<void> {
  const archive = join(scratch, 'unpacking.tar');
  await writeTar(tree, archive, signal);
  await ensureFolder(folder);
  await execOk(['tar', '--extract', `--file=${archive}`, `--directory=${folder}`, '--no-same-owner'], {
    timeoutMs: TOOL_TIMEOUT_MS,
    signal,
  });
  await removeTree(archive);
}

/** A fault when the archive is not what `packModules` makes: one that was kept before it was. */
export async function keptModules(
  archive: string,
  o: { release: string; called: string; signal?: AbortSignal | undefined },
): Promise<Tree> {
  const { release, called } = o;
  const whole = await treeFromTar(archive, `The archive of the modules of ${called}`, o.signal);
  const found = whole.at(release);
  if (!isFullFolder(found) || !found.children.has(MODULE_INDEX))
    throw imageFault(`The modules of ${called} were kept without what modprobe needs of them. Import or build the kernel again.`);
  return modulesOnly(release, found);
}
