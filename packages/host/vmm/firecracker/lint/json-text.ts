/**
 * JSON as Firecracker's parser (serde_json) takes it: the value, and what `JSON.parse` forgets of the text: where each key stands, keys that
 * stand twice, numbers that are not written as whole ones. Pure; any bytes give an answer. What is taken here is what JSON.parse takes, but
 * for nesting deeper than 128 and halves of surrogate pairs, which serde_json refuses (src/de.rs, `remaining_depth`; src/read.rs).
 */
import { pointer } from '../checks.ts';

export type Place = { line: number; column: number };
export type JsonText = {
  value: unknown;
  /** where a key, or an entry of a list, stands; of the nearest one above it that is known */
  placeOf(at: string): Place;
  /** keys that stand a second time in their object */
  doubled: readonly string[];
  /** numbers with a point, an exponent or a minus before 0: no whole numbers to serde, whatever they amount to */
  unwhole: readonly { at: string; text: string }[];
};
export type BrokenJson = { place: Place; why: string; fix: string };

const deepest = 128;
/** Longer pointers are not remembered: a hostile file of a megabyte could make each of its keys that long. */
const mostPointer = 300;
const mostOddities = 64;

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const quote = 34;
const backslash = 92;
const literals: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };

/** Thrown and caught in this file only. */
class Broken extends Error {
  readonly offset: number;
  readonly why: string;
  readonly fix: string;
  constructor(offset: number, why: string, fix: string) {
    super(why);
    this.offset = offset;
    this.why = why;
    this.fix = fix;
  }
}

export function readJsonText(bytes: Uint8Array | string): { is: 'json'; json: JsonText } | ({ is: 'broken' } & BrokenJson) {
  const text = typeof bytes === 'string' ? bytes : decoded(bytes);
  if (text === null)
    return { is: 'broken', place: { line: 1, column: 1 }, why: 'It holds bytes that are no UTF-8.', fix: 'Save it as UTF-8.' };
  const reader = new Reader(text);
  try {
    return { is: 'json', json: reader.whole() };
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { is: 'broken', place: placeAt(text, error.offset), why: error.why, fix: error.fix };
  }
}

function decoded(bytes: Uint8Array): string | null {
  try {
    // serde_json takes no byte order mark, so it must not be swallowed here
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null; // the only thing that decoding throws for
  }
}

function unescaped(literal: string): string | null {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return null; // a backslash before a character that has no such form
  }
}

function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

