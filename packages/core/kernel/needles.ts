/**
 * Many texts looked for in one pass over the bytes of a kernel. Pure.
 *
 * Only one word of four bytes in every eight is read: wherever a text of eleven bytes or more lies, one of its first eight words begins at a
 * place that is read. Each of those words is in a table; what is not in the table, which is nearly everything, costs one look.
 */
import { isAt } from '../bytes.ts';

/** The shortest text that cannot slip between two words that are read. */
export const LEAST_NEEDLE_BYTES = 11;
const STRIDE = 8;
const TABLE_BITS = 16;

/** Part of a file, `bytes`, half open. */
export type Range = { from: number; to: number };

/** For each needle where it begins, ascending, at most `most` places. One character of a needle is one byte. */
export function findNeedles(
  bytes: Uint8Array,
  needles: readonly string[],
  ranges: readonly Range[],
  most = 1,
): ReadonlyMap<string, number[]> {
  const table = tableOf(needles);
  const found = new Map<string, number[]>(needles.map((needle) => [needle, []]));
  const words = wordsOf(bytes);
  for (const range of ranges) {
    const from = Math.max(0, range.from);
    const to = Math.min(range.to, bytes.length);
    for (let at = Math.ceil(from / STRIDE) * STRIDE; at + 4 <= to; at += STRIDE) {
      const word = words[at >>> 2] ?? 0;
      if (table.there[slotOf(word)] === 0) continue;
      for (const { needle, inside } of table.places.get(word) ?? []) {
        const start = at - inside;
        if (start < from || start + needle.length > to || !isAt(bytes, start, needle)) continue;
        const places = found.get(needle) ?? [];
        if (places.length < most && places.at(-1) !== start) places.push(start);
      }
    }
  }
  return found;
}

/** The same memory as little-endian words of 32 bits; a copy where it does not begin at one. The last few bytes may be missing. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2);
}

type Place = { needle: string; inside: number };
type Table = { there: Uint8Array; places: ReadonlyMap<number, readonly Place[]> };

function tableOf(needles: readonly string[]): Table {
  const there = new Uint8Array(1 << TABLE_BITS);
  const places = new Map<number, Place[]>();
  for (const needle of needles) {
    if (needle.length < LEAST_NEEDLE_BYTES) throw new Error(`"${needle}" is too short to be found: ${LEAST_NEEDLE_BYTES} bytes are needed`);
    for (let inside = 0; inside < STRIDE; inside++) {
      let word = 0;
      for (let byte = 3; byte >= 0; byte--) word = (word << 8) | needle.charCodeAt(inside + byte);
      const list = places.get(word >>> 0) ?? [];
      list.push({ needle, inside });
      places.set(word >>> 0, list);
      there[slotOf(word)] = 1;
    }
  }
  return { there, places };
}

/** Multiplication by 2^32 over the golden ratio spreads words that differ in a few bits. */
function slotOf(word: number): number {
  return Math.imul(word, 0x9e37_79b1) >>> (32 - TABLE_BITS);
}
