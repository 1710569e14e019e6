/** Builds: the same work whether a controller does it or, where none runs, the command that asked for it. */
import type { BuildOrder, BuildResult } from '@linstock/contract';
import type { ImageStore } from '@linstock/host';
import { withImages } from './image-store.ts';
import { buildKernelIn } from './kernel-build.ts';
import type { Progress } from './progress.ts';
import { BY_HAND, buildGoldenIn, buildRootfsIn } from './recipes.ts';

type Asked = { by: string; signal: AbortSignal; progress: Progress };

export async function buildIn(images: ImageStore, stateFolder: string, order: BuildOrder, asked: Asked): Promise<BuildResult> {
  switch (order.what) {
    case 'golden': {
      const { recipe: named, cwd, use, name, kernel } = order;
      const done = await buildGoldenIn(images, { ...asked, named, cwd, use, name: name ?? undefined, kernel: kernel ?? undefined });
      return { what: 'golden', ...done };
    }
    case 'rootfs': {
      const { recipe: named, cwd, use } = order;
      return { what: 'rootfs', ...(await buildRootfsIn(images, { ...asked, named, cwd, use })) };
    }
    case 'kernel': {
      const { unmet, ...done } = await buildKernelIn(images, stateFolder, order, asked);
      return { what: 'kernel', ...done, unmet: [...unmet] };
    }
  }
}

/** For a state folder that no controller serves. */
export async function buildHere<W extends BuildOrder['what']>(
  stateFolder: string,
  order: Extract<BuildOrder, { what: W }>,
  o: Omit<Asked, 'by'>,
): Promise<Extract<BuildResult, { what: W }>> {
  const result = await withImages(stateFolder, (images) => buildIn(images, stateFolder, order, { ...o, by: BY_HAND }));
  return result as Extract<BuildResult, { what: W }>; // an order is answered with a result of its kind
}
