/**
 * The HTTP dialect of micro-http, bytes in, requests and refusals out. It follows the real one in what looks odd: a buffer of
 * 1024 bytes per wake-up, no chunked bodies, and a connection that goes on after an error in the state in which the error found it.
 */
import { has, type Since, type SimVersion } from './versions.ts';

export const MAX_CONNECTIONS = 10;
export const MAX_PAYLOAD = 51_200;
/** What is read at a time, and so the longest request line and header line. */
export const BUFFER = 1024;

export type Method = 'GET' | 'PUT' | 'PATCH' | 'DELETE';
export const methods: Readonly<Record<Method, Since>> = {
  GET: { since: '1.9.1' },
  PUT: { since: '1.9.1' },
  PATCH: { since: '1.9.1' },
  DELETE: { since: '1.16.0' },
};

/** `path` is '' for a target that is neither absolute path nor http:// URL. */
export type Request = { method: Method; path: string; body: Buffer | null };
export type Response = { status: 200 | 204 | 400 | 413; body: string | null; deprecated?: boolean };

/** The whole answer to the eleventh connection: no reason, no space after the code. */
export const tooMany =
  'HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{ "error": "Too many open connections" }';

export function encode(response: Response): Buffer {
  const { status, body, deprecated } = response;
  const length = body === null ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(
    `HTTP/1.1 ${status} \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n${deprecated === true ? 'Deprecation: true\r\n' : ''}${length}\r\n${body ?? ''}`,
  );
}

/** Not JSON: a raw newline stands within the string. */
export function encodeHttpError(reason: string): Buffer {
  return encode({ status: 400, body: `{ "error": "${reason}\nAll previous unanswered requests will be dropped." }` });
}

/** What one wake-up gives: an HTTP error drops the requests that were read with it. */
export type Read = { requests: Request[]; answers: Buffer[] };

class Refusal extends Error {}

type Pending = { method: Method; path: string; version: string; length: number; expect: boolean };

export class HttpReader {
  readonly #version: SimVersion;
  readonly #maxPayload: number;
  readonly #buffer = Buffer.alloc(BUFFER);
  #state: 'line' | 'headers' | 'body' = 'line';
  #cursor = 0;
  #pending: Pending | null = null;
  #body: Buffer[] = [];
  #missing = 0;

  constructor(version: SimVersion, maxPayload: number) {
    this.#version = version;
    this.#maxPayload = maxPayload;
  }

  /** How many bytes the next wake-up can take. */
  get room(): number {
    return BUFFER - this.#cursor;
  }

