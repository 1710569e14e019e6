/**
 * Reads JSON into a shape as serde_json does, because the words of its refusals are what a client sees: `unknown field`, `missing field`,
 * `invalid type`, each with the line and the column at which the reader stood (facts §1.4, api-by-version §3).
 */

export type Shape =
  | { is: 'string' | 'path' | 'bool' | 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'usize' | 'any' | 'mac' | 'ipv4' | 'level' }
  | { is: 'enum'; name: string; variants: readonly string[] }
  | { is: 'list'; of: Shape }
  | { is: 'map'; of: Shape }
  | StructShape;
/** `strict`: an unknown field is refused; otherwise it is skipped. */
export type StructShape = { is: 'struct'; name: string; strict: boolean; fields: Readonly<Record<string, Field>> };
/** `null` may stand for an optional field and not for one that merely has a default. */
export type Field = { shape: Shape; need: 'required' | 'optional' | 'default' };

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Neither left out nor null: to Firecracker the two are the same. */
export function isGiven(value: Json | undefined): boolean {
  return value !== undefined && value !== null;
}

/** A field that the shape says is a text. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

export class JsonError extends Error {}

const ranges = { u8: 0xff, u16: 0xffff, u32: 0xffff_ffff, u64: 2 ** 64, usize: 2 ** 64, i32: 0x7fff_ffff } as const;
const deepest = 128;

export function readJson(bytes: Buffer, shape: Shape): Json {
  const reader = new Reader(bytes);
  const value = reader.value(shape);
  reader.end();
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#peek() !== -1) throw this.#ahead('trailing characters');
  }

  value(shape: Shape): Json {
    const next = this.#peek();
    if (next === -1) throw this.#ahead('EOF while parsing a value');
    switch (shape.is) {
      case 'any':
        return this.#any();
      case 'struct':
        return this.#struct(shape);
      case 'list':
        if (next !== 0x5b) throw this.#wrongType('a sequence');
        return this.#list(shape.of);
      case 'map': {
        if (next !== 0x7b) throw this.#wrongType('a map');
        return this.#map(shape.of);
      }
      case 'enum': {
        if (next === 0x7b) throw this.#variantObject(shape);
        if (next !== 0x22) throw this.#ahead('expected value');
        const text = this.#string();
        if (!shape.variants.includes(text)) throw this.#here(`unknown variant \`${text}\`, expected ${oneOf(shape.variants)}`);
        return text;
      }
      case 'bool':
        if (next === 0x74) return this.#word('true', true);
        if (next === 0x66) return this.#word('false', false);
        throw this.#wrongType('a boolean');
      case 'string':
      case 'path':
      case 'mac':
      case 'ipv4':
      case 'level': {
        if (next !== 0x22) throw this.#wrongType(expectedText[shape.is]);
        return this.#text(shape.is, this.#string());
      }
      case 'u8':
      case 'u16':
      case 'u32':
      case 'u64':
      case 'i32':
      case 'usize': {
        if (!isNumber(next)) throw this.#wrongType(shape.is);
        const { value, said, whole } = this.#number();
        if (!whole) throw this.#here(`invalid type: floating point \`${said}\`, expected ${shape.is}`);
        if (value > ranges[shape.is] || value < (shape.is === 'i32' ? -0x8000_0000 : 0))
          throw this.#here(`invalid value: integer \`${said}\`, expected ${shape.is}`);
        return value;
      }
    }
  }

  #text(is: 'string' | 'path' | 'mac' | 'ipv4' | 'level', text: string): string {
    // These two are read as strings first, so their refusals get the place of the struct that holds them.
    if (is === 'mac' && !/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/.test(text)) throw new Unplaced('The provided MAC address is invalid.');
    if (is === 'level' && !/^(?:off|trace|debug|info|warn|warning|error)$/i.test(text)) throw new Unplaced('Invalid LevelFilter');
    if (is === 'ipv4' && !/^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text))
      throw this.#here('invalid IPv4 address syntax');
    return text;
  }

  #struct(shape: StructShape): Json {
    const open = this.#peek();
    if (open === 0x5b) return this.#structFromList(shape);
    if (open !== 0x7b) throw this.#wrongType(`struct ${shape.name}`);
    this.#at += 1;
    const value: Record<string, Json> = {};
    const names = Object.keys(shape.fields);
    try {
      let first = true;
      for (;;) {
        const key = this.#key(first);
        first = false;
        if (key === null) break;
        const field = Object.hasOwn(shape.fields, key) ? shape.fields[key] : undefined;
        if (!field) {
          if (shape.strict) throw new Unplaced(`unknown field \`${key}\`, expected ${oneOf(names)}`);
          this.#colon();
          this.#any();
          continue;
        }
        if (Object.hasOwn(value, key)) throw new Unplaced(`duplicate field \`${key}\``);
        this.#colon();
        value[key] = field.need === 'optional' && this.#peek() === 0x6e ? this.#word('null', null) : this.value(field.shape);
      }
      const missing = names.find((name) => shape.fields[name]?.need === 'required' && !Object.hasOwn(value, name));
      if (missing !== undefined) throw new Unplaced(`missing field \`${missing}\``);
    } catch (error) {
      if (!(error instanceof Unplaced)) throw error;
      // What serde does before it looks where it stands: it takes the brace, if that is what comes next.
      if (this.#peek() === 0x7d) this.#at += 1;
      throw this.#here(error.message);
    }
    this.#at += 1;
    return value;
  }

  /** serde takes the fields of a struct from a list as well, in their order. */
  #structFromList(shape: StructShape): Json {
    const fields = Object.entries(shape.fields);
    this.#at += 1;
    const value: Record<string, Json> = {};
    for (const [index, [name, field]] of fields.entries()) {
      const next = this.#peek();
      if (next === -1) throw this.#ahead('EOF while parsing a list');
      if (next === 0x5d) {
        this.#at += 1;
        throw this.#here(
          `invalid length ${index}, expected struct ${shape.name} with ${fields.length} element${fields.length === 1 ? '' : 's'}`,
        );
      }
      if (index > 0) {
        if (next !== 0x2c) throw this.#ahead('expected `,` or `]`');
        this.#at += 1;
      }
      value[name] = field.need === 'optional' && this.#peek() === 0x6e ? this.#word('null', null) : this.value(field.shape);
    }
    if (this.#peek() !== 0x5d) throw this.#ahead('trailing characters');
    this.#at += 1;
    return value;
  }

  /** The next key of an object, or null at its end, which is left where it is. */
  #key(first: boolean): string | null {
    let next = this.#peek();
    if (next === 0x7d) return null;
    if (next === -1) throw this.#ahead('EOF while parsing an object');
    if (!first) {
      if (next !== 0x2c) throw this.#ahead('expected `,` or `}`');
      this.#at += 1;
      next = this.#peek();
      if (next === 0x7d) throw this.#ahead('trailing comma');
      if (next === -1) throw this.#ahead('EOF while parsing a value');
    }
    if (next !== 0x22) throw this.#ahead('key must be a string');
    return this.#string();
  }

  #colon(): void {
    const next = this.#peek();
    if (next === -1) throw this.#ahead('EOF while parsing an object');
    if (next !== 0x3a) throw this.#ahead('expected `:`');
    this.#at += 1;
    if (this.#peek() === -1) throw this.#ahead('EOF while parsing a value');
  }

  #map(of: Shape): Json {
    this.#deeper();
    this.#at += 1;
    const value: Record<string, Json> = {};
    for (let first = true; ; first = false) {
      const key = this.#key(first);
      if (key === null) break;
      this.#colon();
      Object.defineProperty(value, key, { value: this.value(of), enumerable: true, configurable: true, writable: true });
    }
    this.#at += 1;
    this.#depth -= 1;
    return value;
  }

  #list(of: Shape): Json {
    this.#deeper();
    this.#at += 1;
    const list: Json[] = [];
    for (;;) {
      let next = this.#peek();
      if (next === -1) throw this.#ahead('EOF while parsing a list');
      if (next === 0x5d) break;
      if (list.length > 0) {
        if (next !== 0x2c) throw this.#ahead('expected `,` or `]`');
        this.#at += 1;
        next = this.#peek();
        if (next === 0x5d) throw this.#ahead('trailing comma');
      }
      list.push(this.value(of));
    }
    this.#at += 1;
    this.#depth -= 1;
    return list;
  }

  #deeper(): void {
    this.#depth += 1;
    if (this.#depth >= deepest) throw this.#ahead('recursion limit exceeded');
  }

  #any(): Json {
    const next = this.#peek();
    if (next === 0x7b) return this.#map({ is: 'any' });
    if (next === 0x5b) return this.#list({ is: 'any' });
    if (next === 0x22) return this.#string();
    if (next === 0x74) return this.#word('true', true);
    if (next === 0x66) return this.#word('false', false);
    if (next === 0x6e) return this.#word('null', null);
    if (isNumber(next)) return this.#number().value;
    throw this.#ahead(next === -1 ? 'EOF while parsing a value' : 'expected value');
  }

  #word<T>(word: string, value: T): T {
    for (const [index, letter] of [...word].entries()) {
      const byte = this.#bytes[this.#at];
      if (index > 0 && byte === undefined) throw this.#here('EOF while parsing a value');
      this.#at += 1;
      if (byte !== letter.charCodeAt(0)) throw this.#here('expected ident');
    }
    return value;
  }

  #number(): { value: number; said: string; whole: boolean } {
    const rest = this.#bytes.subarray(this.#at, this.#at + 400).toString('latin1');
    const text = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/.exec(rest)?.[0];
    if (text === undefined || /^-?0\d/.test(rest) || /^-?\d+(?:\.(?!\d)|(?:\.\d+)?[eE][+-]?(?!\d|[+-]))/.test(rest)) {
      throw this.#ahead('invalid number');
    }
    this.#at += text.length;
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.#here('number out of range');
    const whole = !/[.eE]/.test(text) && value >= -(2 ** 63) && value < 2 ** 64;
    return { value, said: whole ? text : Number.isInteger(value) ? `${value}.0` : String(value), whole };
  }

  #string(): string {
    this.#at += 1;
    const start = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw this.#here('EOF while parsing a string');
      this.#at += 1;
      if (byte === 0x22) break;
      if (byte < 0x20) throw this.#here('control character (\\u0000-\\u001F) found while parsing a string');
      if (byte === 0x5c) this.#escape();
    }
    const raw = this.#bytes.subarray(start, this.#at - 1);
    try {
      return JSON.parse(`"${strict.decode(raw)}"`) as string;
    } catch {
      throw this.#here('invalid unicode code point'); // what is left that can be wrong: bytes that are not UTF-8
    }
  }

  #escape(): void {
    const kind = this.#bytes[this.#at];
    if (kind === undefined) throw this.#here('EOF while parsing a string');
    this.#at += 1;
    if (kind === 0x75) {
      if (!/^[0-9a-fA-F]{4}$/.test(this.#bytes.subarray(this.#at, this.#at + 4).toString('latin1'))) throw this.#here('invalid escape');
      this.#at += 4;
    } else if (!'"\\/bfnrt'.includes(String.fromCharCode(kind))) throw this.#here('invalid escape');
  }

  #variantObject(shape: { name: string }): JsonError {
    this.#any();
    return this.#here(`invalid type: map, expected variant of enum ${shape.name}`);
  }

  /** Takes the scalar that is there, as serde does to say what it is. */
  #wrongType(expected: string): JsonError {
    const next = this.#peek();
    let what: string;
    if (next === 0x7b) what = 'map';
    else if (next === 0x5b) what = 'sequence';
    else if (next === 0x22) what = `string ${quote(this.#string())}`;
    else if (next === 0x74) what = `boolean \`${this.#word('true', true)}\``;
    else if (next === 0x66) what = `boolean \`${this.#word('false', false)}\``;
    else if (next === 0x6e) what = this.#word('null', 'null');
    else if (isNumber(next)) {
      const { said, whole } = this.#number();
      what = `${whole ? 'integer' : 'floating point'} \`${said}\``;
    } else return this.#ahead('expected value');
    return this.#here(`invalid type: ${what}, expected ${expected}`);
  }

  /** The next byte that is no white space, or -1. */
  #peek(): number {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x09 && byte !== 0x0d) return byte ?? -1;
      this.#at += 1;
    }
  }

  #here(what: string): JsonError {
    return this.#error(what, this.#at);
  }
  #ahead(what: string): JsonError {
    return this.#error(what, Math.min(this.#at + 1, this.#bytes.length));
  }
  #error(what: string, index: number): JsonError {
    const before = this.#bytes.subarray(0, index);
    const lineStart = before.lastIndexOf(0x0a) + 1;
    let line = 1;
    for (const byte of before) if (byte === 0x0a) line += 1;
    return new JsonError(`${what} at line ${line} column ${index - lineStart}`);
  }
}

/** An error of a struct whose place is known only after serde has looked for the end of the struct. */
class Unplaced extends Error {}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const expectedText = {
  string: 'a string',
  path: 'path string',
  mac: 'a string',
  ipv4: 'IPv4 address',
  level: 'a string',
} as const;

function isNumber(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}
export function oneOf(names: readonly string[]): string {
  if (names.length === 0) return 'there are no fields';
  const quoted = names.map((name) => `\`${name}\``);
  return quoted.length === 1 ? quoted.join('') : quoted.length === 2 ? quoted.join(' or ') : `one of ${quoted.join(', ')}`;
}
/** Rust's `{:?}` of a string, as far as it differs in ordinary text. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
