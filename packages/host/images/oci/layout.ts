/**
 * Where a container image keeps what: an OCI image layout (a folder, or a tar archive of one), or what `docker save` and `podman save` write.
 * All of it comes from outside: parsed with limits, and every blob is compared with the digest that names it.
 *
 * Sources: OCI image-spec, image-layout.md, image-index.md, manifest.md, config.md; moby, image/tarexport (manifest.json).
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoName, isThere } from '../../tools/files.ts';
import { imageFault } from '../refusal.ts';
import { treeFromTar } from '../tree/from-tar.ts';
import { bytesOf, normalPath, sizeOf } from '../tree/tree.ts';
import type { FileData } from '../tree/tree.ts';

/** A blob where it lies. */
export type Blob = Extract<FileData, { file: string }>;
export type Descriptor = { digest: string; size: number };
export type ImageParts = {
  /** names the image: equal digest, equal image */
  digest: string;
  config: ImageConfig;
  /** from the ground up; `descriptor` null: the archive gives no digest of the blob, only `diffId` of what it holds */
  layers: readonly { blob: Blob; descriptor: Descriptor | null; diffId: string }[];
};

const MOST_JSON_BYTES = 8 * 1024 * 1024;
/** As overlayfs and Docker have them, with room to spare. */
const MOST_LAYERS = 500;
const MOST_INDEX_DEPTH = 3;

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be a sha256 digest');
const size = z
  .int()
  .min(0)
  .max(2 ** 40);
const descriptorSchema = z.object({
  mediaType: z.string().optional(),
  digest,
  size,
  platform: z.object({ os: z.string().optional(), architecture: z.string().optional() }).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
});
const indexSchema = z.object({ manifests: z.array(descriptorSchema).max(1_000) });
const manifestSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema).max(MOST_LAYERS) });
const saveSchema = z
  .array(
    z.object({
      Config: z.string().max(1_000),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string().max(1_000)).max(MOST_LAYERS),
    }),
  )
  .max(1_000);
const strings = z.array(z.string().max(65_536)).max(2_000).nullish();
export const imageConfigSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  config: z
    .object({
      User: z.string().max(300).nullish(),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: z.string().max(4_000).nullish(),
      StopSignal: z.string().max(30).nullish(),
      Hostname: z.string().max(200).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digest).max(MOST_LAYERS) }),
});
export type ImageConfig = z.infer<typeof imageConfigSchema>;

/** Files of the layout by their name in it. */
type Files = { what: string; find(name: string): Promise<Blob | undefined> };

/** `path`, or `path:tag` as skopeo writes it, for a layout that holds more than one image. */
export async function openImage(path: string, signal?: AbortSignal): Promise<ImageParts> {
  const { place, tag } = await split(path);
  const files = await filesOf(place, signal);
  if ((await files.find('index.json')) !== undefined) return fromLayout(files, tag);
  if ((await files.find('manifest.json')) !== undefined) return fromSave(files, tag);
  throw imageFault(
    `${files.what} is no container image: it has neither index.json (an OCI layout) nor manifest.json (docker save, podman save).`,
  );
}

async function split(path: string): Promise<{ place: string; tag: string | null }> {
  const [, place, tag] = /^(.+):([\w][\w.-]{0,127})$/.exec(path) ?? [];
  return place === undefined || tag === undefined || (await isThere(path)) ? { place: path, tag: null } : { place, tag };
}

async function filesOf(place: string, signal: AbortSignal | undefined): Promise<Files> {
  const facts = await stat(place).catch((error: unknown) => {
    throw imageFault(`${place} cannot be read (${errnoName(error) ?? 'unknown'}): give the folder of an OCI layout, or an archive.`, error);
  });
  if (facts.isDirectory()) {
    return {
      what: place,
      find: async (name) => {
        // neither names nor links may lead out of the folder: what is there goes into an image
        const inside = normalPath(name);
        if (inside === null) return undefined;
        const file = join(place, inside);
        const there = (await isThere(file)) ? await lstat(file) : undefined;
        return there?.isFile() === true ? { file, at: 0, bytes: there.size } : undefined;
      },
    };
  }
  const tree = await treeFromTar(place, place, signal);
  return {
    what: place,
    find: async (name) => {
      const node = tree.seen(name);
      return node?.kind === 'file' && !(node.data instanceof Uint8Array) ? node.data : undefined;
    },
  };
}

async function fromLayout(files: Files, tag: string | null): Promise<ImageParts> {
  let index = await json(files, 'index.json', indexSchema);
  for (let depth = 0; depth < MOST_INDEX_DEPTH; depth += 1) {
    const chosen = choose(index.manifests, depth === 0 ? tag : null, files.what);
    const name = blobName(chosen.digest);
    if (/index|manifest\.list/.test(chosen.mediaType ?? '')) {
      index = await json(files, name, indexSchema, chosen);
      continue;
    }
    const manifest = await json(files, name, manifestSchema, chosen);
    const config = await json(files, blobName(manifest.config.digest), imageConfigSchema, manifest.config);
    const layers = [];
    for (const layer of manifest.layers)
      layers.push({ blob: await blobOf(files, layer), descriptor: { digest: layer.digest, size: layer.size } });
    return checked(files.what, chosen.digest, config, layers);
  }
  throw imageFault(`${files.what} cannot be read: its lists of images lead to further lists.`);
}

