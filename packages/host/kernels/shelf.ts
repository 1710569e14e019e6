/** The kernels of an image store: kernels/NAME/VERSION/record.json beside the blobs that they name. Numbers count up and are never given again. */
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { kernelRecordSchema } from '@linstock/contract';
import type { GoldenManifest, KernelRecord } from '@linstock/contract';
import { syncFolder } from '../tools/files.ts';
import { kernelLine, KERNEL_RECORD, readKernelRecords } from '../images/kernel-records.ts';
import type { FoundRecord } from '../images/kernel-records.ts';
import { imageFault } from '../images/refusal.ts';
import type { ImageStore } from '../images/store.ts';

export type KernelContent = Omit<KernelRecord, 'schema' | 'version' | 'createdAt'>;

/** What became of the blobs of a kernel that was deleted. */
export type Freed = {
  bytes: number;
  kept: readonly { blob: string; bytes: number; why: string }[];
};

const YOUNG = 'younger than an hour, so that it may belong to a build that is not done yet; a later deletion takes it away';
const USED = 'another kernel is made of it, or a record is damaged and nobody can tell';

export class KernelShelf {
  readonly #store: ImageStore;
  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** By name and version; what is damaged is told apart. */
  async all(): Promise<{ items: KernelRecord[]; damaged: string[] }> {
    const found = await readKernelRecords(this.#store.folder);
    return {
      items: found.flatMap(({ record }) => record ?? []),
      damaged: found.filter(({ record }) => record === undefined).map(({ path }) => path),
    };
  }

  /** `NAME` is its newest version, `NAME@VERSION` that one; undefined when there is none. */
  async find(named: string): Promise<KernelRecord | undefined> {
    return versionsOf(await readKernelRecords(this.#store.folder), named).findLast(({ record }) => record !== undefined)?.record;
  }

  /** The same kernel with the same configuration and modules as the newest version of its name is that version. */
  async put(content: KernelContent, scratch: string): Promise<{ record: KernelRecord; made: boolean }> {
    const newest = await this.find(content.name);
    if (newest !== undefined && blobsOf(newest).join() === blobsOf(content).join()) return { record: newest, made: false };
    const line = kernelLine(this.#store.folder, content.name);
    const record = await this.#store.takeNumber(
      line,
      KERNEL_RECORD,
      (version, createdAt) => kernelRecordSchema.parse({ ...content, schema: 1, version, createdAt }),
      scratch,
    );
    return { record, made: true };
  }

  /** Refused while a golden version is made with it. */
  async delete(named: string): Promise<{ deleted: string; freed: Freed }> {
    const found = versionsOf(await readKernelRecords(this.#store.folder), named);
    const [one] = found;
    if (one === undefined) throw imageFault(`There is no kernel ${named}. "linstock kernel list" shows what there is.`);
    if (found.length > 1)
      throw imageFault(
        `The kernel ${named} has the versions ${found.map(({ version }) => version).join(', ')}. Say which: ${named}@${found.at(-1)?.version}.`,
      );
    const users = one.record === undefined ? [] : madeWith(await this.#store.all(), one.record);
    if (users.length > 0)
      throw imageFault(
        `The kernel ${one.name}@${one.version} is that of ${users.join(', ')}. Delete ${users.length === 1 ? 'that golden version' : 'those golden versions'} first.`,
      );
    await rm(one.path);
    await syncFolder(dirname(one.path));
    const swept = await this.#store.dropUnused();
    const parts = one.record === undefined ? [] : partsOf(one.record);
    const gone = parts.filter(({ blob }) => swept.dropped.includes(blob));
    return {
      deleted: `${one.name}@${one.version}`,
      freed: {
        bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0),
        kept: parts
          .filter((part) => !gone.includes(part))
          .map(({ blob, bytes }) => ({ blob, bytes, why: swept.young.includes(blob) ? YOUNG : USED })),
      },
    };
  }
}

function versionsOf(records: readonly FoundRecord[], named: string): FoundRecord[] {
  const [, name, version] = /^([^@]+)(?:@(\d+))?$/.exec(named) ?? [];
  return records.filter((one) => one.name === name && (version === undefined || one.version === Number(version)));
}

function madeWith(goldens: readonly GoldenManifest[], { kernel }: KernelRecord): string[] {
  return goldens.filter((golden) => golden.kernel.blob === kernel.blob).map(({ name, version }) => `${name}@${version}`);
}

type Parts = Pick<KernelRecord, 'kernel' | 'config' | 'modules'>;

function partsOf({ kernel, config, modules }: Parts): { blob: string; bytes: number }[] {
  return [kernel, config, modules].filter((part) => part !== null);
}

function blobsOf({ kernel, config, modules }: Parts): (string | null)[] {
  return [kernel, config, modules].map((part) => part?.blob ?? null);
}
