/**
 * Golden versions that are being built: goldens/NAME/VERSION/build.json. The number is taken before anything is made for it; the manifest makes it
 * a version, and the record of its build then goes. A build whose process is gone is interrupted, and the same order goes on under its number.
 */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { goldenBuildSchema } from '@linstock/contract';
import type { GoldenBuild, GoldenOrder } from '@linstock/contract';
import { listFolder, readTextIfThere, removeTree, sizeIfThere, writeDurably } from '../tools/files.ts';
import { canonicalJson } from './manifest.ts';
import { processIdentity } from './store.ts';
import type { GoldenRef, ImageStore } from './store.ts';

export const BUILD_RECORD = 'build.json';

const recordSchema = z.strictObject({
  schema: z.literal(1),
  ...goldenBuildSchema.omit({ state: true, why: true }).shape,
  /** the process that builds, as `/proc` names it; null once it has ended */
  owner: z.string().nullable(),
  end: z.strictObject({ is: z.enum(['interrupted', 'failed']), why: z.string().max(4096) }).nullable(),
});
type BuildRecord = z.infer<typeof recordSchema>;

/** Takes a number for the version, once; called before anything is made for it. */
export type Begin = (scratch: string) => Promise<GoldenRef>;

const GONE = 'whoever built it has ended without a word';

export class GoldenBuilds {
  readonly #store: ImageStore;
  readonly #now: () => number;
  constructor(store: ImageStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** A build with its record: made when `work` begins, gone when it is done, and saying why when it failed. */
  async during<T>(
    o: { name: () => Promise<string>; order: GoldenOrder; by: string; signal: AbortSignal | undefined },
    work: (begin: Begin) => Promise<T>,
  ): Promise<T> {
    let taken: GoldenRef | undefined;
    const begin: Begin = async (scratch) => (taken ??= await this.begin({ ...o, name: await o.name(), scratch }));
    try {
      const done = await work(begin);
      if (taken !== undefined) await this.forget(taken);
      return done;
    } catch (error) {
      const is = o.signal?.aborted === true ? 'interrupted' : 'failed';
      const why = error instanceof Error ? error.message : String(error);
      // where not even that can be written it is seen to be interrupted, and what went wrong is told by whoever gets the error
      if (taken !== undefined) await this.end(taken, { is, why }).catch(() => {});
      throw error;
    }
  }

  /** Takes the number of an interrupted build of the same order, or else the next one. */
  async begin(o: { name: string; order: GoldenOrder; by: string; scratch: string }): Promise<GoldenRef> {
    const { name, order, by, scratch } = o;
    const owner = (await processIdentity(process.pid)) ?? null;
    const fresh = { schema: 1 as const, name, order, by, owner, startedAt: this.#now(), endedAt: null, end: null };
    const left = (await this.all()).findLast(
      (one) => one.name === name && one.state === 'interrupted' && canonicalJson(one.order) === canonicalJson(order),
    );
    if (left !== undefined) {
      await this.#write({ ...fresh, version: left.version });
      return { name, version: left.version };
    }
    const line = join(this.#store.folder, 'goldens', name);
    const { version } = await this.#store.takeNumber(line, BUILD_RECORD, (number): BuildRecord => ({ ...fresh, version: number }), scratch);
    return { name, version };
  }

  /** It came to nothing, and why. */
  async end(build: GoldenRef, end: NonNullable<BuildRecord['end']>): Promise<void> {
    const record = await this.#read(build);
    if (record !== undefined)
      await this.#write({ ...record, owner: null, endedAt: this.#now(), end: { ...end, why: end.why.slice(0, 4096) } });
  }

  /** The record goes: there is a manifest now, the build found nothing new, or somebody does not want it any more. */
  async forget(build: GoldenRef): Promise<void> {
    const folder = this.#store.goldenFolder(build);
    const failed = ((await this.#read(build))?.end ?? null) !== null;
    await removeTree(join(folder, BUILD_RECORD));
    // of a failed build people have read the number, so nothing else gets it; one that found nothing new gives it back
    if (!failed && (await sizeIfThere(join(folder, 'manifest.json'))) === undefined) await rmdir(folder).catch(() => {});
  }

  /** By name and version. */
  async all(): Promise<GoldenBuild[]> {
    const builds: GoldenBuild[] = [];
    for (const name of await listFolder(join(this.#store.folder, 'goldens'))) {
      const numbers = (await listFolder(join(this.#store.folder, 'goldens', name)))
        .filter((word) => /^[1-9]\d{0,8}$/.test(word))
        .map(Number);
      for (const version of numbers.toSorted((a, b) => a - b)) {
        const record = await this.#read({ name, version });
        if (record !== undefined) builds.push(await viewOf(record));
      }
    }
    return builds;
  }

  /** Undefined where there is none, where it cannot be read, and where there is a manifest: that is then what the version is. */
  async #read(build: GoldenRef): Promise<BuildRecord | undefined> {
    const folder = this.#store.goldenFolder(build);
    const text = await readTextIfThere(join(folder, BUILD_RECORD));
    if (text === undefined || (await sizeIfThere(join(folder, 'manifest.json'))) !== undefined) return undefined;
    try {
      const parsed = recordSchema.safeParse(JSON.parse(text));
      return parsed.success && parsed.data.name === build.name && parsed.data.version === build.version ? parsed.data : undefined;
    } catch {
      return undefined; // not JSON: an empty folder to everybody else
    }
  }

  async #write(record: BuildRecord): Promise<void> {
    await writeDurably(join(this.#store.goldenFolder(record), BUILD_RECORD), `${JSON.stringify(record, null, 2)}\n`, 0o444);
  }
}

async function viewOf({ schema: _schema, owner, end, ...record }: BuildRecord): Promise<GoldenBuild> {
  if (end !== null) return { ...record, state: end.is, why: end.why };
  const pid = Number(owner?.split('-')[0]);
  const alive = owner !== null && (await processIdentity(pid)) === owner;
  return alive ? { ...record, state: 'building', why: null } : { ...record, state: 'interrupted', why: GONE };
}