  /** One wake-up with at most `room` bytes. */
  read(bytes: Buffer): Read {
    const read: Read = { requests: [], answers: [] };
    try {
      // A line that fills the buffer was refused and is still there: the real one cannot take another byte.
      if (this.#cursor >= BUFFER) throw new Refusal('Overflow occurred when parsing a request.');
      bytes.copy(this.#buffer, this.#cursor);
      this.#parse(this.#cursor + bytes.length, read);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      read.requests = [];
      read.answers.push(encodeHttpError(error.message));
    }
    return read;
  }

  #parse(end: number, read: Read): void {
    let at = 0;
    for (;;) {
      if (this.#state === 'body') {
        const here = end - at;
        if (this.#missing > here) {
          this.#body.push(Buffer.from(this.#buffer.subarray(at, end)));
          this.#missing -= here;
          this.#cursor = 0;
          return;
        }
        this.#body.push(Buffer.from(this.#buffer.subarray(at, at + this.#missing)));
        at += this.#missing;
        this.#ready(read, Buffer.concat(this.#body));
        continue;
      }
      const found = this.#buffer.subarray(at, end).indexOf('\r\n');
      if (found === -1) {
        if (at === 0 && end === BUFFER) {
          if (this.#state === 'line') throw new Refusal('Invalid request.');
          throw new Refusal(`Invalid header. Reason: Invalid content length. Header: ${this.#buffer.toString('utf8')}`);
        }
        this.#buffer.copy(this.#buffer, 0, at, end);
        this.#cursor = end - at;
        return;
      }
      const line = Buffer.from(this.#buffer.subarray(at, at + found));
      if (this.#state === 'line') {
        this.#pending = this.#requestLine(line);
        this.#state = 'headers';
      } else if (found > 0) {
        header(line, this.#pending!);
      } else {
        const { length, expect, version } = this.#pending!;
        if (length > this.#maxPayload)
          throw new Refusal(`Request payload with size ${length} is larger than the limit of ${this.#maxPayload} allowed by server.`);
        if (length === 0) this.#ready(read, null);
        else {
          if (expect) read.answers.push(Buffer.from(`${version} 100 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n`));
          this.#missing = length;
          this.#body = [];
          this.#state = 'body';
        }
      }
      at += found + 2;
    }
  }

  #ready(read: Read, body: Buffer | null): void {
    const { method, path } = this.#pending!;
    read.requests.push({ method, path, body });
    this.#state = 'line';
    this.#pending = null;
    this.#missing = 0;
  }

  #requestLine(line: Buffer): Pending {
    const first = line.indexOf(' ');
    const second = first === -1 ? -1 : line.indexOf(' ', first + 1);
    if (second === -1) throw new Refusal('Invalid request.');
    const method = line.subarray(0, first).toString('latin1');
    if (!isMethod(method) || !has(this.#version, methods[method])) throw new Refusal('Invalid HTTP Method: Unsupported HTTP method.');
    const target = line.subarray(first + 1, second);
    if (target.length === 0) throw new Refusal('Invalid URI: Empty URI not allowed.');
    const text = utf8(target);
    if (text === null) throw new Refusal('Invalid URI: Cannot parse URI as UTF-8.');
    const version = line.subarray(second + 1).toString('latin1');
    if (version !== 'HTTP/1.0' && version !== 'HTTP/1.1') throw new Refusal('Invalid HTTP Version: Unsupported HTTP version.');
    return { method, path: pathOf(text), version, length: 0, expect: false };
  }
}

function isMethod(text: string): text is Method {
  return Object.hasOwn(methods, text);
}

/** `http://host/path` is the same as `/path`; a query string is part of the path. */
function pathOf(target: string): string {
  if (!target.startsWith('http://')) return target.startsWith('/') ? target : '';
  const slash = target.indexOf('/', 'http://'.length);
  return slash === -1 ? '' : target.slice(slash);
}

/** Only four headers mean anything; a value of them that is not understood is ignored like an unknown header. */
function header(line: Buffer, pending: Pending): void {
  const text = utf8(line);
  if (text === null)
    throw new Refusal('Invalid header. Reason: Header contains invalid characters. Key: invalid utf-8 sequence of 1 bytes from index 0');
  const colon = text.indexOf(':');
  if (colon === -1) throw new Refusal(`Invalid header. Reason: Header is incorrectly formatted. Key: ${text}`);
  const [name, value] = [text.slice(0, colon), text.slice(colon + 1)];
  switch (name.trim().toLowerCase()) {
    case 'content-length': {
      const length = value.trim();
      if (!/^\+?\d+$/.test(length) || Number(length) > 0xffff_ffff)
        throw new Refusal(`Invalid header. Reason: Invalid value. Key:${name}; Value:${value}`);
      pending.length = Number(length);
      return;
    }
    case 'expect':
      if (value.trim() === '100-continue') pending.expect = true;
      return;
    case 'accept-encoding': {
      if (value.trim() === '') throw new Refusal('Invalid request.');
      for (const one of value.trim().split(',')) {
        if (one.trim() === 'identity;q=0' || (one.trim() === '*;q=0' && !value.includes('identity')))
          throw new Refusal(`Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value:${one}`);
      }
      return;
    }
    default:
      // Content-Type and Accept may say anything. Transfer-Encoding is read and ignored, so a chunked body counts as none.
      return;
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function utf8(bytes: Buffer): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null; // bytes that are not UTF-8 are an answer to the question
  }
}
