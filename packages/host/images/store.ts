/**
 * The artefact store: a folder with immutable files and the manifests that give them meaning.
 *
 *   blobs/sha256/DIGEST                  read-only, named by content
 *   blobs/sample/DIGEST                  digest over sixteen blocks of it: the cheap check before a boot
 *   goldens/NAME/VERSION/manifest.json   written last: a golden exists if and only if its manifest does
 *   goldens/NAME/VERSION/build.json      a version that is being built, or could not be (golden-builds.ts)
 *   kernels/NAME/VERSION/record.json     the same for kernels by themselves (kernels/shelf.ts)
 *   scratch/PID-START-XXXXXX/            work under way; swept at the next start when its owner is gone
 *
 * Nothing outside scratch/ is ever half there. A blob without a manifest is litter and harmless; a manifest names only blobs that were
 * durable before it.
 */
import { chmod, mkdtemp, open, readFile, readdir, rename, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import {
  cloneFile,
  ensureFolder,
  isAbsence,
  listFolder,
  readTextIfThere,
  removeTree,
  settleFile,
  sha256File,
  sizeIfThere,
  syncFolder,
  writeDurably,
} from '../tools/files.ts';
import type { GoldenManifest } from '@linstock/contract';
import { readKernelRecords } from './kernel-records.ts';
import { parseManifest, sealManifest } from './manifest.ts';
import type { BlobRecord, GoldenContent } from './manifest.ts';
import { refusal } from './refusal.ts';
import { heldRootfs, readRootfsRecords } from './rootfs-records.ts';
import type { ImageRefusal } from './refusal.ts';

export type StepProgress = { name: string; done?: number; total?: number; unit?: string };
export type Progress = (step: StepProgress) => void;

/** How far the keeping of a file is: copied, then read for its digest. */
export type Tell = (doing: 'copy' | 'read', done: number, total: number) => void;

export type GoldenRef = { name: string; version: number };

/** The cheap check reads this many blocks, spread from the first to the last. */
const SAMPLE_BLOCKS = 16;
/** File systems stamp changes with the kernel's tick, 1 to 10 ms; some with whole seconds. */
const TICK_MS = 2_000;
const SAMPLE_BLOCK_BYTES = 4096;
/** Longer than any build takes from its first blob to its seal. */
const UNSEALED_MS = 3_600_000;
/** How often the size of a copy under way is looked at. */
const COPY_LOOK_MS = 500;
/** How often a version number may be taken by somebody else while we seal ours; more means something is badly wrong. */
const MAX_VERSION_RACES = 100;

export class ImageStore {
  readonly folder: string;
  readonly #now: () => number;
  /** blobs whose sample was right, with what `stat` said of the file then: one that nobody touched since is not read again */
  readonly #whole = new Map<string, string>();
  /** manifests already judged, by path: the same text is the same manifest */
  readonly #judged = new Map<string, { text: string; golden: GoldenManifest }>();
  /** Builds of one store run one after the other: the second of two equal requests then finds the work done. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `now`: milliseconds since the epoch, from the injected clock. */
  constructor(ports: { folder: string; now: () => number }) {
    this.folder = resolve(ports.folder);
    this.#now = ports.now;
  }

  /** Makes the folders and removes scratch folders whose owner is gone. Safe to repeat; to be called at each start. */
  async open(): Promise<void> {
    for (const part of ['blobs/sha256', 'blobs/sample', 'goldens', 'scratch']) await ensureFolder(join(this.folder, part));
    for (const name of await readdir(this.#scratchRoot())) {
      const owner = /^(\d+-\d+)-/.exec(name)?.[1];
      if (owner === undefined || (await processIdentity(Number(owner.split('-')[0]))) !== owner)
        await removeTree(join(this.#scratchRoot(), name));
    }
  }

  blobPath(digest: string): string {
    return join(this.folder, 'blobs/sha256', digest);
  }

  goldenFolder(golden: GoldenRef): string {
    return join(this.folder, 'goldens', golden.name, String(golden.version));
  }

  /** Runs `work` with a scratch folder of its own; the folder is gone afterwards, whatever happened. */
  async withScratch<T>(work: (scratch: string) => Promise<T>): Promise<T> {
    const owner = await processIdentity(process.pid);
    const scratch = await mkdtemp(join(this.#scratchRoot(), `${owner ?? `${process.pid}-0`}-`));
    try {
      return await work(scratch);
    } finally {
      await removeTree(scratch);
    }
  }

  /** The same, after all earlier exclusive work of this store. */
  exclusively<T>(signal: AbortSignal | undefined, work: (scratch: string) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(() => {
      signal?.throwIfAborted();
      return this.withScratch(work);
    });
    // The next in line waits for the end of this one, not for its success.
    this.#queue = turn.catch(() => {});
    return turn;
  }

  /** Moves a finished scratch file into the blobs. A blob that is there already stays, unless it is damaged. */
  async adoptBlob(file: string, signal?: AbortSignal, tell: Tell = () => {}): Promise<BlobRecord> {
    const bytes = (await sizeIfThere(file)) ?? 0;
    const digest = await sha256File(file, signal, (done) => tell('read', done, bytes));
    const record: BlobRecord = { blob: digest, bytes };
    const path = this.blobPath(digest);
    const sample = await sampleOf(file, bytes);
    if ((await this.#state(record)) === 'whole' && (await readTextIfThere(this.#samplePath(digest))) === sample) {
      await this.hold(record);
      await removeTree(file);
      return record;
    }
    await writeDurably(this.#samplePath(digest), sample, 0o444);
    await chmod(file, 0o444);
    await settleFile(file, path);
    return record;
  }

  /**
   * Whether a blob is there and whole; if it is, it is young again: for the time that a build may take nobody drops it as unused, although the
   * version that will need it is not sealed yet.
   */
  async hold(record: BlobRecord): Promise<boolean> {
    try {
      await chmod(this.blobPath(record.blob), 0o444);
    } catch (error) {
      if (isAbsence(error)) return false;
      throw error;
    }
    return (await this.checkBlob(record)).ok;
  }

  /** Copies a foreign file in: clone to scratch, then adopt. */
  async copyBlob(file: string, scratch: string, signal?: AbortSignal, tell: Tell = () => {}): Promise<BlobRecord> {
    const copy = join(await mkdtemp(join(scratch, 'copy-')), 'file');
    const total = (await sizeIfThere(file)) ?? 0;
    const look = (): void =>
      void sizeIfThere(copy).then(
        (done) => tell('copy', done ?? 0, total),
        () => {}, // what hinders the look is told by the copy itself
      );
    const looking = setInterval(look, COPY_LOOK_MS);
    try {
      await cloneFile(resolve(file), copy, signal);
    } finally {
      clearInterval(looking);
    }
    return this.adoptBlob(copy, signal, tell);
  }

  /**
   * The commit point. Content equal to the newest version gives that version; otherwise it gets the number that was taken for it, or the next.
   */
  async seal(content: GoldenContent, scratch: string, taken?: GoldenRef): Promise<GoldenManifest> {
    const line = join(this.folder, 'goldens', content.name);
    const newest = (await this.versions(content.name)).at(-1);
    if (newest !== undefined) {
      const there = await this.golden({ name: content.name, version: newest });
      if (there.ok && there.golden.digest === sealManifest(content, newest, 0).digest) return there.golden;
    }
    if (taken !== undefined) {
      const golden = sealManifest(content, taken.version, this.#now());
      await writeDurably(join(this.goldenFolder(taken), 'manifest.json'), `${JSON.stringify(golden, null, 2)}\n`, 0o444);
      return golden;
    }
    return this.takeNumber(line, 'manifest.json', (version) => sealManifest(content, version, this.#now()), scratch);
  }

  /**
   * The next number of a line, with a file of what `made` says of it. The folder with its file is made in scratch and renamed, so that of two
   * writers each gets a number of its own.
   */
  async takeNumber<T>(line: string, file: string, made: (version: number, now: number) => T, scratch: string): Promise<T> {
    await ensureFolder(line);
    await syncFolder(dirname(line));
    // Numbers of folders without that file are passed over, too: something of somebody may lie there.
    let version = Math.max(0, ...(await numberedFolders(line))) + 1;
    for (let race = 0; race < MAX_VERSION_RACES; race++, version++) {
      const content = made(version, this.#now());
      const folder = await mkdtemp(join(scratch, 'seal-'));
      await chmod(folder, 0o755);
      await writeDurably(join(folder, file), `${JSON.stringify(content, null, 2)}\n`, 0o444);
      try {
        await rename(folder, join(line, String(version)));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENOTEMPTY' || code === 'EEXIST') continue;
        throw error;
      }
      await syncFolder(line);
      return content;
    }
    throw new Error(`no free version number in ${line} up to ${version}`);
  }

  /**
   * Removes a version, and then the files that no version is made of any more. Its empty folder stays, so that its number is never given
   * again. Fine when it is gone, or when the number now belongs to other content.
   */
  async drop(golden: GoldenRef & { digest: string }): Promise<void> {
    const read = await this.golden(golden);
    if (!read.ok || read.golden.digest !== golden.digest) return;
    const folder = this.goldenFolder(golden);
    await removeTree(join(folder, 'manifest.json')); // first: what is half gone is no version
    await syncFolder(folder);
    for (const name of await listFolder(folder)) await removeTree(join(folder, name));
    this.#judged.delete(folder);
    await this.dropUnused();
  }

  /**
   * Removes the blobs that no golden, no kernel and no root file system that is held refers to; tells which, and which it kept for being young: a build of another process may
   * have put one there for a version that it has not sealed yet.
   */
  async dropUnused(): Promise<{ dropped: readonly string[]; young: readonly string[] }> {
    const [dropped, young]: [string[], string[]] = [[], []];
    const used = new Set<string>();
    for (const name of await this.names()) {
      for (const version of await this.versions(name)) {
        const read = await this.golden({ name, version });
        if (!read.ok) return { dropped, young }; // nobody can tell what a damaged manifest needs
        const { kernel, initrd, rootfs } = read.golden;
        for (const part of [kernel, initrd, rootfs]) if (part !== null) used.add(part.blob);
      }
    }
    for (const { record } of await readKernelRecords(this.folder)) {
      if (record === undefined) return { dropped, young };
      for (const part of [record.kernel, record.config, record.modules]) if (part !== null) used.add(part.blob);
    }
    for (const { rootfs } of heldRootfs((await readRootfsRecords(this.folder)).map(({ record }) => record))) used.add(rootfs.blob);
    for (const digest of await listFolder(join(this.folder, 'blobs/sha256'))) {
      const seen = used.has(digest) ? undefined : await traceOf(this.blobPath(digest));
      if (seen === undefined) continue;
      if (this.#now() - seen.changedAt < UNSEALED_MS) {
        young.push(digest);
        continue;
      }
      await removeTree(this.blobPath(digest));
      await removeTree(this.#samplePath(digest));
      dropped.push(digest);
    }
    return { dropped, young };
  }

  /** Names of all goldens that have at least one version. */
  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    for (const name of (await readdir(join(this.folder, 'goldens'))).toSorted())
      if ((await this.versions(name)).length > 0) names.push(name);
    return names;
  }

  /** Versions that exist, ascending. */
  async versions(name: string): Promise<readonly number[]> {
    const line = join(this.folder, 'goldens', name);
    const found: number[] = [];
    for (const version of await numberedFolders(line)) {
      if ((await sizeIfThere(join(line, String(version), 'manifest.json'))) !== undefined) found.push(version);
    }
    return found;
  }

  async golden(ref: GoldenRef): Promise<{ ok: true; golden: GoldenManifest } | ImageRefusal> {
    const text = await readTextIfThere(join(this.goldenFolder(ref), 'manifest.json'));
    const label = `${ref.name} version ${ref.version}`;
    if (text === undefined)
      return refusal('golden-not-found', `There is no golden image ${label}. "linstock golden list" shows what there is.`);
    const path = this.goldenFolder(ref);
    const known = this.#judged.get(path);
    const golden = known?.text === text ? known.golden : parseManifest(text);
    if (golden === undefined || golden.name !== ref.name || golden.version !== ref.version) {
      return refusal(
        'golden-damaged',
        `The manifest of golden image ${label} is damaged (${join(this.goldenFolder(ref), 'manifest.json')}). Remove that version's folder and build or import the image again.`,
      );
    }
    if (known?.text !== text) this.#judged.set(path, { text, golden });
    return { ok: true, golden };
  }

  /** Every version whose manifest is whole. */
  async all(): Promise<readonly GoldenManifest[]> {
    const list: GoldenManifest[] = [];
    for (const name of await this.names()) {
      for (const version of await this.versions(name)) {
        const read = await this.golden({ name, version });
        if (read.ok) list.push(read.golden);
      }
    }
    return list;
  }

  /** The newest version that `wanted` accepts, damaged ones passed over. */
  async newest(name: string, wanted: (golden: GoldenManifest) => boolean): Promise<GoldenManifest | undefined> {
    for (const version of (await this.versions(name)).toReversed()) {
      const read = await this.golden({ name, version });
      if (read.ok && wanted(read.golden)) return read.golden;
    }
    return undefined;
  }

  /** All parts of a golden at the cheap level (size and sixteen blocks each): for the moment before a boot. */
  checkGolden(golden: GoldenManifest): Promise<{ ok: true } | ImageRefusal> {
    return this.#check(golden, (part) => this.checkBlob(part));
  }

  /** All parts of a golden, every byte. */
  verifyGolden(golden: GoldenManifest, signal?: AbortSignal): Promise<{ ok: true } | ImageRefusal> {
    return this.#check(golden, (part) => this.verifyBlob(part, signal));
  }

  async #check(
    golden: GoldenManifest,
    look: (part: BlobRecord) => Promise<{ ok: true } | ImageRefusal>,
  ): Promise<{ ok: true } | ImageRefusal> {
    const parts: readonly (readonly [string, BlobRecord | null])[] = [
      ['kernel', golden.kernel],
      ['initrd', golden.initrd],
      ['root file system', golden.rootfs],
    ];
    for (const [what, part] of parts) {
      if (part === null) continue;
      const seen = await look(part);
      if (!seen.ok)
        return refusal(seen.code, `The ${what} of golden image ${golden.name} version ${golden.version} is damaged. ${seen.say}`);
    }
    return { ok: true };
  }

  /** Size and sixteen blocks: finds a missing, truncated or zero-filled file, and most damage; under a millisecond. */
  async checkBlob(record: BlobRecord): Promise<{ ok: true } | ImageRefusal> {
    const path = this.blobPath(record.blob);
    switch (await this.#state(record)) {
      case 'whole':
        return { ok: true };
      case 'absent':
        return refusal('golden-damaged', `The file ${path} is missing. Build or import the image again; that puts it back.`);
      case 'wrong-size':
        return refusal(
          'golden-damaged',
          `The file ${path} has ${await sizeIfThere(path)} bytes instead of ${record.bytes}: it was truncated or replaced. Build or import the image again; that repairs it.`,
        );
      case 'wrong-content':
        return refusal(
          'golden-damaged',
          `The file ${path} has the right size but other content than when it was stored. Build or import the image again, and check the disk.`,
        );
    }
  }

  /** Every byte. */
  async verifyBlob(record: BlobRecord, signal?: AbortSignal): Promise<{ ok: true } | ImageRefusal> {
    const cheap = await this.checkBlob(record);
    if (!cheap.ok) return cheap;
    const path = this.blobPath(record.blob);
    return (await sha256File(path, signal)) === record.blob
      ? { ok: true }
      : refusal(
          'golden-damaged',
          `The file ${path} has the right size but other content than its name says. Build or import the image again, and check the disk.`,
        );
  }

  async #state(record: BlobRecord): Promise<FileState> {
    const path = this.blobPath(record.blob);
    const seen = await traceOf(path);
    if (seen === undefined) return 'absent';
    const { bytes, trace, changedAt } = seen;
    if (bytes !== record.bytes) return 'wrong-size';
    if (this.#whole.get(record.blob) === trace) return 'whole';
    this.#whole.delete(record.blob);
    // Without its sample (somebody tidied up) a blob is judged by its size; the full check still knows.
    const sample = await readTextIfThere(this.#samplePath(record.blob));
    if (sample !== undefined && sample !== (await sampleOf(path, bytes))) return 'wrong-content';
    // a change within the same tick of the file system's clock would leave the same trace
    if (this.#now() - changedAt > TICK_MS) this.#whole.set(record.blob, trace);
    return 'whole';
  }

  #samplePath(digest: string): string {
    return join(this.folder, 'blobs/sample', digest);
  }

  #scratchRoot(): string {
    return join(this.folder, 'scratch');
  }
}

async function numberedFolders(line: string): Promise<number[]> {
  return (await listFolder(line))
    .filter((name) => /^[1-9]\d{0,8}$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}

/** What every change of a file's content or place changes as well; undefined when there is no file. */
async function traceOf(path: string): Promise<{ bytes: number; trace: string; changedAt: number } | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return { bytes: Number(size), trace: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedAt: Number(ctimeNs / 1_000_000n) };
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

type FileState = 'whole' | 'absent' | 'wrong-size' | 'wrong-content';

/** Where the sampled blocks start: spread evenly, the last one ends with the file. Pure. */
export function sampleOffsets(bytes: number): number[] {
  const last = Math.max(0, bytes - SAMPLE_BLOCK_BYTES);
  return [...new Set(Array.from({ length: SAMPLE_BLOCKS }, (_, index) => Math.floor((last * index) / (SAMPLE_BLOCKS - 1))))];
}

async function sampleOf(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256').update(`${bytes}\n`);
  const file = await open(path, 'r');
  try {
    const block = Buffer.alloc(SAMPLE_BLOCK_BYTES);
    for (const offset of sampleOffsets(bytes)) {
      const { bytesRead } = await file.read(block, 0, block.length, offset);
      hash.update(block.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** `PID-STARTTIME`: a pid alone is a rumour, with its start time (field 22 of /proc/PID/stat, proc(5)) it names one process per host boot. */
export async function processIdentity(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // No such process, or it ended while we looked.
    return undefined;
  }
  // The name in parentheses may hold spaces and parentheses; fields are counted after the last one.
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return start === undefined ? undefined : `${pid}-${start}`;
}
