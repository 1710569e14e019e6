/**
 * One process in the guest, seen from the host.
 *
 * Invariants: of each output at most one window is held, for the agent may send only what it
 * has credit for, and credit is given as the reader takes. A line that is lost ends the
 * outputs and the exit; `exit` says so, the outputs just end. Nothing here rejects.
 */
import { ByteQueue } from './byte-queue.ts';
import type { Lost } from './lost.ts';

/** Initial credit of each of stdin, stdout and stderr: as in guest/agent/session.go. */
export const windowBytes = 262_144;
/** Credit goes back in portions: one frame per quarter window instead of one per chunk. */
const creditPortionBytes = windowBytes / 4;
/** A piece of stdin; small enough that other streams come in between. */
const stdinChunkBytes = 32_768;

export type GuestSignal = 'HUP' | 'INT' | 'QUIT' | 'KILL' | 'USR1' | 'USR2' | 'TERM' | 'CONT' | 'STOP' | 'WINCH';

export type ExecEnd =
  | { is: 'exited'; code: number; ms: number; timedOut: boolean }
  | { is: 'signalled'; signal: string; ms: number; timedOut: boolean }
  | Lost;

/** What an exec needs of its channel. */
export type ExecLine = {
  credit(of: 'stdout' | 'stderr', bytes: number): void;
  /** resolves when more may be written, or the line has ended */
  stdin(bytes: Uint8Array): Promise<void>;
  closeStdin(): void;
  signal(name: GuestSignal): void;
};

/** stdout or stderr. One reader; breaking out of the loop throws the rest away. */
export class GuestOutput implements AsyncIterable<Uint8Array> {
  readonly #credit: (bytes: number) => void;
  readonly #queue = new ByteQueue();
  /** taken and not yet given back as credit */
  #owed = 0;
  #ended = false;
  #discarding = false;
  #wake: (() => void) | null = null;

  constructor(credit: (bytes: number) => void) {
    this.#credit = credit;
  }

  /** Of the channel. `false`: the agent sent more than it had credit for. */
  push(bytes: Uint8Array): boolean {
    if (this.#queue.length + this.#owed + bytes.length > windowBytes) return false;
    if (this.#discarding) this.#taken(bytes.length);
    else this.#queue.push(bytes);
    this.#wake?.();
    return true;
  }

  /** Of the channel: nothing more will come; what is queued can still be read. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** For who does not want to read it: the process would otherwise block when the window is full. */
  discard(): void {
    this.#discarding = true;
    this.#taken(this.#queue.length);
    this.#queue.clear();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      while (!this.#discarding) {
        const bytes = this.#queue.take();
        if (bytes !== null) {
          this.#taken(bytes.length);
          yield bytes;
        } else if (this.#ended) {
          return;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#wake = resolve;
          // oxlint-disable-next-line no-await-in-loop -- one piece after the other is the point
          await promise;
          this.#wake = null;
        }
      }
    } finally {
      this.discard();
    }
  }

  #taken(bytes: number): void {
    this.#owed += bytes;
    if (this.#ended || this.#owed < creditPortionBytes) return;
    this.#credit(this.#owed);
    this.#owed = 0;
  }
}

export class GuestInput {
  readonly #line: ExecLine;
  #credit = windowBytes;
  #ended = false;
  #wake: (() => void) | null = null;
  /** writes happen one after the other, whoever calls */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(line: ExecLine) {
    this.#line = line;
  }

  /** Resolves when all was sent: `false` when the process or the line ended before. */
  write(bytes: Uint8Array): Promise<boolean> {
    const written = this.#turn.then(() => this.#write(bytes));
    this.#turn = written;
    return written;
  }

  /** End of file for the process, after what was written before. */
  async end(): Promise<void> {
    await this.#turn;
    if (!this.#ended) this.#line.closeStdin();
    this.#ended = true;
  }

  async #write(bytes: Uint8Array): Promise<boolean> {
    let at = 0;
    while (at < bytes.length && !this.#ended) {
      if (this.#credit === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        // oxlint-disable-next-line no-await-in-loop -- flow control: each piece waits for its credit
        await promise;
        this.#wake = null;
        continue;
      }
      const piece = bytes.subarray(at, at + Math.min(this.#credit, stdinChunkBytes));
      at += piece.length;
      this.#credit -= piece.length;
      // oxlint-disable-next-line no-await-in-loop -- as above
      await this.#line.stdin(piece);
    }
    return at === bytes.length;
  }

  /** Of the channel. `false`: the agent gave more than the window. */
  grant(bytes: number): boolean {
    if (this.#credit + bytes > windowBytes) return false;
    this.#credit += bytes;
    this.#wake?.();
    return true;
  }

  /** Of the channel: nobody will read any more. */
  stop(): void {
    this.#ended = true;
    this.#wake?.();
  }
}

export class GuestExec {
  readonly stdout: GuestOutput;
  readonly stderr: GuestOutput;
  readonly stdin: GuestInput;
  readonly exit: Promise<ExecEnd>;
  readonly #line: ExecLine;
  readonly #exit = Promise.withResolvers<ExecEnd>();
  #pid = 0;

  constructor(line: ExecLine) {
    this.#line = line;
    this.stdout = new GuestOutput((bytes) => line.credit('stdout', bytes));
    this.stderr = new GuestOutput((bytes) => line.credit('stderr', bytes));
    this.stdin = new GuestInput(line);
    this.exit = this.#exit.promise;
  }

  /** the number of the process in the guest, which is also its group's */
  get pid(): number {
    return this.#pid;
  }

  /** To the whole group of the process; without effect when it has ended. */
  kill(signal: GuestSignal = 'KILL'): void {
    this.#line.signal(signal);
  }

  /** Of the channel. */
  started(pid: number): void {
    this.#pid = pid;
  }

  /** Of the channel: the last word on this process. */
  ended(end: ExecEnd): void {
    this.stdin.stop();
    this.stdout.end();
    this.stderr.end();
    this.#exit.resolve(end);
  }
}
