/**
 * The YAML that people and tools write into netplan and cloud-init files: maps and lists by indentation or in brackets, quoted words, comments,
 * blocks of text. Pure; what is beyond it (anchors, tags, several documents) is not understood, which is an answer: null.
 */
import { mostLines } from '../view.ts';

export type Yaml =
  | { is: 'map'; line: number; entries: readonly { key: string; line: number; value: Yaml }[] }
  | { is: 'list'; line: number; items: readonly Yaml[] }
  | { is: 'text'; line: number; text: string };

type Row = { indent: number; text: string; line: number };

const mostDepth = 32;

export function parseYaml(text: string): Yaml | null {
  const rows = rowsOf(text);
  const parser = new Parser(rows);
  const value = parser.block(0, 0);
  return parser.failed || !parser.atEnd ? null : value;
}

/** Follows keys; null when one is not there. */
export function under(yaml: Yaml | null, ...keys: readonly string[]): Yaml | null {
  let at = yaml;
  for (const key of keys) at = at?.is === 'map' ? (at.entries.find((entry) => entry.key === key)?.value ?? null) : null;
  return at;
}

export function textUnder(yaml: Yaml | null, ...keys: readonly string[]): { text: string; line: number } | null {
  const at = under(yaml, ...keys);
  return at?.is === 'text' ? at : null;
}

/** YAML's yes and no, as netplan and cloud-init take them. */
export function yes(text: string | undefined): boolean {
  return text !== undefined && /^(?:true|yes|on|y)$/i.test(text);
}

function rowsOf(text: string): Row[] {
  return text.split('\n', mostLines).flatMap((raw, index) => {
    const indent = /^ */.exec(raw)?.[0].length ?? 0;
    const body = withoutComment(raw.slice(indent)).trimEnd();
    return body === '' || body === '---' || body === '...' ? [] : [{ indent, text: body, line: index + 1 }];
  });
}

