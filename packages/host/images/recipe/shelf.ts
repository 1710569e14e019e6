/** The records of root file systems that were built from recipes: rootfs/NAME/DIGEST.json beside the blobs that they name. */
import { join } from 'node:path';
import { rootfsRecordSchema } from '@linstock/contract';
import type { RootfsRecord } from '@linstock/contract';
import { ensureFolder, isThere, listFolder, readTextIfThere, writeDurably } from '../../tools/files.ts';
import { isMadeWith } from '../manifest.ts';
import type { ImageStore } from '../store.ts';

export class RootfsShelf {
  readonly #store: ImageStore;
  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** Those whose image is there, newest first: it goes with the last golden version of it. */
  async all(): Promise<RootfsRecord[]> {
    const there: RootfsRecord[] = [];
    for (const name of await listFolder(this.#folder()))
      for (const record of await this.#named(name)) if (await isThere(this.#store.blobPath(record.rootfs.blob))) there.push(record);
    return there.toSorted((a, b) => b.createdAt - a.createdAt);
  }

  /** The newest that was made with these, and whose image is whole. */
  async find(name: string, madeWith: Readonly<Record<string, string>>): Promise<RootfsRecord | undefined> {
    for (const record of (await this.#named(name)).toSorted((a, b) => b.createdAt - a.createdAt)) {
      if (!isMadeWith(record, madeWith)) continue;
      if (await this.#store.hold(record.rootfs)) return record;
    }
    return undefined;
  }

  async put(record: RootfsRecord): Promise<void> {
    await ensureFolder(this.#folder(record.name));
    await writeDurably(join(this.#folder(record.name), `${record.digest}.json`), `${JSON.stringify(record, null, 2)}\n`);
  }

  async #named(name: string): Promise<RootfsRecord[]> {
    const files = (await listFolder(this.#folder(name))).filter((file) => file.endsWith('.json'));
    const texts = await Promise.all(files.map((file) => readTextIfThere(join(this.#folder(name), file))));
    return texts.flatMap((text) => recordIn(text ?? ''));
  }

  #folder(name = ''): string {
    return join(this.#store.folder, 'rootfs', name);
  }
}

/** A record that cannot be read is none: what it was about is built again. */
function recordIn(text: string): RootfsRecord[] {
  try {
    const parsed = rootfsRecordSchema.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    // not JSON
    return [];
  }
}
