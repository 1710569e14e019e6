/** The records of root file systems that were built from recipes: rootfs/NAME/DIGEST.json beside the blobs that they name. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RootfsRecord } from '@linstock/contract';
import { ensureFolder, isThere, syncFolder, writeDurably } from '../../tools/files.ts';
import { isMadeWith } from '../manifest.ts';
import { imageFault } from '../refusal.ts';
import { readRootfsRecords } from '../rootfs-records.ts';
import type { ImageStore } from '../store.ts';

export type DeletedRootfs = { deleted: string; images: number; freedBytes: number; young: number };

export class RootfsShelf {
  readonly #store: ImageStore;
  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** Those whose image is there, newest first. */
  async all(): Promise<RootfsRecord[]> {
    const there: RootfsRecord[] = [];
    for (const { record } of await readRootfsRecords(this.#store.folder))
      if (await isThere(this.#store.blobPath(record.rootfs.blob))) there.push(record);
    return there.toSorted((a, b) => b.createdAt - a.createdAt);
  }

  /** The newest that was made with these, and whose image is whole. */
  async find(name: string, madeWith: Readonly<Record<string, string>>): Promise<RootfsRecord | undefined> {
    for (const { record } of (await readRootfsRecords(this.#store.folder, name)).toReversed()) {
      if (!isMadeWith(record, madeWith)) continue;
      if (await this.#store.hold(record.rootfs)) return record;
    }
    return undefined;
  }

  async put(record: RootfsRecord): Promise<void> {
    const folder = join(this.#store.folder, 'rootfs', record.name);
    await ensureFolder(folder);
    await writeDurably(join(folder, `${record.digest}.json`), `${JSON.stringify(record, null, 2)}\n`);
  }

  /** All that was built of a recipe. Refused while a golden version is made of any of it. */
  async delete(name: string): Promise<DeletedRootfs> {
    const found = /^[a-z][a-z0-9-]*$/.test(name) ? await readRootfsRecords(this.#store.folder, name) : [];
    if (found.length === 0) throw imageFault(`There is no root file system ${name}. "linstock rootfs list" shows what there is.`);
    const images = new Map(found.map(({ record }) => [record.rootfs.blob, record.rootfs.bytes]));
    const users = (await this.#store.all()).filter(({ rootfs }) => images.has(rootfs.blob)).map((one) => `${one.name}@${one.version}`);
    if (users.length > 0)
      throw imageFault(
        `The root file system ${name} is that of ${users.join(', ')}. Delete ${users.length === 1 ? 'that golden version' : 'those golden versions'} first.`,
      );
    for (const { path } of found) await rm(path, { force: true });
    await syncFolder(dirname(found[0]?.path ?? ''));
    const { dropped, young } = await this.#store.dropUnused();
    const freed = [...images].filter(([blob]) => dropped.includes(blob));
    return {
      deleted: name,
      images: images.size,
      freedBytes: freed.reduce((sum, [, bytes]) => sum + bytes, 0),
      young: [...images.keys()].filter((blob) => young.includes(blob)).length,
    };
  }
}
