/**
 * A short conversation with QEMU's monitor (QMP: a JSON object per line; https://qemu.readthedocs.io/en/v7.2.0/interop/qmp-spec.html).
 * The other side may have been taken over by its guest, so everything from it is bounded: line length, total bytes, time.
 * QEMU talks to one client at a time and makes the next one wait without a greeting: conversations are kept short.
 */
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { anySignal } from '@linstock/contract';
import { connectTo } from '../../tools/sockets.ts';

/** The longest answer we ask for, query-version, has 300 bytes. */
const MAX_LINE_BYTES = 256 * 1024;
const MAX_TOTAL_BYTES = 4 * 1024 * 1024;

/** Nobody is there, it took too long, or what it said is not QMP. */
export class QmpSilence extends Error {
  readonly why: 'absent' | 'late' | 'broken';
  constructor(why: QmpSilence['why'], options?: ErrorOptions) {
    super(
      { absent: 'no QMP socket answers', late: 'QMP did not answer in time', broken: 'QMP gave an answer that cannot be read' }[why],
      options,
    );
    this.name = 'QmpSilence';
    this.why = why;
  }
}

/** QEMU understood and said no. */
export class QmpRefusal extends Error {
  readonly errorClass: string;
  constructor(errorClass: string, description: string) {
    super(description);
    this.name = 'QmpRefusal';
    this.errorClass = errorClass;
  }
}

export type Qmp = {
  version: string;
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
};

/** Cuts a byte stream into lines of bounded length; fuzzed. `undefined` means that the bound was broken, and it stays broken. */
export class LineCutter {
  readonly #max: number;
  #rest: Buffer[] = [];
  #bytes = 0;
  #broken = false;
  constructor(maxLineBytes: number) {
    this.#max = maxLineBytes;
  }
  push(chunk: Buffer): string[] | undefined {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1 && !this.#broken; at = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, at));
      if (!this.#broken) lines.push(Buffer.concat(this.#rest).toString('utf8'));
      this.#rest = [];
      this.#bytes = 0;
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    return this.#broken ? undefined : lines;
  }
  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#max) this.#broken = true;
    if (this.#broken) this.#rest = [];
    else if (part.length > 0) this.#rest.push(part);
  }
}

/** One conversation: connects, negotiates, lets `use` talk, hangs up. Throws QmpSilence, QmpRefusal, or the signal's reason. */
export async function withQmp<T>(
  at: { folder: string; socket: string },
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
  use: (qmp: Qmp) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal === undefined ? deadline : anySignal([options.signal, deadline]);
  try {
    const socket = await connect(at, signal);
    try {
      const talk = new Conversation(socket, signal);
      const version = versionIn(await talk.next());
      await talk.execute('qmp_capabilities');
      return await use({ version, execute: (command, args) => talk.execute(command, args) });
    } finally {
      socket.destroy();
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    if (deadline.aborted && !(error instanceof QmpRefusal)) throw new QmpSilence('late', { cause: error });
    throw error;
  }
}

/** EAGAIN: the one place in QEMU's backlog is taken by another client that waits; everything else at this point means that nobody listens. */
async function connect(at: { folder: string; socket: string }, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    try {
      return await connectTo({ folder: at.folder, name: at.socket }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw new QmpSilence('absent', { cause: error });
      await wait(2, undefined, { signal });
    }
  }
}

class Conversation {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  readonly #cutter = new LineCutter(MAX_LINE_BYTES);
  #total = 0;
  #ids = 0;
  #failed: Error | undefined;
  #wake = (): void => {};

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    const fail = (error: unknown): void => {
      this.#failed ??= error instanceof Error ? error : new Error('the conversation was given up', { cause: error });
      this.#wake();
    };
    signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    socket.on('data', (chunk: Buffer) => {
      this.#total += chunk.length;
      const lines = this.#cutter.push(chunk);
      if (lines === undefined || this.#total > MAX_TOTAL_BYTES) {
        socket.destroy();
        return fail(new QmpSilence('broken'));
      }
      this.#lines.push(...lines.filter((line) => line.trim() !== ''));
      this.#wake();
    });
    socket.on('error', (error) => fail(new QmpSilence('absent', { cause: error })));
    socket.on('close', () => fail(new QmpSilence('absent')));
  }

  /** The next object. */
  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return parse(line);
      if (this.#failed !== undefined) throw this.#failed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const id = (this.#ids += 1);
    this.#socket.write(`${JSON.stringify({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) })}\n`);
    for (;;) {
      const answer = await this.next();
      if (answer['id'] !== id) continue; // an event
      if ('return' in answer) return answer['return'];
      const error = record(answer['error']);
      throw new QmpRefusal(String(error['class']), String(error['desc']));
    }
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    return record(JSON.parse(line));
  } catch (error) {
    throw error instanceof QmpSilence ? error : new QmpSilence('broken', { cause: error });
  }
}

/** The object that must be here. */
export function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new QmpSilence('broken');
  return value as Record<string, unknown>;
}

function versionIn(greeting: Record<string, unknown>): string {
  const qemu = record(record(record(greeting['QMP'])['version'])['qemu']);
  const parts = [qemu['major'], qemu['minor'], qemu['micro']];
  if (!parts.every((part) => typeof part === 'number')) throw new QmpSilence('broken');
  return parts.join('.');
}
