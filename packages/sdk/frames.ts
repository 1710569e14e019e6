/**
 * Pure cutters of byte streams: newline-delimited JSON and server-sent events. Chunks may end anywhere, inside a
 * character too. Each has a limit, so that a peer cannot make us hold an endless line.
 */

/** An exec frame holds some KiB of base64, an event some KiB of JSON: a line of this size is broken or hostile. */
const MAX_LINE_CHARS = 4 * 1024 * 1024;

export class LineTooLong extends Error {
  constructor() {
    super(`a line has more than ${MAX_LINE_CHARS} characters`);
    this.name = 'LineTooLong';
  }
}

/** Cuts bytes into lines. `\n` and `\r\n` end a line; what remains without an end is given by `rest()`. */
export class LineCutter {
  readonly #decoder = new TextDecoder();
  #held: string[] = [];
  #heldChars = 0;

  push(chunk: Uint8Array): string[] {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split('\n');
    const last = pieces.pop() ?? '';
    const lines: string[] = [];
    for (const piece of pieces) {
      const line = this.#held.length === 0 ? piece : this.#held.join('') + piece;
      this.#held = [];
      this.#heldChars = 0;
      lines.push(line.endsWith('\r') ? line.slice(0, -1) : line);
    }
    if (last !== '') this.#held.push(last);
    this.#heldChars += last.length;
    if (this.#heldChars > MAX_LINE_CHARS) throw new LineTooLong();
    return lines;
  }

  rest(): string {
    return this.#held.join('') + this.#decoder.decode();
  }
}

export type ServerSentEvent = {
  /** the last id the stream named, this event's or an earlier one's */
  id: string | null;
  type: string;
  data: string;
};

/**
 * Cuts lines into server-sent events (WHATWG). A block without data is not an event, but its id counts: a heartbeat
 * moves the place from which we resume.
 */
export class EventCutter {
  #id: string | null = null;
  #type = 'message';
  #data: string[] = [];

  /** the place to resume from */
  get lastId(): string | null {
    return this.#id;
  }

  line(line: string): ServerSentEvent | null {
    if (line === '') {
      const event = this.#data.length === 0 ? null : { id: this.#id, type: this.#type, data: this.#data.join('\n') };
      this.#type = 'message';
      this.#data = [];
      return event;
    }
    if (line.startsWith(':')) return null;
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'id' && !value.includes('\0')) this.#id = value;
    if (field === 'event') this.#type = value;
    if (field === 'data') this.#data.push(value);
    return null;
  }
}
