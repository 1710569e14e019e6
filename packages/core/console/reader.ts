import { cleanText } from '../clean.ts';
import type { ConsoleFacts, ConsoleLine } from './console.ts';
import { consoleLine, copyFacts, emptyFacts, heads, statusHead, type Gathering, type Head } from './lines.ts';

/**
 * Reads a console piece by piece. Never throws, whatever the bytes; keeps at most one line of `mostLineBytes` and a bounded list of facts,
 * so a guest that prints a gigabyte without a newline costs nothing. How the bytes are cut into pieces changes no fact.
 *
 * The hot path works on bytes: skip what stands before a message (escapes, `<6>`, timestamps), compare the first two bytes with a table,
 * and only then decode a line. A console of user-space chatter is never decoded at all.
 */

/** Of a longer line only the beginning is read. Twice the longest command line, so no message of a kernel is cut. */
const mostLineBytes = 4_096;
/** How far into a line a foreign prefix (a shell prompt, syslog's date and host) may reach before the message begins. */
const mostPrefixBytes = 512;

const newline = 10;
const escape = 27;
const space = 32;
const colon = 58;
const bracket = 91;

type Entry = { bytes: Uint8Array; head: Head };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** First two bytes of a message → the heads that begin so. */
const byPair: ReadonlyMap<number, readonly Entry[]> = Map.groupBy(
  heads.filter((h) => h.head.length > 1).map((head) => ({ head, bytes: encoder.encode(head.head) })),
  (entry) => ((entry.bytes[0] ?? 0) << 8) | (entry.bytes[1] ?? 0),
);
const isFirst = Uint8Array.from({ length: 256 }, (_, byte) => (heads.some((h) => h.head.charCodeAt(0) === byte) ? 1 : 0));
const status: Entry = { head: statusHead, bytes: encoder.encode('[') };
const systemd = encoder.encode('systemd[1]: ');
const kernelColon = encoder.encode('kernel: ');

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;

function startsWith(bytes: Uint8Array, at: number, end: number, head: Uint8Array): boolean {
  if (end - at < head.length) return false;
  for (let i = 0; i < head.length; i++) if (bytes[at + i] !== head[i]) return false;
  return true;
}

/** Behind a CSI or two-byte escape sequence that begins at `at`. */
function afterEscape(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at + 1] !== bracket) return Math.min(end, at + 2);
  let i = at + 2;
  while (i < end && (bytes[i] ?? 0) >= 0x20 && (bytes[i] ?? 0) <= 0x3f) i++;
  return Math.min(end, i + 1);
}

/** Behind `[    0.123456]`, `[    T1]` or `[    C0]` (printk_time, PRINTK_CALLER) that begins at `at`; -1 when there is none. */
function afterStamp(bytes: Uint8Array, at: number, end: number): number {
  let i = at + 1;
  while (i < end && bytes[i] === space) i++;
  if (bytes[i] === 84 || bytes[i] === 67) {
    const from = ++i;
    while (i < end && isDigit(bytes[i])) i++;
    return i > from && i < end && bytes[i] === 93 ? i + 1 : -1;
  }
  const from = i;
  while (i < end && isDigit(bytes[i])) i++;
  if (i === from || bytes[i] !== 46) return -1;
  const point = i++;
  while (i < end && isDigit(bytes[i])) i++;
  return i - point > 3 && i < end && bytes[i] === 93 ? i + 1 : -1;
}

/** Behind `<6>` that begins at `at`; -1 when there is none. */
function afterLevel(bytes: Uint8Array, at: number, end: number): number {
  let i = at + 1;
  while (i < end && i - at < 5 && isDigit(bytes[i])) i++;
  return i > at + 1 && i < end && bytes[i] === 62 ? i + 1 : -1;
}

export class ConsoleReader {
  #facts: Gathering = emptyFacts();
  /** the line that has not ended yet: its first bytes, and how many it has */
  #held = new Uint8Array(mostLineBytes);
  #heldBytes = 0;
  #lineBytes = 0;
  /** first half of a character outside the BMP that a text piece ended with */
  #half = '';

