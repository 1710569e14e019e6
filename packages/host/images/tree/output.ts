/** Writes a large file from front to back out of many small pieces, some of them parts of other files. Gaps are left as holes. */
import { open, type FileHandle } from 'node:fs/promises';
import { readFully, sizeOf } from './tree.ts';
import type { FileData } from './tree.ts';

const BUFFER_BYTES = 4 * 1024 * 1024;

export class Output {
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #sources = new Map<string, FileHandle>();
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  /** where the buffer begins in the file, and how much of it is used */
  #start = 0;
  #used = 0;

  private constructor(handle: FileHandle, signal: AbortSignal | undefined) {
    this.#handle = handle;
    this.#signal = signal;
  }

  /** Makes a new file of `bytes` (its end may be a hole), has it filled, and closes all that was opened. */
  static async into(
    file: string,
    bytes: number | null,
    signal: AbortSignal | undefined,
    fill: (out: Output) => Promise<void>,
  ): Promise<void> {
    const handle = await open(file, 'wx', 0o600);
    const out = new Output(handle, signal);
    try {
      if (bytes !== null) await handle.truncate(bytes);
      await fill(out);
      await out.#flush();
    } finally {
      for (const source of out.#sources.values()) await source.close();
      await handle.close();
    }
  }

  get at(): number {
    return this.#start + this.#used;
  }

  async seek(at: number): Promise<void> {
    if (at === this.at) return;
    await this.#flush();
    this.#start = at;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#used === BUFFER_BYTES) await this.#flush();
      const part = bytes.subarray(done, done + BUFFER_BYTES - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      done += part.length;
    }
  }

  /** `length` bytes of a file's data, from `from` on. */
  async copy(data: FileData, from = 0, length = sizeOf(data) - from): Promise<void> {
    if (data instanceof Uint8Array) return this.write(data.subarray(from, from + length));
    const source = this.#sources.get(data.file) ?? (await open(data.file, 'r'));
    this.#sources.set(data.file, source);
    for (let done = 0; done < length;) {
      if (this.#used === BUFFER_BYTES) await this.#flush();
      const part = Math.min(length - done, BUFFER_BYTES - this.#used);
      await readFully(source, this.#buffer.subarray(this.#used, this.#used + part), data.at + from + done);
      this.#used += part;
      done += part;
    }
  }

  /** Zeros up to the next multiple. */
  async pad(multiple: number): Promise<void> {
    await this.write(Buffer.alloc((multiple - (this.at % multiple)) % multiple));
  }

  async #flush(): Promise<void> {
    this.#signal?.throwIfAborted();
    for (let done = 0; done < this.#used;)
      done += (await this.#handle.write(this.#buffer, done, this.#used - done, this.#start + done)).bytesWritten;
    this.#start += this.#used;
    this.#used = 0;
  }
}
