/**
 * The host side of the vsock device (api_server/request): a unix socket, `CONNECT <port>\n` in one piece, `OK <host port>\n` when a guest listens
 * there, the end of the connection when not. What a guest would serve at a port is told to the simulator, see main.ts.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** Port → `echo`, or the path of a unix socket of a test that plays the agent. */
export type VsockOptions = {
  ports: ReadonlyMap<number, string>;
  resets: boolean;
  /** Whether anybody listens in the guest yet. */
  guestListens(): boolean;
  /** While it stands still the thread of the devices waits for the API only: who connects waits as well (firecracker/src/api_server_adapter.rs). */
  standsStill(): boolean;
  /** Nothing is ever answered again, though connections are taken (1.16.0 and 1.16.1 after a bare pause and resume). */
  hangs(): boolean;
  made(): void;
};

export class VsockSocket {
  readonly #options: VsockOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #waiting = new Set<Socket>();
  #next = 1 << 30;

  constructor(options: VsockOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  /** As at the creation of a snapshot: all connections are reset, but for those that nobody has looked at yet. */
  reset(): void {
    for (const socket of this.#open) if (!this.#waiting.has(socket)) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => {
      // The other end went away: `close` follows.
    });
    if (this.#options.resets) {
      socket.destroy();
      return;
    }
    socket.once('data', (first) => this.#connect(socket, first));
  }

  #connect(socket: Socket, first: Buffer): void {
    this.#waiting.delete(socket);
    if (this.#options.hangs() || socket.destroyed) return;
    if (this.#options.standsStill()) {
      this.#waiting.add(socket);
      setTimeout(() => this.#connect(socket, first), 5);
      return;
    }
    const words = /^CONNECT (\d{1,10})\n/i.exec(first.subarray(0, 32).toString('latin1'));
    const target = words ? this.#options.ports.get(Number(words[1])) : undefined;
    if (!words || target === undefined || !this.#options.guestListens()) {
      socket.destroy();
      return;
    }
    this.#options.made();
    const rest = first.subarray(words[0].length);
    socket.write(`OK ${this.#next}\n`);
    this.#next += 1;
    if (target === 'echo') {
      socket.write(rest);
      socket.pipe(socket);
      return;
    }
    const agent = createConnection(target);
    agent.on('error', () => socket.destroy());
    socket.on('close', () => agent.destroy());
    agent.write(rest);
    socket.pipe(agent).pipe(socket);
  }
}
