/**
 * Reads JSON into a shape as serde_json does, because the words of its refusals are what a client sees: `unknown field`, `missing field`,
 * `invalid type`, each with the line and the column at which the reader stood (api_server/request, vmm/src/persist.rs).
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
        if (next === 0x7b) return this.#variantObject(shape.variants);
        if (next !== 0x22) throw this.#ahead('expected value');
        return this.#variant(shape.variants);
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
      throw this.#placed(error, 0x7d);
    }
    this.#at += 1;
    return value;
  }

  /** serde takes the fields of a struct from a list as well, in their order; what is missing at the end must have a default. */
  #structFromList(shape: StructShape): Json {
    const fields = Object.entries(shape.fields);
    this.#at += 1;
    const value: Record<string, Json> = {};
    try {
      for (const [index, [name, field]] of fields.entries()) {
        const next = this.#peek();
        if (next === -1) throw this.#ahead('EOF while parsing a list');
        if (next === 0x5d) {
          if (field.need === 'default') continue;
          const elements = `${fields.length} element${fields.length === 1 ? '' : 's'}`;
          throw new Unplaced(`invalid length ${index}, expected struct ${shape.name} with ${elements}`);
        }
        if (index > 0) {
          if (next !== 0x2c) throw this.#ahead('expected `,` or `]`');
          this.#at += 1;
        }
        value[name] = field.need === 'optional' && this.#peek() === 0x6e ? this.#word('null', null) : this.value(field.shape);
      }
    } catch (error) {
      throw this.#placed(error, 0x5d, 0x2c);
    }
    this.#endOfList();
    return value;
  }

  /** What serde does before it says where it stands: it takes what ends the struct, if that is what comes next. */
  #placed(error: unknown, ...ends: readonly number[]): unknown {
    if (!(error instanceof Unplaced)) return error;
    if (ends.includes(this.#peek())) this.#at += 1;
    return this.#here(error.message);
  }

  #endOfList(): void {
    const comma = this.#peek() === 0x2c;
    if (comma) this.#at += 1;
    const next = this.#peek();
    if (next === -1) throw this.#ahead(comma ? 'trailing characters' : 'EOF while parsing a list');
    if (next !== 0x5d || comma) throw this.#ahead(next === 0x5d ? 'trailing comma' : 'trailing characters');
    this.#at += 1;
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
    const start = this.#at;
    const digits = (): boolean => {
      const from = this.#at;
      while (isDigit(this.#bytes[this.#at])) this.#at += 1;
      return this.#at > from;
    };
    const take = (...signs: readonly number[]): boolean => {
      if (!signs.includes(this.#bytes[this.#at] ?? -1)) return false;
      this.#at += 1;
      return true;
    };
    // where a digit must stand: serde has taken what stands there instead
    const missing = (): JsonError => {
      if (this.#at >= this.#bytes.length) return this.#here('EOF while parsing a value');
      this.#at += 1;
      return this.#here('invalid number');
    };
    take(0x2d);
    if (take(0x30)) {
      if (isDigit(this.#bytes[this.#at])) throw this.#ahead('invalid number');
    } else if (!digits()) throw missing();
    if (take(0x2e) && !digits()) throw this.#ahead(this.#at < this.#bytes.length ? 'invalid number' : 'EOF while parsing a value');
    if (take(0x65, 0x45)) {
      take(0x2b, 0x2d);
      if (!digits()) throw missing();
    }
    const text = this.#bytes.subarray(start, this.#at).toString('latin1');
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.#here('number out of range');
    const whole = !/[.eE]/.test(text) && value >= -(2 ** 63) && value < 2 ** 64;
    return { value, said: whole ? text : floating(value), whole };
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

  #variant(variants: readonly string[]): string {
    const text = this.#string();
    if (!variants.includes(text)) throw this.#here(`unknown variant \`${text}\`, expected ${oneOf(variants)}`);
    return text;
  }

  /** serde takes a variant without a value as `{"Name": null}` as well. */
  #variantObject(variants: readonly string[]): string {
    this.#at += 1;
    const next = this.#peek();
    if (next === -1) throw this.#ahead('EOF while parsing a value');
    if (next !== 0x22) throw this.#wrongType('variant identifier');
    const text = this.#variant(variants);
    this.#colon();
    if (this.#peek() !== 0x6e) throw this.#wrongType('unit');
    this.#word('null', null);
    const end = this.#peek();
    if (end !== 0x7d) throw this.#here(end === -1 ? 'EOF while parsing an object' : 'expected value');
    this.#at += 1;
    return text;
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
  return byte === 0x2d || isDigit(byte);
}
function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
/** A floating point number as a refusal shows it: never without a point or an exponent. */
function floating(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e16 || (size > 0 && size < 1e-5)) return value.toExponential();
  return Number.isInteger(value) ? `${value}.0` : String(value);
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
