/**
 * Bytes to a unix socket and back, for tests and for the comparison with real binaries. Deliberately no HTTP client: what is sent may be
 * wrong, and what comes back is shown as it is.
 */
import { createConnection, type Socket } from 'node:net';

export type Answer = { status: number; line: string; headers: Record<string, string>; body: string };

export class RawConnection {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  closed = false;

  constructor(path: string) {
    this.#socket = createConnection(path);
    this.#socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
    });
    this.#socket.on('close', () => {
      this.closed = true;
    });
    this.#socket.on('error', () => {
      // Told by `closed`: a reset is one of the things that a test waits for.
    });
  }

  /** Whether there is somebody on the other end. */
  connected(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#socket.once('connect', () => resolve(true));
      this.#socket.once('close', () => resolve(false));
    });
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }
  /** Closes the writing half only. */
  halfClose(): void {
    this.#socket.end();
  }
  destroy(): void {
    this.#socket.destroy();
  }
  get received(): string {
    return this.#bytes.toString('utf8');
  }

  /** The first answer that is whole, taken off what was received; null as long as there is none. */
  take(): Answer | null {
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end === -1) return null;
    const [line = '', ...rest] = this.#bytes.subarray(0, end).toString('latin1').split('\r\n');
    const headers = Object.fromEntries(rest.map((header) => [header.slice(0, header.indexOf(':')), header.slice(header.indexOf(':') + 2)]));
    const length = Number(headers['Content-Length'] ?? 0);
    if (this.#bytes.length < end + 4 + length) return null;
    const body = this.#bytes.subarray(end + 4, end + 4 + length).toString('utf8');
    this.#bytes = this.#bytes.subarray(end + 4 + length);
    return { status: Number(line.split(' ')[1]), line, headers, body };
  }
}

/** One request in one write, with the length in bytes. */
export function requestOf(method: string, path: string, body?: unknown): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(text)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${length}\r\n${text}`;
}
