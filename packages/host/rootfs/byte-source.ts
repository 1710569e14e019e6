/** Bytes of a file by their place, from a cache of pages, with a bound on all of them together. */
import type { FileHandle } from 'node:fs/promises';
import type { Unreadable } from '@linstock/core';
import { unreadable } from './tree.ts';

export interface ByteSource {
  readonly bytes: number;
  /** exactly these bytes, or why not */
  read(offset: number, length: number): Promise<Buffer | Unreadable>;
}

/** A page takes the tables of a block group or a folder in one call. */
const pageBytes = 64 * 1024;
const mostPages = 128;
const mostReadBytes = 32 * 1024 * 1024;
/** What all reads of one source may sum up to: an image that leads round in circles ends here. */
export const mostBytesOfAll = 1024 * 1024 * 1024;
export const mostReadsOfAll = 300_000;

/** What may still be read of a source. */
class Allowance {
  #bytes: number;
  #reads: number;

  constructor(bytes = mostBytesOfAll, reads = mostReadsOfAll) {
    this.#bytes = bytes;
    this.#reads = reads;
  }

  /** null: it may be read. */
  refuse(source: ByteSource, offset: number, length: number): Unreadable | null {
    if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || length > mostReadBytes || offset + length > source.bytes)
      return unreadable(`it would be read outside of the file, at byte ${offset}`);
    this.#reads -= 1;
    this.#bytes -= length;
    return this.#reads < 0 || this.#bytes < 0 ? unreadable('too much of the image was read already') : null;
  }
}

export class BufferSource implements ByteSource {
  readonly bytes: number;
  readonly #buffer: Buffer;
  readonly #allowance = new Allowance();

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.bytes = buffer.length;
  }

  read(offset: number, length: number): Promise<Buffer | Unreadable> {
    return Promise.resolve(this.#allowance.refuse(this, offset, length) ?? this.#buffer.subarray(offset, offset + length));
  }
}

export class FileSource implements ByteSource {
  readonly bytes: number;
  readonly #file: FileHandle;
  readonly #start: number;
  readonly #allowance: Allowance;
  /** Oldest use first. */
  readonly #pages = new Map<number, Buffer>();

  /** `at`: where the part of the file begins that this is. `allowance`: `bounded` for what is only looked at. */
  constructor(file: FileHandle, bytes: number, o: { at?: number; allowance?: 'bounded' | 'all' } = {}) {
    this.#file = file;
    this.bytes = bytes;
    this.#start = o.at ?? 0;
    this.#allowance = o.allowance === 'all' ? new Allowance(Infinity, Infinity) : new Allowance();
  }

  async read(offset: number, length: number): Promise<Buffer | Unreadable> {
    const refused = this.#allowance.refuse(this, offset, length);
    if (refused !== null) return refused;
    const first = Math.floor(offset / pageBytes);
    const last = Math.floor(Math.max(offset, offset + length - 1) / pageBytes);
    const parts: Buffer[] = [];
    for (let index = first; index <= last; index++) {
      const page = await this.#page(index);
      if (page === null) return unreadable(`the disk cannot read the file at byte ${index * pageBytes}`);
      parts.push(page);
    }
    const from = offset - first * pageBytes;
    const joined = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    const bytes = joined.subarray(from, from + length);
    return bytes.length === length ? bytes : unreadable(`the file became shorter while it was read, at byte ${offset}`);
  }

  async #page(index: number): Promise<Buffer | null> {
    const known = this.#pages.get(index);
    if (known !== undefined) {
      this.#pages.delete(index);
      this.#pages.set(index, known);
      return known;
    }
    const page = Buffer.allocUnsafe(Math.min(pageBytes, this.bytes - index * pageBytes));
    let filled = 0;
    while (filled < page.length) {
      const got = await this.#file
        .read(page, filled, page.length - filled, this.#start + index * pageBytes + filled)
        .catch((error: unknown) => {
          // A disk that cannot read a place of the file; anything else is a bug of ours.
          if ((error as NodeJS.ErrnoException).code === 'EIO') return null;
          throw error;
        });
      if (got === null) return null;
      if (got.bytesRead === 0) break;
      filled += got.bytesRead;
    }
    const whole = page.subarray(0, filled);
    this.#pages.set(index, whole);
    const oldest = this.#pages.keys().next();
    if (this.#pages.size > mostPages && oldest.done !== true) this.#pages.delete(oldest.value);
    return whole;
  }
}
