import { connect } from 'node:net';
import type { Socket } from 'node:net';

/** How a connection came to its end. `local`: the host itself could not try (errno in `code`), so nothing was learnt about the peer. */
export type WireEnd =
  | { is: 'closed' | 'deadline' | 'aborted' | 'flood' }
  | { is: 'refused' | 'reset' | 'timeout' | 'unreachable' | 'local'; code: string };

/** Everything a probe needs to hear; a peer that says more is cut off. */
export const MOST_BYTES = 64 * 1024;

/**
 * One TCP connection to a hostile peer: bounded in bytes and time, aborted by a signal, and nothing is ever thrown: `end` says how it ended.
 * What was received before the end stays readable, so a banner followed by a reset is still a banner.
 */
export class Wire {
  connected = false;
  end: WireEnd | null = null;
  /** bytes heard since the connection began */
  heard = 0;
  readonly #store = Buffer.alloc(MOST_BYTES);
  #taken = 0;
  #wake: (() => void) | null = null;
  #socket: Socket | null = null;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#finish({ is: 'aborted' });

  constructor(host: string, port: number, opts: { signal: AbortSignal; deadlineMs: number }) {
    this.#signal = opts.signal;
    this.#timer = setTimeout(() => this.#finish({ is: 'deadline' }), opts.deadlineMs);
    if (opts.signal.aborted) {
      this.#finish({ is: 'aborted' });
      return;
    }
    opts.signal.addEventListener('abort', this.#onAbort, { once: true });
    try {
      this.#socket = connect({ host, port, noDelay: true, autoSelectFamily: false });
    } catch (error) {
      // node:net throws for a port or an address that cannot be: nothing was sent, and a probe does not throw.
      this.#finish(endOf(error, false));
      return;
    }
    this.#socket.on('connect', () => {
      this.connected = true;
      this.#stir();
    });
    this.#socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    this.#socket.on('end', () => this.#finish({ is: 'closed' }));
    this.#socket.on('error', (error) => this.#finish(endOf(error, this.connected)));
    this.#socket.on('close', () => this.#finish({ is: 'closed' }));
  }

  /** What was received and not yet taken. */
  get bytes(): Uint8Array {
    return this.#store.subarray(this.#taken, this.heard);
  }

  take(count: number): void {
    this.#taken += count;
  }

  send(bytes: Uint8Array | string): void {
    if (this.end === null) this.#socket?.write(bytes);
  }

  /** Resolves when something changed since the caller last looked: connected, bytes, end. At once when it is over. */
  more(): Promise<void> {
    if (this.end !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ends it from our side, with last words if there are any; repeating it does nothing. */
  hangUp(lastWords?: Uint8Array): void {
    if (lastWords !== undefined && this.end === null) {
      this.#socket?.write(lastWords);
      this.#socket?.destroySoon();
    }
    this.#finish({ is: 'closed' }, lastWords !== undefined);
  }

  #hear(chunk: Buffer): void {
    if (this.end !== null) return;
    this.heard += chunk.copy(this.#store, this.heard);
    if (this.heard === MOST_BYTES) this.#finish({ is: 'flood' });
    else this.#stir();
  }

  #finish(end: WireEnd, keepSocket = false): void {
    if (this.end !== null) return;
    this.end = end;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (!keepSocket) this.#socket?.destroy();
    this.#stir();
  }

  #stir(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

/** errno → meaning. What a code proves is in docs/proof.md. */
function endOf(error: unknown, connected: boolean): WireEnd {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
  switch (code) {
    case 'ECONNREFUSED':
      return { is: 'refused', code };
    case 'ETIMEDOUT':
      return { is: 'timeout', code };
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ENETDOWN':
      return { is: 'unreachable', code };
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return { is: 'reset', code };
    default:
      return connected ? { is: 'reset', code } : { is: 'local', code };
  }
}