  feed(chunk: Uint8Array | string): void {
    let bytes: Uint8Array;
    if (typeof chunk === 'string') {
      const text = this.#half + chunk;
      this.#half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : '';
      bytes = encoder.encode(this.#half === '' ? text : text.slice(0, -1));
    } else bytes = chunk;
    this.#facts.bytes += bytes.length;
    let at = 0;
    for (let end = bytes.indexOf(newline, at); end !== -1; end = bytes.indexOf(newline, at)) {
      if (this.#lineBytes === 0) read(this.#facts, bytes, at, Math.min(end, at + mostLineBytes), 'whole');
      else {
        this.#hold(bytes, at, end);
        read(this.#facts, this.#held, 0, this.#heldBytes, 'whole');
        this.#heldBytes = 0;
        this.#lineBytes = 0;
      }
      at = end + 1;
    }
    if (at < bytes.length) this.#hold(bytes, at, bytes.length);
  }

  /** What comes next is not the beginning of the console: where user space began may have been before it. */
  loseHead(): void {
    this.#facts.headLost = true;
  }

  #hold(bytes: Uint8Array, from: number, to: number): void {
    const room = Math.min(to - from, mostLineBytes - this.#heldBytes);
    if (room > 0) this.#held.set(bytes.subarray(from, from + room), this.#heldBytes);
    this.#heldBytes += Math.max(0, room);
    this.#lineBytes += to - from;
  }

  /**
   * What was read so far. A last line without its newline may be half of one, so only messages that no further text can change (a panic)
   * are taken from it; `ended` says that nothing more will come.
   */
  facts(options: { ended?: boolean } = {}): ConsoleFacts {
    const g = copyFacts(this.#facts);
    let held = this.#held.subarray(0, this.#heldBytes);
    if (options.ended && this.#half !== '') {
      const rest = encoder.encode(this.#half);
      g.bytes += rest.length;
      if (this.#heldBytes + rest.length <= mostLineBytes) held = Uint8Array.from([...held, ...rest]);
    }
    if (held.length > 0) read(g, held, 0, held.length, options.ended ? 'whole' : 'begun');
    const { ipBlockLines: _, ...facts } = g;
    return facts;
  }
}

export function readConsole(bytes: Uint8Array | string, options: { ended?: boolean } = {}): ConsoleFacts {
  const reader = new ConsoleReader();
  reader.feed(bytes);
  return reader.facts(options);
}

/** One line into the facts. `begun`: its end has not arrived. */
function read(g: Gathering, bytes: Uint8Array, from: number, to: number, how: 'whole' | 'begun'): void {
  g.lines++;
  let end = to;
  while (end > from && bytes[end - 1] === 13) end--;
  if (g.ipBlockLines > 0) g.ipBlockLines--;
  const start = messageStart(bytes, from, end);
  let at = start.at;
  let entry = entryAt(bytes, at, end);
  if (entry === null && !start.stamped) {
    at = foreignStart(bytes, at, end);
    entry = at === -1 ? null : entryAt(bytes, at, end);
  }
  if (entry === null || (how === 'begun' && !entry.head.urgent)) return;
  const number = g.lines;
  // taken before the line is read, except that lines of user space itself prove that it runs
  const byUserspace = g.headLost || g.userspaceFrom !== null || entry.bytes === status.bytes || userspaceHeads.has(entry.head.head);
  let line: ConsoleLine | null = null;
  entry.head.read(
    g,
    cleanText(decoder.decode(bytes.subarray(at, end))).trim(),
    () => (line ??= consoleLine(number, decoder.decode(bytes.subarray(from, end)), byUserspace)),
  );
}

const userspaceHeads = new Set(['linstock-initrd: ', 'linstock-init: ', 'systemd[1]: ']);

/** Behind blanks, escapes, levels and timestamps. */
function messageStart(bytes: Uint8Array, from: number, end: number): { at: number; stamped: boolean } {
  let at = from;
  let stamped = false;
  while (at < end) {
    const byte = bytes[at];
    if (byte === space || byte === 9 || byte === 13) at++;
    else if (byte === escape) at = afterEscape(bytes, at, end);
    else if (byte === 60) {
      const next = afterLevel(bytes, at, end);
      if (next === -1) break;
      at = next;
    } else if (byte === bracket) {
      const next = afterStamp(bytes, at, end);
      if (next === -1) break;
      at = next;
      stamped = true;
    } else break;
  }
  return { at, stamped };
}

function entryAt(bytes: Uint8Array, at: number, end: number): Entry | null {
  const byte = bytes[at];
  if (at >= end || byte === undefined || isFirst[byte] !== 1) return null;
  if (byte === bracket) {
    // [  OK  ], [FAILED], with or without colours inside; anything else in brackets is not decoded
    const next = bytes[at + 1];
    return next === escape || next === space || next === bracket || next === 70 || next === 68 ? status : null;
  }
  for (const entry of byPair.get((byte << 8) | (bytes[at + 1] ?? 0)) ?? []) if (startsWith(bytes, at, end, entry.bytes)) return entry;
  return null;
}

/**
 * Where a message begins behind a foreign prefix: a shell prompt (`/ # [   12.3] Kernel panic`), syslog's `Nov 24 06:42:11 host kernel: `.
 * -1 when there is none.
 */
function foreignStart(bytes: Uint8Array, from: number, end: number): number {
  const last = Math.min(end, from + mostPrefixBytes);
  for (let i = from; i < last; i++) {
    const byte = bytes[i];
    if (byte === bracket) {
      const next = afterStamp(bytes, i, end);
      if (next !== -1) return messageStart(bytes, next, end).at;
      if (startsWith(bytes, i - 7, end, systemd) && i - 7 > from) return i - 7;
    } else if (byte === colon && i - 6 >= from && startsWith(bytes, i - 6, end, kernelColon)) return messageStart(bytes, i + 2, end).at;
  }
  return -1;
}
