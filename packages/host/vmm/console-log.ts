/**
 * The console of one boot. QEMU appends to console.log itself, so nothing is lost while the daemon is away; this keeps it in bounds and
 * lets people read it. Promises:
 * - an offset names the same byte for ever: old bytes are given back to the disk by punching a hole, the file is never cut or rewritten;
 * - no read holds more than its limit in memory, whatever the guest writes: nothing here waits for the end of a line;
 * - of each byte it is known when it was first seen (console.times: `end ms` says that by
 *   that time the console had grown to this size).
 *
 * A guest floods with 0.2 MB/s through QEMU's serial port (measured, TCG). While no daemon runs nobody trims: 0.6 GB in an hour.
 */
import { watch, type FSWatcher } from 'node:fs';
import { appendFile, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Instant } from '@linstock/contract';
import { exec, describeFailure, succeeded } from '../tools/exec.ts';
import { isAbsence, readTextIfThere, sizeIfThere, writeDurably } from '../tools/files.ts';
import { bootFile } from '../tools/paths.ts';
import { blockBytes, boundedLogs, holeIn } from './log-bounds.ts';

export type ConsoleBounds = { oldest: number; newest: number };
export type ConsoleChunk = { from: number; bytes: Buffer };

type Seen = { end: number; at: Instant };

const MiB = 1024 * 1024;
const DEFAULT_LIMIT_BYTES = 16 * MiB;
/** Logs grow slowly, and each costs a look at its size: every so many-th time is soon enough. */
const TENDS_PER_LOOK_AT_LOGS = 8;
const MAX_CHUNK_BYTES = 64 * 1024;
/** How many times are kept; 100,000 bytes on disk. Older ones are thinned out, first and last stay. */
const MAX_TIMES = 4_096;
const TRIM_TIMEOUT_MS = 10_000;
/** A lost wake-up costs this much, a flood no more than one read in the shorter time. */
const POLL_MS = 500;
const BREATH_MS = 10;

export class ConsoleKeeper {
  readonly #folder: string;
  readonly #limit: number;
  readonly #now: () => Instant;
  #times: Seen[] | undefined;
  #oldest: number | undefined;
  /** where the last hole in each log ended */
  readonly #holes = new Map<string, number>();
  #tends = 0;
  #lane: Promise<unknown> = Promise.resolve();
  /** Why the console cannot be kept in bounds here, in words; null while it can. */
  trouble: string | null = null;

  constructor(options: { folder: string; now: () => Instant; limitBytes?: number }) {
    this.#folder = options.folder;
    this.#now = options.now;
    this.#limit = Math.max(options.limitBytes ?? DEFAULT_LIMIT_BYTES, 2 * blockBytes);
  }

