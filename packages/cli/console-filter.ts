/**
 * What a guest wrote to its console, made safe for a terminal: printable text, newline and tab pass, escape sequences and
 * all other control characters do not. A sequence that never ends cannot hide what follows: it is given up at the end of
 * its line or after a few hundred characters.
 */
const MAX_SEQUENCE = 256;

type State = 'text' | 'escape' | 'csi' | 'string' | 'string-escape';

export class ConsoleFilter {
  readonly #decoder = new TextDecoder();
  #state: State = 'text';
  #length = 0;

  push(chunk: Uint8Array): string {
    return this.#clean(this.#decoder.decode(chunk, { stream: true }));
  }

  end(): string {
    return this.#clean(this.#decoder.decode());
  }

  #clean(text: string): string {
    let out = '';
    for (const char of text) {
      const code = char.codePointAt(0) ?? 0;
      if (char === '\n') {
        out += char;
        this.#state = 'text';
        continue;
      }
      if (this.#state !== 'text') {
        this.#length += 1;
        const next = this.#length > MAX_SEQUENCE ? 'text' : after(this.#state, char, code);
        if (next !== 'repeat') {
          this.#state = next;
          continue;
        }
        this.#state = 'text'; // the character is no part of a sequence: it is text
      }
      if (code === 0x1b || code === 0x9b) {
        this.#state = code === 0x1b ? 'escape' : 'csi';
        this.#length = 0;
      } else if (char === '\t' || isPrintable(code)) out += char;
    }
    return out;
  }
}

function after(state: Exclude<State, 'text'>, char: string, code: number): State | 'repeat' {
  switch (state) {
    case 'escape':
      if (char === '[') return 'csi';
      if (']P_^X'.includes(char)) return 'string';
      if (code >= 0x20 && code <= 0x2f) return 'escape'; // intermediate, e.g. `ESC ( B`
      return code >= 0x30 && code <= 0x7e ? 'text' : 'repeat';
    case 'csi':
      if (code >= 0x20 && code <= 0x3f) return 'csi';
      return code >= 0x40 && code <= 0x7e ? 'text' : 'repeat';
    case 'string':
      if (code === 0x07 || code === 0x9c) return 'text';
      return code === 0x1b ? 'string-escape' : 'string';
    case 'string-escape':
      return char === '\\' ? 'text' : 'string';
  }
}

function isPrintable(code: number): boolean {
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return false;
  // marks that turn the direction of text around, or are invisible
  return (
    !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2060 && code <= 0x2069) && code !== 0xfeff
  );
}
