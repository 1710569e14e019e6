/** The modules of the kernel that an image will boot with, in its root file system. */
import { keptModules, MODULE_PLACES, releasesIn } from '../../kernels/module-tree.ts';
import type { ImageStore } from '../store.ts';
import type { Tree } from '../tree/tree.ts';
import type { ModulesWish } from './kept-kernel.ts';

/** What decides it, as a record's `madeWith` names it. */
export function modulesKey(wish: ModulesWish | undefined): string {
  return wish === undefined ? 'as they come' : `${wish.release} ${wish.archive?.blob ?? 'none'}`;
}

/** Trees of other releases go; the kernel's own is what was kept with it, or what the image brings where nothing was. */
export async function layModules(tree: Tree, wish: ModulesWish, store: ImageStore, signal: AbortSignal | undefined): Promise<void> {
  const { release, archive, called } = wish;
  const modules = archive === null ? undefined : await keptModules(store.blobPath(archive.blob), { release, called, signal });
  for (const place of MODULE_PLACES)
    for (const other of releasesIn(tree)) if (modules !== undefined || other !== release) tree.remove(`${place}/${other}`);
  // where /lib is a link to usr/lib they are below it, as the guest sees them
  for (const { path, node } of modules?.walk() ?? []) tree.put(`${MODULE_PLACES[0]}/${path}`, node);
}
