/**
 * The API thread (micro-http): one, serial, at most ten connections. A connection whose peer has closed its writing half is dropped with
 * all that was not answered yet.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { HttpReader, MAX_CONNECTIONS, encode, tooMany, type Request, type Response } from './http.ts';
import type { SimVersion } from './versions.ts';

/** What may be done to an answer on its way out; the fates use it. */
export type Outlet = (socket: Socket, bytes: Buffer) => void;

export type ServerParts = {
  version: SimVersion;
  maxPayload: number;
  /** May be slow: while one request is in it, no other is looked at, on any connection. */
  handle(request: Request): Promise<Response> | Response;
  /** Replaces the plain write. */
  outlet?: Outlet;
};

type Connection = { socket: Socket; reader: HttpReader; waiting: Buffer[]; closed: boolean };

export class ApiServer {
  readonly #parts: ServerParts;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #turning = false;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Rejects as bind does. */
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  #accept(socket: Socket): void {
    socket.on('error', () => {
      // A peer that went away is noticed by `close`; there is nobody to tell.
    });
    if (this.#connections.size >= MAX_CONNECTIONS) {
      socket.write(tooMany, () => socket.destroy());
      return;
    }
    const connection: Connection = {
      socket,
      reader: new HttpReader(this.#parts.version, this.#parts.maxPayload),
      waiting: [],
      closed: false,
    };
    this.#connections.add(connection);
    const drop = (): void => {
      connection.closed = true;
      connection.waiting = [];
      this.#connections.delete(connection);
      socket.destroy();
    };
    socket.on('end', drop);
    socket.on('close', drop);
    socket.on('data', (bytes) => {
      connection.waiting.push(bytes);
      // Later, so that an end that came with the bytes is seen first: the hang-up is looked at before what can be read.
      setImmediate(() => void this.#turn());
    });
  }

  async #turn(): Promise<void> {
    if (this.#turning) return;
    this.#turning = true;
    for (;;) {
      const ready = [...this.#connections].filter((connection) => connection.waiting.length > 0);
      if (ready.length === 0) break;
      for (const connection of ready) await this.#wakeUp(connection);
    }
    this.#turning = false;
  }

  async #wakeUp(connection: Connection): Promise<void> {
    const all = Buffer.concat(connection.waiting);
    const room = connection.reader.room;
    connection.waiting = all.length > room && room > 0 ? [all.subarray(room)] : [];
    const read = connection.reader.read(room > 0 ? all.subarray(0, room) : all);
    for (const answer of read.answers) this.#send(connection, answer);
    for (const request of read.requests) this.#send(connection, encode(await this.#parts.handle(request)));
  }

  #send(connection: Connection, bytes: Buffer): void {
    if (connection.closed) return;
    if (this.#parts.outlet) this.#parts.outlet(connection.socket, bytes);
    else connection.socket.write(bytes);
  }
}
