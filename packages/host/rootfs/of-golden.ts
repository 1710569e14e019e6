/** Looks at the root file systems of golden versions. What cannot be read is a fault. */
import type { GoldenDiff, GoldenManifest, RootfsFinding } from '@linstock/contract';
import { contentsOf, differencesOf, factsOf, lintContextOf } from '@linstock/core';
import type { ImageContents, LintContext } from '@linstock/core';
import { faultOfRefusal } from '../images/refusal.ts';
import type { ImageStore } from '../images/store.ts';
import { lintRootfs } from './lint.ts';
import { lookThrough } from './look-through.ts';
import { openTree } from './open-tree.ts';
import type { OpenedTree } from './open-tree.ts';

type Images = Pick<ImageStore, 'folder' | 'blobPath'>;

export async function lintGolden(images: Images, golden: GoldenManifest): Promise<readonly RootfsFinding[]> {
  await using inside = await opened(images, golden);
  return (await lintRootfs(inside, contextOf(golden))).findings;
}

export async function differencesInside(images: Images, from: GoldenManifest, to: GoldenManifest): Promise<GoldenDiff['parts']> {
  if (from.rootfs.blob === to.rootfs.blob) return [];
  return differencesOf(await contents(images, from), await contents(images, to));
}

async function contents(images: Images, golden: GoldenManifest): Promise<ImageContents> {
  await using inside = await opened(images, golden);
  const { tree, fileSystem } = inside;
  return await lookThrough(tree, (view) => contentsOf(view, factsOf(view, contextOf(golden), fileSystem).systemd?.boot ?? null));
}

async function opened(images: Images, { rootfs }: GoldenManifest): Promise<OpenedTree> {
  const inside = await openTree(images.blobPath(rootfs.blob));
  if (!inside.ok) throw faultOfRefusal(inside, images.folder);
  return inside;
}

function contextOf(golden: GoldenManifest): LintContext {
  return lintContextOf({
    commandLine: golden.bootArgs.join(' '),
    ip: null,
    kernel: { release: golden.kernel.release, config: golden.kernel.config, initrdModules: golden.initrd?.modules ?? [] },
    ports: golden.ports.map(({ port }) => port),
  });
}
