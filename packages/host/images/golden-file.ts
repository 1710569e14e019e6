/**
 * A golden version as one file: a tar of its manifest and its blobs, compressed with zstd (`tar --zstd -tf` lists it). Read in one pass and
 * never by its names: each entry must be the one that the manifest wants next, with the size and the digest that stand there. So there is no
 * path to escape by, no bomb (the manifest says how much comes, and the room is asked for before), and what was cut or changed is named.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm, statfs, type FileHandle } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { GoldenManifest } from '@linstock/contract';
import { headerOf, paddingOf, readFileHeader, tarBlockBytes } from '../tar/header.ts';
import { isDiskFull, isThere, settleFile } from '../tools/files.ts';
import { unreadable } from './read-whole.ts';
import { parseManifest, type BlobRecord } from './manifest.ts';
import { refusal, type ImageRefusal } from './refusal.ts';
import type { ImageStore, Progress } from './store.ts';

export type GoldenFileRequest = { path: string; signal: AbortSignal; progress?: Progress };
export type Exported = { ok: true; golden: GoldenManifest; bytes: number };
export type ImportedFile = { ok: true; golden: GoldenManifest; from: { name: string; version: number }; made: boolean };

const MANIFEST = 'manifest.json';
/** One of ours has some KB. */
const MAX_MANIFEST_BYTES = 1024 * 1024;
/** What is left free on the disk beside what is written. */
const SPARE_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

/** Every byte is read and compared with its digest on the way: what is damaged is not passed on. */
export async function exportGolden(store: ImageStore, golden: GoldenManifest, o: GoldenFileRequest): Promise<Exported | ImageRefusal> {
  const { signal, progress = () => {} } = o;
  const path = resolve(o.path);
  if (await isThere(path)) return refusal('file-unreadable', `${path} is there already. Name another file, or remove that one.`);
  progress({ name: 'read every byte of it' });
  const whole = await store.verifyGolden(golden, signal);
  if (!whole.ok) return whole;
  const half = `${path}.half`;
  try {
    await pipeline(
      Readable.from(entriesOf(store, golden, progress)),
      createZstdCompress(),
      createWriteStream(half, { flags: 'wx', mode: 0o600 }),
      { signal },
    );
    await settleFile(half, path);
    const file = await open(path, 'r');
    try {
      return { ok: true, golden, bytes: (await file.stat()).size };
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      return refusal(
        'file-unreadable',
        `${half} is there already: somebody exports to it, or an export was interrupted. Remove it, then try again.`,
      );
    await rm(half, { force: true });
    if (isDiskFull(error)) return refusal('disk-full', `There is no room for ${path}.`);
    if (signal.aborted) throw signal.reason;
    return unreadable(path, error);
  }
}

async function* entriesOf(store: ImageStore, golden: GoldenManifest, progress: Progress): AsyncGenerator<Uint8Array> {
  const text = Buffer.from(`${JSON.stringify(golden, null, 2)}\n`);
  yield headerOf(MANIFEST, text.length);
  yield text;
  yield paddingOf(text.length);
  const blobs = blobsOf(golden);
  const total = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const { blob, bytes } of blobs) {
    yield headerOf(nameOf(blob), bytes);
    for await (const piece of createReadStream(store.blobPath(blob), { highWaterMark: PIECE_BYTES })) {
      yield piece as Buffer;
      progress({ name: 'write it', done: (done += (piece as Buffer).length), total, unit: 'bytes' });
    }
    yield paddingOf(bytes);
  }
  yield Buffer.alloc(2 * tarBlockBytes);
}

/** Under the next version number of its name; when its content is that of the newest one, nothing is made. */
export async function importGoldenFile(store: ImageStore, o: GoldenFileRequest): Promise<ImportedFile | ImageRefusal> {
  const { path, signal, progress = () => {} } = o;
  return store.exclusively(signal, async (scratch): Promise<ImportedFile | ImageRefusal> => {
    const packed = createReadStream(path, { highWaterMark: PIECE_BYTES });
    const unpacked = createZstdDecompress();
    const feeding = pipeline(packed, unpacked, { signal }).catch(() => {}); // what ended it is thrown where it is read
    const pieces = new Pieces(unpacked);
    try {
      const manifest = await readManifest(path, pieces);
      if (!('digest' in manifest)) return manifest;
      const blobs = blobsOf(manifest);
      const room = await roomFor(store.folder, blobs);
      if (room !== null) return room;
      const total = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
      let done = 0;
      for (const blob of blobs) {
        const file = join(scratch, blob.blob);
        const wrong = await takeBlob(path, pieces, blob, file, (bytes) =>
          progress({ name: 'unpack it', done: (done += bytes), total, unit: 'bytes' }),
        );
        if (wrong !== null) return wrong;
        await store.adoptBlob(file, signal);
      }
      const { schema: _schema, version, digest: _digest, createdAt: _createdAt, ...content } = manifest;
      const before = await store.versions(manifest.name);
      const golden = await store.seal(content, scratch);
      return { ok: true, golden, from: { name: manifest.name, version }, made: !before.includes(golden.version) };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isDiskFull(error)) return refusal('disk-full', `There is no room for what is in ${path}.`);
      if (typeof (error as NodeJS.ErrnoException).code === 'string' && (error as NodeJS.ErrnoException).code?.startsWith('Z') === true)
        return damaged(path, 'it is not compressed with zstd, or was damaged');
      return unreadable(path, error);
    } finally {
      packed.destroy();
      unpacked.destroy();
      await feeding;
    }
  });
}