class Reader {
  readonly #text: string;
  #at = 0;
  readonly #offsets = new Map<string, number>();
  readonly #doubled: string[] = [];
  readonly #unwhole: { at: string; text: string }[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonText {
    if (this.#text.startsWith('\ufeff'))
      throw new Broken(0, 'It begins with a byte order mark, which Firecracker does not skip.', 'Save it as UTF-8 without one.');
    const value = this.#value('', 0);
    this.#space();
    if (this.#at < this.#text.length) throw new Broken(this.#at, 'Something stands behind the end of the object.', 'Remove it.');
    const placeOf = (at: string): Place => {
      for (let known = at; known !== ''; known = known.slice(0, known.lastIndexOf('/'))) {
        const offset = this.#offsets.get(known);
        if (offset !== undefined) return placeAt(this.#text, offset);
      }
      return placeAt(this.#text, 0);
    };
    return { value, placeOf, doubled: this.#doubled, unwhole: this.#unwhole };
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.#at += 1;
    }
  }

  /** `at` is null below a pointer that is too long to be remembered. */
  #value(at: string | null, depth: number): unknown {
    this.#space();
    const first = this.#text[this.#at];
    if (depth >= deepest && (first === '{' || first === '['))
      throw new Broken(this.#at, `Objects and lists stand ${deepest} deep in each other.`, 'No configuration does.');
    if (first === '{') return this.#object(at, depth);
    if (first === '[') return this.#list(at, depth);
    if (first === '"') return this.#string();
    const word = /[a-zA-Z]*/y;
    word.lastIndex = this.#at;
    const name = word.exec(this.#text)?.[0] ?? '';
    if (Object.hasOwn(literals, name)) {
      this.#at += name.length;
      return literals[name];
    }
    number.lastIndex = this.#at;
    const digits = number.exec(this.#text)?.[0];
    if (digits === undefined) throw this.#unexpected('a value');
    this.#at += digits.length;
    if (/[.eE]|^-0/.test(digits) && at !== null && this.#unwhole.length < mostOddities)
      this.#unwhole.push({ at, text: digits.slice(0, 40) });
    return Number(digits);
  }

  #object(at: string | null, depth: number): unknown {
    this.#at += 1;
    const entries = new Map<string, unknown>();
    this.#space();
    if (this.#text[this.#at] === '}') {
      this.#at += 1;
      return {};
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === '}')
        throw new Broken(this.#at, 'A comma stands before }.', 'Remove it: JSON has commas between entries only.');
      if (this.#text[this.#at] !== '"') throw this.#unexpected('a key in double quotes');
      const offset = this.#at;
      const key = this.#string();
      const place = this.#remember(at, key, offset);
      if (entries.has(key) && place !== null && this.#doubled.length < mostOddities) this.#doubled.push(place);
      this.#space();
      if (this.#text[this.#at] !== ':') throw this.#unexpected('a colon');
      this.#at += 1;
      entries.set(key, this.#value(place, depth + 1));
      if (!this.#another('}')) return Object.fromEntries(entries);
    }
  }

  #list(at: string | null, depth: number): unknown {
    this.#at += 1;
    const entries: unknown[] = [];
    this.#space();
    if (this.#text[this.#at] === ']') {
      this.#at += 1;
      return entries;
    }
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === ']')
        throw new Broken(this.#at, 'A comma stands before ].', 'Remove it: JSON has commas between entries only.');
      entries.push(this.#value(this.#remember(at, entries.length, this.#at), depth + 1));
      if (!this.#another(']')) return entries;
    }
  }

  /** Behind an entry: whether another one follows. */
  #another(end: '}' | ']'): boolean {
    this.#space();
    const next = this.#text[this.#at];
    if (next !== ',' && next !== end) throw this.#unexpected(`a comma or ${end}`);
    this.#at += 1;
    return next === ',';
  }

  #string(): string {
    let end = this.#at + 1;
    for (let code = this.#text.charCodeAt(end); code !== quote && code >= 32; code = this.#text.charCodeAt(end))
      end += code === backslash ? 2 : 1;
    const value = this.#text.charCodeAt(end) === quote ? unescaped(this.#text.slice(this.#at, end + 1)) : null;
    if (value === null)
      throw new Broken(
        this.#at,
        'This text does not end in its line, or holds a backslash that means nothing.',
        'Close it with ", and write a backslash as \\\\.',
      );
    if (!value.isWellFormed()) throw new Broken(this.#at, 'This text holds half of a surrogate pair.', 'Write the character itself.');
    this.#at = end + 1;
    return value;
  }

  #remember(at: string | null, key: string | number, offset: number): string | null {
    if (at === null || String(key).length > mostPointer) return null;
    const place = pointer(at, key);
    if (place.length > mostPointer) return null;
    // the later of two counts, as it does for JSON.parse
    this.#offsets.set(place, offset);
    return place;
  }

  #unexpected(wanted: string): Broken {
    const rest = this.#text.slice(this.#at, this.#at + 20);
    if (rest === '') return new Broken(this.#at, `The file ends where ${wanted} was expected.`, 'It is cut off: write the rest.');
    if (/^(?:\/\/|\/\*|#)/.test(rest)) return new Broken(this.#at, 'This is a comment, and JSON has none.', 'Remove it.');
    if (rest.startsWith("'")) return new Broken(this.#at, 'This text stands in single quotes.', 'JSON has double quotes only.');
    return new Broken(this.#at, `Here ${wanted} was expected, and there is ${JSON.stringify(rest)}.`, 'Mend it at that place.');
  }
}
