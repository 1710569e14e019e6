/** Images built from recipes. */
import { constants } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultError, type GoldenManifest, type RootfsRecord } from '@linstock/contract';
import {
  buildGolden,
  buildRootfs,
  builtInRecipes,
  ensureTiny,
  faultOfRefusal,
  GoldenBuilds,
  isThere,
  RootfsShelf,
  TINY,
  type ImageStore,
  type RootfsRequest,
} from '@linstock/host';
import { clone } from './build-info.ts';
import { clock } from './clock.ts';
import { allowed, imagesOf } from './image-store.ts';
import type { Progress } from './progress.ts';

type RecipeOptions = {
  /** a recipe by name or file, or a container image */
  named: string;
  cwd: string;
  use: NonNullable<RootfsRequest['use']>;
  signal: AbortSignal;
  progress: Progress;
};

const builtIn = join(clone, 'guest', 'images');
const agent = { source: join(clone, 'guest', 'agent') };
const init = { source: join(clone, 'guest', 'init') };

/** Who builds where no controller does. */
export const BY_HAND = 'a command without a controller';

/** `rootfs` null: the image `tiny`, whose root file system has no record of its own. */
export async function buildGoldenIn(
  images: ImageStore,
  o: RecipeOptions & { name?: string | undefined; kernel?: string | undefined; by: string },
): Promise<{ golden: GoldenManifest; rootfs: RootfsRecord | null; built: boolean }> {
  if (o.named !== TINY) return buildGolden(images, clock.now, { ...o, builtIn, agent, init });
  const order = { recipe: TINY, cwd: o.cwd, name: null, kernel: null, use: o.use };
  const asked = { name: async () => TINY, order, by: o.by, signal: o.signal };
  return new GoldenBuilds(images, clock.now).during(asked, async (begin) => {
    const packages = o.use === 'as-built' ? 'as-built' : 'newest';
    const tiny = await ensureTiny(images, { agent, packages, progress: o.progress, signal: o.signal, begin });
    if (!tiny.ok) throw faultOfRefusal(tiny, images.folder);
    return { golden: tiny.golden, rootfs: null, built: tiny.built };
  });
}

export async function buildRootfsIn(images: ImageStore, o: RecipeOptions): Promise<{ rootfs: RootfsRecord; built: boolean }> {
  return buildRootfs(images, clock.now, { ...o, builtIn, agent, init });
}

/** What was built, newest first, and what could be. To look is not to make: a folder without images has none. */
export async function listRootfs(stateFolder: string): Promise<{ items: RootfsRecord[]; recipes: string[] }> {
  const images = await allowed(imagesOf(stateFolder), constants.R_OK);
  return { items: await new RootfsShelf(images).all(), recipes: [TINY, ...(await builtInRecipes(builtIn))] };
}

export async function deleteRootfs(stateFolder: string, name: string): ReturnType<RootfsShelf['delete']> {
  const images = await allowed(imagesOf(stateFolder), constants.W_OK);
  if (await isThere(images.folder)) await images.open();
  else throw new FaultError('image-refused', { say: `There is no root file system ${name}: ${images.folder} is not there.` });
  return new RootfsShelf(images).delete(name);
}