function damaged(path: string, why: string): ImageRefusal {
  return refusal('golden-damaged', `${path} is not a whole golden image: ${why}. Export it again, or copy it again.`);
}

async function readManifest(path: string, pieces: Pieces): Promise<GoldenManifest | ImageRefusal> {
  const block = await pieces.take(tarBlockBytes);
  const header = block === null ? null : readFileHeader(block);
  if (header === null || header.name !== MANIFEST || header.bytes > MAX_MANIFEST_BYTES)
    return damaged(path, 'it does not begin with a manifest');
  const text = await pieces.take(header.bytes);
  if (text === null || (await pieces.take(paddingOf(header.bytes).length)) === null) return damaged(path, 'it ends within its manifest');
  return parseManifest(text.toString('utf8')) ?? damaged(path, 'its manifest is damaged, or was made by a newer Linstock');
}

/** One blob, written with holes where it has blocks of zeros; null when it is what the manifest says. */
async function takeBlob(
  path: string,
  pieces: Pieces,
  { blob, bytes }: BlobRecord,
  to: string,
  tell: (bytes: number) => void,
): Promise<ImageRefusal | null> {
  const block = await pieces.take(tarBlockBytes);
  const header = block === null ? null : readFileHeader(block);
  if (header === null || header.name !== nameOf(blob) || header.bytes !== bytes)
    return damaged(path, `where the file ${blob} should come is something else`);
  const hash = createHash('sha256');
  const file = await open(to, 'wx', 0o600);
  try {
    for (let at = 0; at < bytes;) {
      const piece = await pieces.some(Math.min(PIECE_BYTES, bytes - at));
      if (piece === null) return damaged(path, `it ends within the file ${blob}`);
      hash.update(piece);
      await writeWithHoles(file, piece, at);
      tell(piece.length);
      at += piece.length;
    }
    await file.truncate(bytes);
  } finally {
    await file.close();
  }
  if (hash.digest('hex') !== blob) return damaged(path, `the content of the file ${blob} is not what its name says`);
  return (await pieces.take(paddingOf(bytes).length)) === null ? damaged(path, 'it was cut short') : null;
}

async function writeWithHoles(file: FileHandle, piece: Buffer, at: number): Promise<void> {
  if (!piece.every((byte) => byte === 0)) await file.write(piece, 0, piece.length, at);
}

async function roomFor(folder: string, blobs: readonly BlobRecord[]): Promise<ImageRefusal | null> {
  const { bavail, bsize } = await statfs(folder);
  const needed = blobs.reduce((sum, { bytes }) => sum + bytes, SPARE_BYTES);
  const free = bavail * bsize;
  if (free >= needed) return null;
  return { ...refusal('disk-full', `There is no room for this golden image under ${folder}.`), freeMiB: Math.floor(free / (1024 * 1024)) };
}

/** Kernel, initrd and root file system; what two of them share comes once. */
function blobsOf({ kernel, initrd, rootfs }: GoldenManifest): readonly BlobRecord[] {
  const parts = new Map<string, BlobRecord>();
  for (const part of [kernel, initrd, rootfs]) if (part !== null) parts.set(part.blob, { blob: part.blob, bytes: part.bytes });
  return [...parts.values()];
}

function nameOf(blob: string): string {
  return `blobs/${blob}`;
}

/** A stream in pieces of the size that is asked for; null when it ends before. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>) {
    this.#source = stream[Symbol.asyncIterator]();
  }

  /** Exactly so many bytes: for what is small. */
  async take(bytes: number): Promise<Buffer | null> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0;) {
      const piece = await this.some(left);
      if (piece === null) return null;
      parts.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(parts);
  }

  /** At least one byte and at most so many. */
  async some(most: number): Promise<Buffer | null> {
    while (this.#held.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return null;
      this.#held = next.value;
    }
    const piece = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(piece.length);
    return piece;
  }
}
