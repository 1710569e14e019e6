/**
 * Layers of root file systems that took long to make, kept as tar archives beside the images.
 *
 *   layers/KEY.tar    what the layer holds, all of it
 *   layers/KEY.json   written last: a layer exists if and only if its record does
 *   layers/KEY.bin    a program of ours that was compiled for guests
 *
 * A key is a digest of everything that decides what is in the layer. Only the few that were used last are kept.
 */
import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  ensureFolder,
  listFolder,
  readIfThere,
  readTextIfThere,
  removeTree,
  settleFile,
  sha256,
  sizeIfThere,
  writeDurably,
} from '../tools/files.ts';
import { canonicalJson } from './manifest.ts';
import { imageConfigSchema } from './oci/layout.ts';

const recordSchema = z.strictObject({
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** of the wish alone, without what the archive gave: what `as built` is looked up by */
  spec: z.string(),
  bytes: z.int(),
  createdAt: z.number(),
  /** what came in from outside: packages with their versions, an image with its digest */
  made: z.record(z.string(), z.string()),
  /** of a container image */
  config: imageConfigSchema.optional(),
});
export type LayerRecord = z.infer<typeof recordSchema>;

/** A desktop is 1 GB: its layer, that of an older version, and those of two other recipes. */
const MOST_LAYERS = 4;

export class Layers {
  readonly #folder: string;
  readonly #now: () => number;
  constructor(ports: { images: string; now: () => number }) {
    this.#folder = join(ports.images, 'layers');
    this.#now = ports.now;
  }

  static keyOf(spec: string, made: Readonly<Record<string, string>>): string {
    return sha256(canonicalJson({ spec, made }));
  }

  tar(key: string): string {
    return join(this.#folder, `${key}.tar`);
  }

  async withKey(key: string): Promise<LayerRecord | undefined> {
    return this.#used(await this.#read(`${key}.json`));
  }

  /** The newest that was made for this wish. */
  async newestFor(spec: string): Promise<LayerRecord | undefined> {
    return this.#used((await this.#all()).filter((one) => one.spec === spec).toSorted((a, b) => b.createdAt - a.createdAt)[0]);
  }

  /**
   * Takes a finished archive in. One that is there under its key stays: `tar` is then the archive that was given, so that whoever made
   * everything anew goes on with what is new.
   */
  async keep(file: string, content: Pick<LayerRecord, 'spec' | 'made' | 'config'>): Promise<{ record: LayerRecord; tar: string }> {
    const key = Layers.keyOf(content.spec, content.made);
    const there = await this.withKey(key);
    if (there !== undefined) return { record: there, tar: file };
    await ensureFolder(this.#folder);
    const record: LayerRecord = { ...content, key, bytes: (await sizeIfThere(file)) ?? 0, createdAt: this.#now() };
    await settleFile(file, this.tar(key));
    await writeDurably(this.#recordFile(key), `${JSON.stringify(record, null, 2)}\n`);
    await this.#used(record);
    await this.#prune();
    return { record, tar: this.tar(key) };
  }

  /** A program that was compiled of these sources before. */
  async program(identity: string): Promise<Buffer | undefined> {
    return readIfThere(this.#programFile(identity));
  }

  async keepProgram(identity: string, program: Uint8Array): Promise<void> {
    await ensureFolder(this.#folder);
    await writeDurably(this.#programFile(identity), program);
  }

  #programFile(identity: string): string {
    return join(this.#folder, `${sha256(identity)}.bin`);
  }

  async #used(record: LayerRecord | undefined): Promise<LayerRecord | undefined> {
    if (record === undefined) return undefined;
    const now = this.#now() / 1000;
    await utimes(this.#recordFile(record.key), now, now);
    return record;
  }

  async #prune(): Promise<void> {
    const dated: { key: string; usedAt: number }[] = [];
    for (const { key } of await this.#all()) dated.push({ key, usedAt: (await stat(this.#recordFile(key))).mtimeMs });
    for (const { key } of dated.toSorted((a, b) => b.usedAt - a.usedAt).slice(MOST_LAYERS)) {
      await removeTree(this.#recordFile(key));
      await removeTree(this.tar(key));
    }
  }

  #recordFile(key: string): string {
    return join(this.#folder, `${key}.json`);
  }

  async #all(): Promise<LayerRecord[]> {
    const names = (await listFolder(this.#folder)).filter((name) => name.endsWith('.json'));
    const records = await Promise.all(names.map((name) => this.#read(name)));
    return records.filter((one) => one !== undefined);
  }

  /** Undefined for a record that cannot be read, and for one whose archive is gone or has another size: the layer is then made again. */
  async #read(name: string): Promise<LayerRecord | undefined> {
    const text = await readTextIfThere(join(this.#folder, name));
    if (text === undefined) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // half written by somebody else: no record
      return undefined;
    }
    const parsed = recordSchema.safeParse(value);
    if (!parsed.success || `${parsed.data.key}.json` !== name) return undefined;
    return (await sizeIfThere(this.tar(parsed.data.key))) === parsed.data.bytes ? parsed.data : undefined;
  }
}