async function fromSave(files: Files, tag: string | null): Promise<ImageParts> {
  const images = await json(files, 'manifest.json', saveSchema);
  const fitting = tag === null ? images : images.filter((image) => image.RepoTags?.some((one) => one.endsWith(`:${tag}`)) === true);
  const [image, other] = fitting;
  if (image === undefined || other !== undefined)
    throw imageFault(
      manyImages(
        files.what,
        images.flatMap((one) => one.RepoTags ?? []),
      ),
    );
  const config = await json(files, image.Config, imageConfigSchema);
  const digestOfConfig = await sha256Of(await present(files, image.Config));
  const layers = [];
  for (const name of image.Layers) layers.push({ blob: await present(files, name), descriptor: null });
  return checked(files.what, `sha256:${digestOfConfig}`, config, layers);
}

function checked(
  what: string,
  imageDigest: string,
  config: ImageConfig,
  layers: readonly { blob: Blob; descriptor: Descriptor | null }[],
): ImageParts {
  if (config.os !== 'linux' || config.architecture !== 'amd64')
    throw imageFault(`${what} is for ${config.os}/${config.architecture}; guests here are linux/amd64. Take the image for that platform.`);
  const ids = config.rootfs.diff_ids;
  if (ids.length !== layers.length)
    throw imageFault(`${what} is damaged: its configuration names ${ids.length} layers, its manifest ${layers.length}.`);
  return { digest: imageDigest, config, layers: layers.map((layer, index) => ({ ...layer, diffId: ids[index] ?? '' })) };
}

type Listed = z.infer<typeof descriptorSchema>;

/** The one image for this platform. */
function choose(listed: readonly Listed[], tag: string | null, what: string): Listed {
  const NAME = 'org.opencontainers.image.ref.name';
  const named = tag === null ? listed : listed.filter((one) => one.annotations?.[NAME] === tag);
  const fitting = named.filter(({ platform }) => platform?.os === 'linux' && platform.architecture === 'amd64');
  const [one, other] = fitting.length > 0 ? fitting : named.filter(({ platform }) => platform === null || platform === undefined);
  if (one !== undefined && other === undefined) return one;
  if (one === undefined && tag === null && listed.length > 0) throw imageFault(`${what} holds no image for linux/amd64.`);
  throw imageFault(
    manyImages(
      what,
      listed.map((entry) => entry.annotations?.[NAME] ?? ''),
    ),
  );
}

function manyImages(what: string, tags: readonly string[]): string {
  const known = [...new Set(tags.map((name) => name.split(':').at(-1) ?? '').filter((name) => name !== ''))];
  return `${what} does not hold just one image that fits. Name one by its tag, ${what}:TAG${known.length === 0 ? '' : `; there are: ${known.slice(0, 20).join(', ')}`}.`;
}

function blobName(named: string): string {
  return `blobs/${named.replace(':', '/')}`;
}

async function blobOf(files: Files, { digest: wanted, size: bytes }: Descriptor): Promise<Blob> {
  const blob = await present(files, blobName(wanted));
  if (blob.bytes !== bytes)
    throw imageFault(`${files.what} is damaged: the blob ${wanted} has ${blob.bytes} bytes instead of ${bytes}. Fetch it again.`);
  return blob;
}

async function present(files: Files, name: string): Promise<Blob> {
  const blob = await files.find(name);
  if (blob === undefined) throw imageFault(`${files.what} is incomplete: it has no file ${JSON.stringify(name)}.`);
  return blob;
}

/** A document of the image; with a descriptor it must be the one that the digest names. */
async function json<T>(files: Files, name: string, schema: z.ZodType<T>, descriptor?: Descriptor): Promise<T> {
  const blob = descriptor === undefined ? await present(files, name) : await blobOf(files, descriptor);
  if (sizeOf(blob) > MOST_JSON_BYTES) throw imageFault(`${files.what} cannot be read: ${JSON.stringify(name)} has ${blob.bytes} bytes.`);
  const bytes = await bytesOf(blob);
  if (descriptor !== undefined && `sha256:${createHash('sha256').update(bytes).digest('hex')}` !== descriptor.digest)
    throw imageFault(`${files.what} is damaged: the blob ${descriptor.digest} has other content than its name says. Fetch it again.`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw imageFault(`${files.what} cannot be read: ${JSON.stringify(name)} is not JSON.`, error);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw imageFault(
    `${files.what} cannot be read: in ${JSON.stringify(name)}, ${first === undefined ? '' : `${z.core.toDotPath(first.path)}: ${first.message}`}.`,
  );
}

async function sha256Of(blob: Blob): Promise<string> {
  const hash = createHash('sha256');
  if (blob.bytes > 0)
    for await (const part of createReadStream(blob.file, { start: blob.at, end: blob.at + blob.bytes - 1 })) hash.update(part as Buffer);
  return hash.digest('hex');
}
