import type { EvidenceDocument } from '@linstock/contract';

/**
 * A text of any size in bounded memory: its beginning, its end, and of what lies between only the lines that can matter, found by bytes.
 * Line numbers stay those of the whole text.
 */

const most = { head: 1 << 20, tail: 1 << 20, between: 512, line: 4_096 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const newline = 10;

/** What a line in the middle of a long console must contain to be kept. */
const telling = [
  'Kernel panic - not syncing',
  'Out of memory',
  'oom-kill:',
  'BUG: ',
  'Oops: ',
  'EXT4-fs error',
  'I/O error, dev',
  'Call Trace',
  'reboot: ',
  'Linux version ',
  'ommand line: ',
  'No space left on device',
  'segfault at',
].map((text) => encoder.encode(text));

type Kept = { line: number; text: string };

/** Finds bytes in bytes; a Buffer of Node does it at memory speed. */
type Finder = { indexOf(needle: Uint8Array, from?: number): number };

export class Condenser {
  #head: Uint8Array[] = [];
  #headBytes = 0;
  #between: Kept[] = [];
  #left = 0;
  #tail: { bytes: Uint8Array; firstLine: number }[] = [];
  #tailBytes = 0;
  /** lines that ended so far */
  #lines = 0;
  #bytes = 0;
  readonly #asFinder: (bytes: Uint8Array) => Finder;

  /** `asFinder`: where the bytes of a piece are searched; core knows no Buffer. */
  constructor(asFinder: (bytes: Uint8Array) => Finder) {
    this.#asFinder = asFinder;
  }

  /** Pieces may be cut anywhere; they are kept, not copied. */
  feed(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    let piece = chunk;
    if (this.#headBytes < most.head) {
      const room = most.head - this.#headBytes;
      const end = piece.length <= room ? piece.length : piece.indexOf(newline, room) + 1 || Math.min(piece.length, room + most.line);
      const part = piece.subarray(0, end);
      this.#head.push(part);
      this.#headBytes += part.length;
      this.#lines += countLines(part);
      piece = piece.subarray(end);
    }
    if (piece.length === 0) return;
    this.#tail.push({ bytes: piece, firstLine: this.#lines + 1 });
    this.#tailBytes += piece.length;
    this.#lines += countLines(piece);
    while (this.#tail[0] && this.#tailBytes - this.#tail[0].bytes.length >= most.tail) {
      const gone = this.#tail.shift();
      if (!gone) break;
      this.#tailBytes -= gone.bytes.length;
      this.#search(gone.bytes, gone.firstLine);
    }
  }

  #search(bytes: Uint8Array, firstLine: number): void {
    const finder = this.#asFinder(bytes);
    const at = new Set<number>();
    for (const needle of telling) {
      for (let i = finder.indexOf(needle, 0); i !== -1 && at.size < most.between * 2; i = finder.indexOf(needle, i + 1)) {
        at.add(bytes.lastIndexOf(newline, i) + 1);
      }
    }
    let counted = 0;
    let line = firstLine;
    for (const start of [...at].toSorted((a, b) => a - b)) {
      line += countLines(bytes.subarray(counted, start));
      counted = start;
      const end = bytes.indexOf(newline, start);
      const text = decoder.decode(bytes.subarray(start, Math.min(end === -1 ? bytes.length : end, start + most.line)));
      if (this.#between.length < most.between) this.#between.push({ line, text });
      else this.#left++;
    }
  }

  document(kind: EvidenceDocument['kind'], name: string): EvidenceDocument {
    const gaps: { before: number; lines: number }[] = [];
    const head = join(this.#head).replace(/\n$/, '');
    const lines = this.#headBytes === 0 ? [] : head.split('\n');
    let expected = lines.length + 1;
    const skipTo = (line: number): void => {
      if (line > expected) gaps.push({ before: lines.length, lines: line - expected });
      expected = line;
    };
    for (const kept of this.#between) {
      skipTo(kept.line);
      lines.push(kept.text);
      expected++;
    }
    const first = this.#tail[0];
    if (first) {
      skipTo(first.firstLine);
      lines.push(join(this.#tail.map((t) => t.bytes)));
    }
    const whole = gaps.length === 0;
    return {
      kind,
      name,
      text: lines.join('\n'),
      cut: whole
        ? null
        : `of ${this.#bytes} bytes the beginning, the end and ${this.#between.length} lines between them${this.#left > 0 ? ` (${this.#left} more were left out)` : ''}`,
      ...(whole ? {} : { gaps }),
    };
  }
}

function join(pieces: readonly Uint8Array[]): string {
  const streaming = new TextDecoder();
  return pieces.map((p) => streaming.decode(p, { stream: true })).join('') + streaming.decode();
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let i = bytes.indexOf(newline); i !== -1; i = bytes.indexOf(newline, i + 1)) count++;
  return count;
}