  /** Notes the time of what is new and gives back what is too old, of the VMM's logs as well. To be called again and again while the boot lives, and once after. */
  tend(): Promise<ConsoleBounds> {
    return this.#inTurn(async () => {
      await this.#load();
      const newest = (await sizeIfThere(this.#path)) ?? 0;
      await this.#noteTime(newest);
      await this.#trim(newest);
      if (this.#tends++ % TENDS_PER_LOOK_AT_LOGS === 0) await this.#trimLogs();
      return { oldest: this.#oldest ?? 0, newest };
    });
  }

  async bounds(): Promise<ConsoleBounds> {
    await this.#inTurn(() => this.#load());
    return { oldest: this.#oldest ?? 0, newest: (await sizeIfThere(this.#path)) ?? 0 };
  }

  /** Bytes from an offset on, or from the oldest kept one when that is later; at most `maxBytes` of them. */
  async read(from: number, maxBytes: number): Promise<ConsoleChunk> {
    await this.#inTurn(() => this.#load());
    const start = Math.max(from, this.#oldest ?? 0);
    const file = await openIfThere(this.#path);
    if (file === undefined) return { from: start, bytes: Buffer.alloc(0) };
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.max(0, Math.min(maxBytes, size - start)));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
      // trimmed while it was read: what lies in the hole is zeroes, not what the guest wrote
      const lost = Math.min(Math.max(0, (this.#oldest ?? 0) - start), bytesRead);
      return { from: start + lost, bytes: buffer.subarray(lost, bytesRead) };
    } finally {
      await file.close();
    }
  }

  async tail(maxBytes: number): Promise<ConsoleChunk> {
    const { newest } = await this.bounds();
    return await this.read(Math.max(0, newest - maxBytes), maxBytes);
  }

  /**
   * Everything from an offset on, then what comes, until the signal aborts or `ended` says that nothing more will come. A reader that is
   * slower than the guest misses what was trimmed meanwhile, and sees it by `from`. Nothing is read before it is asked for.
   */
  async *follow(options: {
    from: number;
    signal: AbortSignal;
    ended?: () => Promise<boolean>;
  }): AsyncGenerator<ConsoleChunk, void, undefined> {
    const { signal } = options;
    let from = options.from;
    while (!signal.aborted) {
      // asked before reading: what was written up to the end is then read for sure
      const over = (await options.ended?.()) === true;
      const chunk = await this.read(from, MAX_CHUNK_BYTES);
      if (chunk.bytes.length > 0) {
        from = chunk.from + chunk.bytes.length;
        yield chunk;
        if (chunk.bytes.length < MAX_CHUNK_BYTES && !over) await pause(BREATH_MS, signal);
      } else if (over) {
        return;
      } else {
        await growth(this.#path, from, signal);
      }
    }
  }

  /** When the byte at this offset was first seen; null when it was not, or when its time is no longer kept. */
  async timeOf(offset: number): Promise<Instant | null> {
    await this.#inTurn(() => this.#load());
    return this.#times?.find((seen) => seen.end > offset)?.at ?? null;
  }

  /** Where the bytes end that were first seen together with the one at this offset; null when that is not kept. */
  async seenUpTo(offset: number): Promise<number | null> {
    await this.#inTurn(() => this.#load());
    return this.#times?.find((seen) => seen.end > offset)?.end ?? null;
  }

  get #path(): string {
    return join(this.#folder, bootFile.console);
  }

  async #load(): Promise<void> {
    if (this.#times !== undefined) return;
    const text = (await readTextIfThere(join(this.#folder, bootFile.consoleTimes))) ?? '';
    this.#times = text.split('\n').flatMap((line) => {
      const match = /^(\d{1,15}) (\d{1,15})$/.exec(line);
      return match ? [{ end: Number(match[1]), at: Number(match[2]) }] : []; // the last line may be half written
    });
    const oldest = (await readTextIfThere(join(this.#folder, bootFile.consoleOldest)))?.trim() ?? '';
    this.#oldest = /^\d{1,15}$/.test(oldest) ? Number(oldest) : 0;
  }

  async #noteTime(newest: number): Promise<void> {
    const times = this.#times ?? [];
    if (newest <= (times.at(-1)?.end ?? 0)) return;
    const seen: Seen = { end: newest, at: this.#now() };
    times.push(seen);
    const path = join(this.#folder, bootFile.consoleTimes);
    if (times.length <= MAX_TIMES) return await appendFile(path, lineOf(seen));
    // the more distant a moment, the less its millisecond matters: of the older half every second one goes
    this.#times = times.filter(({ end }, i) => end > (this.#oldest ?? 0) && (i === 0 || i % 2 === 1 || i >= MAX_TIMES / 2));
    await writeDurably(path, this.#times.map(lineOf).join(''));
  }

  /** A hole costs a process (fallocate of util-linux: Node cannot punch), so an eighth more than the limit may gather before it is made. */
  async #trim(newest: number): Promise<void> {
    const oldest = this.#oldest ?? 0;
    if (this.trouble !== null || newest - oldest <= this.#limit + this.#limit / 8) return;
    const upTo = Math.floor((newest - this.#limit) / blockBytes) * blockBytes;
    // said before it is done: nobody may take the zeroes of a hole for something that a guest wrote
    await writeDurably(join(this.#folder, bootFile.consoleOldest), `${upTo}\n`);
    this.#oldest = upTo;
    this.trouble = await punch(this.#path, 0, upTo);
  }

  async #trimLogs(): Promise<void> {
    for (const [name, bounds] of Object.entries(boundedLogs)) {
      if (this.trouble !== null) return;
      const path = join(this.#folder, name);
      const hole = holeIn((await sizeIfThere(path)) ?? 0, bounds, this.#holes.get(name) ?? 0);
      if (hole === null) continue;
      this.#holes.set(name, hole.to);
      this.trouble = await punch(path, hole.from, hole.to);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lane.then(work);
    // the next in the lane starts whether this one failed or not; its failure goes to its own caller
    this.#lane = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }
}

const lineOf = ({ end, at }: Seen): string => `${end} ${at}\n`;

/** null when it worked, else why not. Punching what is a hole already is fine. */
async function punch(path: string, from: number, to: number): Promise<string | null> {
  const where = ['--offset', String(from), '--length', String(to - from)];
  const result = await exec(['fallocate', '--punch-hole', ...where, path], { timeoutMs: TRIM_TIMEOUT_MS });
  return succeeded(result) ? null : describeFailure(result);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Settles when the file is longer than `size`, as far as can be told, or after a while, or on abort. */
function growth(path: string, size: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      watcher?.close();
      resolve();
    };
    const timer = setTimeout(done, POLL_MS);
    signal.addEventListener('abort', done, { once: true });
    let watcher: FSWatcher | undefined;
    try {
      // one event is enough: a watch that stayed open would wake us for every byte of a flood
      watcher = watch(path, { persistent: false }, done);
      watcher.on('error', done);
    } catch {
      // Not there yet, or no watches left (inotify's limit): then the poll has to do.
      return;
    }
    // what came between the last read and the watch gave no event
    void sizeIfThere(path).then((now) => {
      if ((now ?? 0) > size) done();
    }, done);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
