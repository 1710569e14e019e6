/**
 * Evidence as text, in the shapes that people paste: `== section`, `$ command`, then what it printed. A live VM is told in the same way as
 * somebody's pasted files, so that one set of readers serves both.
 *
 * Promises: every line is cleaned and bounded, secrets are hidden, and a document that had to be cut says so.
 */
import type { DocumentKind, EvidenceDocument } from '@linstock/contract';
import { cleanText } from '../clean.ts';

/** `ip -d link` prints lines of a thousand characters; a command line may have 2,048. */
const mostLineLength = 4_096;
/** A host with a thousand VMs, or a rule set of another product, must not fill the bundle. */
const mostLinesOfLook = 1_200;
/** What begins a section or a look here. A guest may print it, and must not be able to open one. */
const ownMark = /^(?:==|\$) /;
const mostDocumentLength = 256 * 1024;

export class Page {
  readonly #lines: string[] = [];
  #length = 0;
  #cut: string | null = null;

  section(name: string): this {
    return this.line(`== ${name}`);
  }

  /** What a command printed, and how it ended when that says something. */
  look(command: string, output: string, exit?: string): this {
    this.line(`$ ${command}`);
    this.block(output);
    return exit === undefined ? this : this.line(exit);
  }

  block(text: string): this {
    const lines = text.replace(/\n+$/, '').split('\n');
    if (text.trim() === '') return this;
    for (const line of lines.slice(0, mostLinesOfLook)) this.line(line, ' ');
    const left = lines.length - mostLinesOfLook;
    return left > 0 ? this.line(`(${left} more lines are left out)`) : this;
  }

  /** `shield` goes before what would open a section or a look. */
  line(text: string, shield = ''): this {
    if (this.#length > mostDocumentLength) {
      this.#cut ??= `only the first ${Math.round(mostDocumentLength / 1024)} KiB are here`;
      return this;
    }
    const shown = withoutSecrets(cleanText(text, mostLineLength));
    const clean = ownMark.test(shown) ? `${shield}${shown}` : shown;
    this.#length += clean.length + 1;
    this.#lines.push(clean);
    return this;
  }

  /** `cut` says why a part of it is not there. */
  document(kind: DocumentKind, name: string, cut: string | null = null): EvidenceDocument {
    return { kind, name, text: this.#lines.map((line) => `${line}\n`).join(''), cut: cut ?? this.#cut };
  }
}

// Bounded, so that no input makes matching slow.
const secret = /\b([\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|credential)s?[\w.-]{0,40}=)[^\s"']{1,512}/gi;
const bearer = /\b(bearer|basic) [\w.~+/=-]{8,512}/gi;

/** The same in every document, so that what was asked for and what a console shows still compare equal. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(secret, '$1(hidden)').replaceAll(bearer, '$1 (hidden)');
}

/** `key=value` pairs of one line; absent values are left out. */
export function pairs(values: Readonly<Record<string, string | number | null>>): string {
  return Object.entries(values)
    .flatMap(([key, value]) => (value === null || value === '' ? [] : [`${key}=${value}`]))
    .join(' ');
}