/** A `#` begins a comment at the start or behind a space, outside quotes. */
function withoutComment(text: string): string {
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    if (quote !== '') {
      if (letter === quote) quote = '';
      else if (letter === '\\' && quote === '"') at++;
    } else if ((letter === '"' || letter === "'") && /^$|[\s[{,:-]/.test(text.charAt(at - 1))) quote = letter;
    else if (letter === '#' && (at === 0 || /\s/.test(text.charAt(at - 1)))) return text.slice(0, at);
  }
  return text;
}

/** `key: rest` at the beginning of a row; null when the row is something else. */
function keyOf(row: string): { key: string; rest: string } | null {
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)')/.exec(row);
  const from = quoted === null ? 0 : quoted[0].length;
  let colon = row.indexOf(':', from);
  while (colon >= 0 && colon + 1 < row.length && !/\s/.test(row.charAt(colon + 1))) colon = row.indexOf(':', colon + 1);
  if (colon < 0) return null;
  const rest = row.slice(colon + 1).trimStart();
  const between = row.slice(from, colon).trimEnd();
  if (quoted !== null) return between === '' ? { key: quoted[1] ?? quoted[2]?.replaceAll("''", "'") ?? '', rest } : null;
  // What a plain word cannot begin with; a dash may, when no space follows it.
  return between === '' || /^(?:[?:,[\]{}#&*!|>'"%@`]|-(?:\s|$))/.test(between) ? null : { key: between, rest };
}

class Parser {
  failed = false;
  readonly #rows: Row[];
  #at = 0;

  constructor(rows: Row[]) {
    this.#rows = rows;
  }

  get atEnd(): boolean {
    return this.#at >= this.#rows.length;
  }

  /** What stands at this indentation or deeper. */
  block(least: number, depth: number): Yaml {
    const row = this.#rows[this.#at];
    if (row === undefined || row.indent < least) return { is: 'text', line: row?.line ?? 0, text: '' };
    if (depth > mostDepth) return this.#fail(row.line);
    if (/^-(?:\s|$)/.test(row.text)) return this.#list(row.indent, depth);
    if (keyOf(row.text) !== null) return this.#map(row.indent, depth);
    this.#at++;
    return this.#scalar(row.text, row, depth);
  }

  #list(indent: number, depth: number): Yaml {
    const items: Yaml[] = [];
    const line = this.#rows[this.#at]?.line ?? 0;
    for (let row = this.#rows[this.#at]; row !== undefined && !this.failed; row = this.#rows[this.#at]) {
      if (row.indent !== indent || !/^-(?:\s|$)/.test(row.text)) break;
      const rest = row.text.slice(1).trimStart();
      if (rest === '') {
        this.#at++;
        items.push(this.block(indent + 1, depth + 1));
      } else {
        // The item begins in this row, as if it stood there alone.
        this.#rows[this.#at] = { indent: indent + row.text.length - rest.length, text: rest, line: row.line };
        items.push(this.block(indent + 1, depth + 1));
      }
    }
    return { is: 'list', line, items };
  }

  #map(indent: number, depth: number): Yaml {
    const entries: { key: string; line: number; value: Yaml }[] = [];
    const line = this.#rows[this.#at]?.line ?? 0;
    for (let row = this.#rows[this.#at]; row !== undefined && !this.failed; row = this.#rows[this.#at]) {
      const match = row.indent === indent ? keyOf(row.text) : null;
      if (match === null) {
        if (row.indent > indent) this.failed = true;
        break;
      }
      const { key, rest } = match;
      this.#at++;
      const next = this.#rows[this.#at];
      // A list may stand as deep as the key it belongs to.
      const least = next !== undefined && next.indent === indent && /^-(?:\s|$)/.test(next.text) ? indent : indent + 1;
      const value = rest === '' ? this.block(least, depth + 1) : this.#scalar(rest, { ...row, indent }, depth + 1);
      entries.push({ key, line: row.line, value: value.line === 0 ? { ...value, line: row.line } : value });
    }
    return { is: 'map', line, entries };
  }

  /** The rest of a row: a word, brackets (which may go on in the next rows), or the head of a block of text. */
  #scalar(text: string, row: Row, depth: number): Yaml {
    if (/^[&*!]/.test(text)) return this.#fail(row.line);
    if (/^[|>][-+\d]*$/.test(text)) {
      const parts: string[] = [];
      for (let next = this.#rows[this.#at]; next !== undefined && next.indent > row.indent; next = this.#rows[++this.#at])
        parts.push(next.text);
      return { is: 'text', line: row.line, text: parts.join('\n') };
    }
    if (/^[[{]/.test(text)) {
      let whole = text;
      for (let next = this.#rows[this.#at]; next !== undefined && !balanced(whole) && whole.length < 8192; next = this.#rows[++this.#at])
        whole += ` ${next.text}`;
      const flow = new Flow(whole, row.line);
      const value = flow.value(depth);
      return flow.failed ? this.#fail(row.line) : value;
    }
    return { is: 'text', line: row.line, text: unquoted(text) };
  }

  #fail(line: number): Yaml {
    this.failed = true;
    return { is: 'text', line, text: '' };
  }
}

function balanced(text: string): boolean {
  const plain = text.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '');
  return (plain.match(/[[{]/g)?.length ?? 0) <= (plain.match(/[\]}]/g)?.length ?? 0);
}

function unquoted(text: string): string {
  const word = text.trim();
  if (word.length >= 2 && word.startsWith('"') && word.endsWith('"')) return word.slice(1, -1).replaceAll(/\\(.)/g, '$1');
  return word.length >= 2 && word.startsWith("'") && word.endsWith("'") ? word.slice(1, -1).replaceAll("''", "'") : word;
}

/** `[a, {b: c}]` */
class Flow {
  failed = false;
  readonly #text: string;
  readonly #line: number;
  #at = 0;

  constructor(text: string, line: number) {
    this.#text = text;
    this.#line = line;
  }

  value(depth: number): Yaml {
    this.#space();
    const letter = this.#text.charAt(this.#at);
    if (depth > mostDepth) this.failed = true;
    if (letter === '[' || letter === '{') return this.#brackets(letter === '[' ? ']' : '}', depth);
    return { is: 'text', line: this.#line, text: this.#word() };
  }

  #brackets(end: string, depth: number): Yaml {
    const items: Yaml[] = [];
    const entries: { key: string; line: number; value: Yaml }[] = [];
    this.#at++;
    for (;;) {
      this.#space();
      if (this.#take(end)) break;
      if (this.failed || this.#at >= this.#text.length) {
        this.failed = true;
        break;
      }
      const from = this.#at;
      const value = this.value(depth + 1);
      this.#space();
      if (end === '}') {
        const given = this.#take(':') ? this.value(depth + 1) : { is: 'text' as const, line: this.#line, text: '' };
        entries.push({ key: value.is === 'text' ? value.text : '', line: this.#line, value: given });
      } else items.push(value);
      this.#space();
      if (!this.#take(',') && this.#text.charAt(this.#at) !== end) this.failed = true;
      if (this.#at === from) this.failed = true;
    }
    return end === ']' ? { is: 'list', line: this.#line, items } : { is: 'map', line: this.#line, entries };
  }

  #word(): string {
    const rest = this.#text.slice(this.#at);
    const word = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:[^,[\]{}:]|:(?!\s|$))*)/.exec(rest)?.[0] ?? '';
    this.#at += word.length;
    return unquoted(word);
  }
  #space(): void {
    while (/\s/.test(this.#text.charAt(this.#at)) && this.#at < this.#text.length) this.#at++;
  }
  #take(letter: string): boolean {
    const is = this.#text.charAt(this.#at) === letter;
    if (is) this.#at++;
    return is;
  }
}
