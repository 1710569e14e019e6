/**
 * The layers of a container image, one over the other, as a tree. Each is compared with its digests, before and after it is unpacked; a layer that
 * unpacks to more than there may be is given up; a name that is removed by a later layer (a "whiteout") is gone.
 *
 * Source: OCI image-spec, layer.md ("Applying Changesets", "Whiteouts").
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { errnoName } from '../../tools/files.ts';
import { imageFault } from '../refusal.ts';
import { addEntry } from '../tree/from-tar.ts';
import { soundEntries } from '../tree/tar-read.ts';
import type { SoundEntry } from '../tree/tar-read.ts';
import { Tree, bytesOf } from '../tree/tree.ts';
import type { Blob, ImageParts } from './layout.ts';

/** Of all layers unpacked. The largest images that people have (GPU toolkits) come to 20 GB. */
const MOST_BYTES = 64 * 1024 ** 3;
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** `scratch` holds the unpacked layers, to which the tree's files point. */
export async function treeOfImage(
  image: ImageParts,
  what: string,
  scratch: string,
  o: { signal?: AbortSignal | undefined; mostBytes?: number } = {},
): Promise<Tree> {
  const tree = new Tree();
  let left = o.mostBytes ?? MOST_BYTES;
  for (const [index, layer] of image.layers.entries()) {
    const label = `Layer ${index + 1} of ${what}`;
    const blob = await unpack(layer, label, join(scratch, `layer-${index}.tar`), left, o.signal);
    left -= blob.bytes;
    await addLayer(tree, blob, label, o.signal);
  }
  return tree;
}

/** First what the layer removes, then what it brings: removals are of what was there before it, wherever they stand in the archive. */
export async function addLayer(tree: Tree, blob: Blob, what: string, signal?: AbortSignal): Promise<void> {
  const handle = await open(blob.file, 'r');
  try {
    const entries: SoundEntry[] = [];
    for await (const entry of soundEntries({ ...blob, handle }, what, signal)) entries.push(entry);
    for (const { path } of entries) {
      const { folder, name } = lastName(path);
      if (name === OPAQUE) tree.clear(folder);
      else if (isWhiteout(name)) tree.remove(folder === '' ? name.slice(WHITEOUT.length) : `${folder}/${name.slice(WHITEOUT.length)}`);
    }
    for (const entry of entries) if (!lastName(entry.path).name.startsWith(WHITEOUT)) addEntry(tree, entry, what);
  } finally {
    await handle.close();
  }
}

/** `.wh..wh.` begins what aufs kept for itself. */
function isWhiteout(name: string): boolean {
  return name.startsWith(WHITEOUT) && !name.startsWith(WHITEOUT + WHITEOUT) && name.length > WHITEOUT.length;
}

function lastName(path: string): { folder: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

type Layer = ImageParts['layers'][number];

/** The layer as a tar archive: where it lies when it is one, unpacked into a new file when it is compressed. */
async function unpack(
  { blob, descriptor, diffId }: Layer,
  what: string,
  file: string,
  most: number,
  signal: AbortSignal | undefined,
): Promise<Blob> {
  const head = await bytesOf({ ...blob, bytes: Math.min(4, blob.bytes) });
  const magic = head.length < 4 ? 0 : head.readUInt32BE(0);
  const unpacker = magic >>> 16 === 0x1f8b ? createGunzip() : magic === 0x28b52ffd ? createZstdDecompress() : null;
  const before = createHash('sha256');
  const after = createHash('sha256');
  let bytes = 0;
  const tap = (seen: (chunk: Buffer) => Error | null): Transform =>
    new Transform({ transform: (chunk: Buffer, _, done) => done(seen(chunk), chunk) });
  const packed = tap((chunk) => (before.update(chunk), null));
  const plain = tap((chunk) => {
    bytes += chunk.length;
    after.update(chunk);
    return bytes > most ? imageFault(`${what} unpacks to more than the ${Math.round(most / 1024 / 1024)} MiB that are allowed.`) : null;
  });
  const source =
    blob.bytes === 0 ? new PassThrough().end() : createReadStream(blob.file, { start: blob.at, end: blob.at + blob.bytes - 1 });
  const sink =
    unpacker === null
      ? new Writable({ write: (_chunk, _encoding, done) => done() })
      : createWriteStream(file, { flags: 'wx', mode: 0o600 });
  try {
    await pipeline([source, packed, ...(unpacker === null ? [] : [unpacker]), plain, sink], { signal });
  } catch (error) {
    signal?.throwIfAborted();
    // Z_DATA_ERROR and its kind: what zlib says of bytes that are no archive
    if (!/^(Z_|ZSTD_)/.test(errnoName(error) ?? '')) throw error;
    throw imageFault(`${what} cannot be unpacked: it is damaged. Fetch it again.`, error);
  }
  const wrong = (kind: string, is: string, wanted: string): Error =>
    imageFault(`${what} is not what its ${kind} says (${is} instead of ${wanted}). Fetch the image again.`);
  const is = { blob: `sha256:${before.digest('hex')}`, content: `sha256:${after.digest('hex')}` };
  if (descriptor !== null && is.blob !== descriptor.digest) throw wrong('digest', is.blob, descriptor.digest);
  if (is.content !== diffId) throw wrong('configuration', is.content, diffId);
  return unpacker === null ? blob : { file, at: 0, bytes };
}
