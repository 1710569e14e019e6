/** What a recipe stands on: nothing, Debian, a container image; made, or taken from the layers that were made before. */
import { join } from 'node:path';
import { ensureFolder, sha256 } from '../../tools/files.ts';
import { askVersions, debianSpec, howFarDebian, isStillGiven, makeDebian, packagesOf, tidyDebian } from '../debian.ts';
import type { DebianWish } from '../debian.ts';
import { Layers } from '../layers.ts';
import type { LayerRecord } from '../layers.ts';
import { canonicalJson } from '../manifest.ts';
import { treeOfImage } from '../oci/layers.ts';
import { openImage } from '../oci/layout.ts';
import type { ImageConfig, ImageParts } from '../oci/layout.ts';
import type { Step } from '../steps.ts';
import { treeFromTar } from '../tree/from-tar.ts';
import { writeTar } from '../tree/tar-write.ts';
import { Tree } from '../tree/tree.ts';
import type { LoadedRecipe } from './load.ts';
import { fetchImage } from './registry.ts';

export type Ground = {
  /** of everything in the tree */
  key: string;
  /** for people */
  from: string;
  config: ImageConfig | undefined;
  tree(): Promise<Tree>;
};

export type GroundJob = {
  layers: Layers;
  scratch: string;
  step: Step;
  /** `newest`: ask the archive or the registry, and use what was made before only when that is what they give; `fresh`: use nothing made before */
  use: 'as-built' | 'newest' | 'fresh';
  signal: AbortSignal | undefined;
};

export async function groundOf(loaded: LoadedRecipe, job: GroundJob): Promise<Ground> {
  const { source } = loaded;
  switch (source.is) {
    case 'scratch':
      return { key: 'scratch', from: 'scratch', config: undefined, tree: () => Promise.resolve(new Tree()) };
    case 'debian':
      return debianGround({ suite: source.suite, packages: loaded.packages }, job);
    case 'image':
      return imageGround(await openImage(source.path, job.signal), source.path, job);
    case 'registry': {
      const spec = sha256(`registry ${source.reference}`);
      const known = job.use === 'as-built' ? await job.layers.newestFor(spec) : undefined;
      if (known !== undefined) return groundFrom(known, job.layers.tar(known.key), known.made['image'] ?? '', job.signal);
      const layout = join(job.scratch, 'oci');
      await job.step(`fetch ${source.reference}`, () => fetchImage(source.reference, layout, job.signal));
      return imageGround(await openImage(layout, job.signal), source.reference, job, spec);
    }
  }
}

function groundFrom(record: LayerRecord, tar: string, from: string, signal: AbortSignal | undefined): Ground {
  return { key: record.key, from, config: record.config, tree: () => treeFromTar(tar, 'A layer in the store', signal) };
}

async function imageGround(image: ImageParts, what: string, job: GroundJob, spec = sha256('image')): Promise<Ground> {
  const made = { image: image.digest };
  const known = job.use === 'fresh' ? undefined : await job.layers.withKey(Layers.keyOf(spec, made));
  if (known !== undefined) return groundFrom(known, job.layers.tar(known.key), image.digest, job.signal);
  return job.step(`unpack ${image.layers.length} layers of ${what}`, async () => {
    const scratch = join(job.scratch, 'layers');
    await ensureFolder(scratch);
    const file = join(job.scratch, 'image.tar');
    await writeTar(await treeOfImage(image, what, scratch, { signal: job.signal }), file, job.signal);
    const { record, tar } = await job.layers.keep(file, { spec, made, config: image.config });
    return groundFrom(record, tar, image.digest, job.signal);
  });
}

async function debianGround(wish: DebianWish, job: GroundJob): Promise<Ground> {
  const { layers, scratch, step, signal } = job;
  const spec = debianSpec(wish);
  const from = `debian:${wish.suite}`;
  const ground = (key: string, file: string): Ground => ({
    key,
    from,
    config: undefined,
    tree: async () => {
      const tree = await treeFromTar(file, 'The archive that mmdebstrap made', signal);
      await tidyDebian(tree);
      return tree;
    },
  });
  const known = await knownDebian(wish, spec, job);
  if (known !== undefined) return ground(known.key, layers.tar(known.key));
  const file = join(scratch, 'debian.tar');
  await step(
    `build Debian ${wish.suite} with ${wish.packages.length} packages and what they need`,
    () => makeDebian(wish, file, scratch, signal),
    () => howFarDebian(scratch),
  );
  const made = (await packagesOf(await treeFromTar(file, 'The archive that mmdebstrap made', signal))) ?? {};
  const { record, tar } = await layers.keep(file, { spec, made });
  return ground(record.key, tar);
}

async function knownDebian(
  wish: DebianWish,
  spec: string,
  { layers, scratch, step, use, signal }: GroundJob,
): Promise<LayerRecord | undefined> {
  if (use === 'fresh') return undefined;
  const newest = await layers.newestFor(spec);
  if (use === 'as-built' || newest === undefined) return newest;
  const given = await step(`ask the archive of Debian ${wish.suite}`, () => askVersions(wish, scratch, signal));
  return isStillGiven(newest.made, given) ? newest : undefined;
}

/** Of what a stage finds: everything below it, and what it does itself. */
export function keyAfter(before: string, stageDigest: string): string {
  return sha256(canonicalJson([before, stageDigest]));
}
