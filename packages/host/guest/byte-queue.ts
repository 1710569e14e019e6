/**
 * Bytes that came and were not yet taken. Everything is copied in: a payload of one byte
 * would otherwise keep alive the whole chunk it arrived in, and a hostile guest could send
 * many of them. Memory is within about twice the bytes held.
 */

/** Small pieces are put together into blocks of this size, so that each needs no object of its own. */
const blockBytes = 16_384;

export class ByteQueue {
  #blocks: { bytes: Buffer; used: number }[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    let last = this.#blocks.at(-1);
    if (last === undefined || last.bytes.length - last.used < bytes.length) {
      last = { bytes: Buffer.allocUnsafeSlow(Math.max(blockBytes, bytes.length)), used: 0 };
      this.#blocks.push(last);
    }
    last.bytes.set(bytes, last.used);
    last.used += bytes.length;
    this.#length += bytes.length;
  }

  /** The oldest piece, which is the caller's from now on, or `null` when empty. */
  take(): Buffer | null {
    const first = this.#blocks.shift();
    if (first === undefined) return null;
    this.#length -= first.used;
    return first.bytes.subarray(0, first.used);
  }

  takeAll(): Buffer {
    const all = Buffer.concat(this.#blocks.map((block) => block.bytes.subarray(0, block.used)));
    this.clear();
    return all;
  }

  clear(): void {
    this.#blocks = [];
    this.#length = 0;
  }
}
