/**
 * The line to one guest's agent, which works when the guest's network does not.
 *
 *   connectGuest ─ socket ─ sync ─ sync-ack ─► open ─ requests, execs ─► ended (for good)
 *
 * Promises: nothing here throws or rejects on what a guest does; every wait has a deadline
 * and a signal; what a guest can make us hold is bounded. A channel that ended stays ended,
 * its streams all hear so, and the agent has killed what it ran for it: connect again.
 * The three kinds of trouble: a *fault* is `refused` or `bad-reply`; a *stumble* is `late`,
 * `aborted`, `lost` or `absent`; a *bug* (of the caller's) throws.
 */
import type { Duplex } from 'node:stream';

import { anySignal } from '@linstock/contract';
import { z } from 'zod';

import { ByteQueue } from './byte-queue.ts';
import { absent, agentVsockPort, connectUnix, connectVsock } from './connect.ts';
import type { Absent, Connected } from './connect.ts';
import type { Lost } from './lost.ts';
import { GuestExec, type ExecEnd, type ExecLine } from './exec.ts';
import { sayIssue, text } from './facts.ts';
import { encodeFrame, frameKinds, maxPayloadBytes } from './frame.ts';
import type { Frame, FrameDecoder, FrameKind } from './frame.ts';
import { parseJson, shakeHands, type GuestHello } from './handshake.ts';
import { parseReply, type GuestReplies, type GuestRequestBodies, type GuestRequestName } from './requests.ts';

export type GuestTarget =
  | { is: 'serial'; path: string } // QEMU's socket of the virtio-serial port
  | { is: 'vsock'; path: string; port?: number } // Firecracker's vsock socket
  | { is: 'stream'; stream: Duplex };

export type Answer<T> =
  | { is: 'ok'; value: T }
  | { is: 'refused'; code: string; message: string }
  | { is: 'bad-reply'; why: string }
  | { is: 'late'; afterMs: number }
  | { is: 'aborted' }
  | Lost;

export type Within = { signal?: AbortSignal; deadlineMs?: number };

export type ExecOptions = Within & {
  env?: Record<string, string>;
  cwd?: string;
  /** uid */
  user?: number;
  /** the agent kills the process's group after this; none by default */
  timeoutMs?: number;
  /** `none`, the default: the process reads end of file at once */
  stdin?: 'open' | 'none';
};

/** The same shape for success and failure. */
export type Ran = {
  argv: readonly string[];
  end: ExecEnd;
  /** the last `tailBytes` of each, bytes that are no UTF-8 replaced */
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  stderrBytes: number;
};

/** The handshake's patience: an agent answers in milliseconds, an emulated one in a boot storm in seconds. */
const connectDeadlineMs = 5_000;
const requestDeadlineMs = 10_000;
const maxReplyBytes = 2 * 1_048_576;
/** As in guest/agent/session.go: more would only be refused there. */
const maxStreams = 64;
/** Default of `run`: enough for the end of a log. */
const defaultTailBytes = 65_536;

export type Connection = { is: 'open'; channel: GuestChannel } | Absent;

/** One try. While a guest boots the answer is `absent`, and the caller looks again. */
export async function connectGuest(target: GuestTarget, within: Within = {}): Promise<Connection> {
  const deadlineMs = within.deadlineMs ?? connectDeadlineMs;
  const late = AbortSignal.timeout(deadlineMs);
  const signal = within.signal === undefined ? late : anySignal([late, within.signal]);
  const opened = await openTarget(target, signal);
  const shaken = opened.is === 'open' ? await shakeHands(opened.stream, target.is !== 'vsock', signal) : opened;
  if (shaken.is === 'open') return { is: 'open', channel: new GuestChannel(shaken) };
  if (shaken.why !== 'aborted' || within.signal?.aborted === true) return shaken;
  // Time was up: how far it came is the answer.
  const why = shaken.skippedBytes > 0 ? 'noise' : 'silent';
  return absent(why, `no answer in ${deadlineMs} ms, ${shaken.detail}`, shaken.skippedBytes);
}

function openTarget(target: GuestTarget, signal: AbortSignal): Promise<Connected> {
  switch (target.is) {
    case 'serial':
      return connectUnix(target.path, signal);
    case 'vsock':
      return connectVsock(target.path, target.port ?? agentVsockPort, signal);
    case 'stream':
      return Promise.resolve({ is: 'open', stream: target.stream });
  }
}

const replySchema = z.union([z.object({ error: z.object({ code: text(64), message: text(600) }) }), z.object({ ok: z.unknown() })]);
const exitSchema = z.object({
  code: z.int().min(0).max(255).nullable(),
  signal: text(16).nullable(),
  ms: z.int().min(0),
  timedOut: z.boolean(),
});
const startedSchema = z.object({ pid: z.int().min(1) });

/** What the channel keeps of one stream. */
type Side = {
  parts: ByteQueue;
  onReply: (body: unknown) => void;
  onLost: (lost: Lost) => void;
  exec: GuestExec | null;
};

export class GuestChannel {
  readonly hello: GuestHello;
  /** resolves when the channel is over, with the reason; also after `close` */
  readonly ended: Promise<Lost>;
  readonly #stream: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #sides = new Map<number, Side>();
  readonly #over = Promise.withResolvers<Lost>();
  #lost: Lost | null = null;
  #nextStream = 1;
  /** waits for the socket's buffer; `#wake` ends the wait, also when the channel ends */
  #drained: Promise<void> | null = null;
  #wake: (() => void) | null = null;

  /** Use `connectGuest`. */
  constructor(open: { stream: Duplex; decoder: FrameDecoder; hello: GuestHello; early: readonly Frame[] }) {
    this.hello = open.hello;
    this.ended = this.#over.promise;
    this.#stream = open.stream;
    this.#decoder = open.decoder;
    open.stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    open.stream.on('error', (error) => this.#end({ is: 'lost', why: 'hung-up', detail: error.message }));
    open.stream.on('close', () => this.#end({ is: 'lost', why: 'hung-up', detail: 'the line was closed' }));
    open.stream.on('end', () => this.#end({ is: 'lost', why: 'hung-up', detail: 'the line ended' }));
    for (const frame of open.early) this.#onFrame(frame);
    // it may have closed between the sync-ack and these listeners
    if (open.stream.destroyed) this.#end({ is: 'lost', why: 'hung-up', detail: 'the line was closed' });
  }

  /** Ends all streams; the agent kills what it ran for us. */
  close(): void {
    this.#end({ is: 'lost', why: 'closed', detail: 'closed by this side' });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async request<Name extends GuestRequestName>(
    name: Name,
    body: GuestRequestBodies[Name],
    within: Within = {},
  ): Promise<Answer<GuestReplies[Name]>> {
    const asked = this.#ask(name, body, null);
    if (asked.is !== 'asked') return asked;
    const answer = await this.#wait(asked, within);
    this.#sides.delete(asked.id);
    if (answer.is !== 'ok') return answer;
    const parsed = parseReply(name, answer.value);
    return parsed.is === 'ok' ? parsed : { is: 'bad-reply', why: parsed.why };
  }

  /** Answers when the process has started. `signal` reaches further: it kills the process. */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<Answer<GuestExec>> {
    const { signal, deadlineMs, stdin, ...rest } = options;
    const line: { id: number } = { id: 0 };
    const exec = new GuestExec(this.#lineOf(line));
    const asked = this.#ask('exec', { argv, ...rest }, exec);
    if (asked.is !== 'asked') return asked;
    line.id = asked.id;
    const answer = await this.#wait(asked, {
      ...(signal === undefined ? {} : { signal }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    const started = startedSchema.safeParse(answer.is === 'ok' ? answer.value : undefined);
    if (answer.is !== 'ok' || !started.success) {
      this.#send('cancel', asked.id);
      this.#sides.delete(asked.id);
      return answer.is === 'ok' ? { is: 'bad-reply', why: 'an exec without a pid' } : answer;
    }
    exec.started(started.data.pid);
    if (signal !== undefined) {
      const onAbort = (): void => this.#send('cancel', asked.id);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      void exec.exit.then(() => signal.removeEventListener('abort', onAbort));
    }
    if (stdin !== 'open') void exec.stdin.end();
    return { is: 'ok', value: exec };
  }

  /** exec to its end, with the tails of both outputs. */
  async run(argv: readonly string[], options: ExecOptions & { input?: Uint8Array; tailBytes?: number } = {}): Promise<Answer<Ran>> {
    const { input, tailBytes, ...rest } = options;
    const started = await this.exec(argv, {
      ...rest,
      stdin: input === undefined ? 'none' : 'open',
    });
    if (started.is !== 'ok') return started;
    const { stdout, stderr, stdin, exit } = started.value;
    const limit = tailBytes ?? defaultTailBytes;
    const fed = input === undefined ? undefined : stdin.write(input).then(() => stdin.end());
    const [out, err, end] = await Promise.all([tail(stdout, limit), tail(stderr, limit), exit, fed]);
    return {
      is: 'ok',
      value: {
        argv,
        end,
        stdout: out.text,
        stderr: err.text,
        stdoutBytes: out.bytes,
        stderrBytes: err.bytes,
      },
    };
  }

  #ask(name: string, body: unknown, exec: GuestExec | null): Asked | Exclude<Answer<never>, { is: 'ok' }> {
    if (this.#lost !== null) return this.#lost;
    if (this.#sides.size >= maxStreams) {
      return {
        is: 'refused',
        code: 'too-many-streams',
        message: `At most ${maxStreams} requests run at once.`,
      };
    }
    const payload = Buffer.from(JSON.stringify({ name, body }));
    if (payload.length > maxPayloadBytes) {
      return {
        is: 'refused',
        code: 'too-large',
        message: `A request may have ${maxPayloadBytes} bytes, this has ${payload.length}.`,
      };
    }
    const id = this.#nextStream;
    this.#nextStream += 1;
    const { promise, resolve } = Promise.withResolvers<Exclude<Waited, { is: 'late' | 'aborted' }>>();
    this.#sides.set(id, {
      parts: new ByteQueue(),
      exec,
      onReply: (raw) => resolve(readReply(raw)),
      onLost: (lost) => {
        resolve(lost);
        exec?.ended(lost);
      },
    });
    this.#send('request', id, payload);
    return { is: 'asked', id, reply: promise };
  }

  /** The reply, or why we stopped waiting; then the agent is told to stop too. */
  async #wait(asked: Asked, within: Within): Promise<Waited> {
    const afterMs = within.deadlineMs ?? requestDeadlineMs;
    const stop = Promise.withResolvers<Waited>();
    const onAbort = (): void => stop.resolve({ is: 'aborted' });
    const timer = setTimeout(() => stop.resolve({ is: 'late', afterMs }), afterMs);
    within.signal?.addEventListener('abort', onAbort, { once: true });
    if (within.signal?.aborted === true) onAbort();
    const answer = await Promise.race([asked.reply, stop.promise]);
    clearTimeout(timer);
    within.signal?.removeEventListener('abort', onAbort);
    if (answer.is === 'late' || answer.is === 'aborted') this.#send('cancel', asked.id);
    return answer;
  }

  #lineOf(line: { id: number }): ExecLine {
    return {
      credit: (of, bytes) => {
        const payload = Buffer.alloc(8);
        payload.writeUInt32BE(frameKinds[of], 0);
        payload.writeUInt32BE(bytes, 4);
        this.#sendTo(line.id, 'credit', payload);
      },
      stdin: async (bytes) => {
        this.#sendTo(line.id, 'stdin', bytes);
        await this.#drained;
      },
      closeStdin: () => this.#sendTo(line.id, 'stdin-close'),
      signal: (name) => this.#sendTo(line.id, 'signal', Buffer.from(JSON.stringify({ signal: name }))),
    };
  }

  /** Nothing is sent for a stream that ended. */
  #sendTo(id: number, kind: FrameKind, payload?: Uint8Array): void {
    if (this.#sides.has(id)) this.#send(kind, id, payload);
  }

  #send(kind: FrameKind, stream: number, payload: Uint8Array = Buffer.alloc(0)): void {
    if (this.#lost !== null) return;
    const flowing = this.#stream.write(encodeFrame({ kind, stream, more: false, payload }));
    if (flowing || this.#drained !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drained = promise;
    this.#wake = () => {
      this.#drained = null;
      this.#wake = null;
      resolve();
    };
    this.#stream.once('drain', () => this.#wake?.());
  }

  #onData(chunk: Buffer): void {
    if (this.#lost !== null) return;
    const { frames, broken } = this.#decoder.feed(chunk);
    for (const frame of frames) this.#onFrame(frame);
    // After the handshake the line is reliable: any damage means we do not understand each other.
    if (broken !== null || this.#decoder.badFrames > 0) {
      this.#end({
        is: 'lost',
        why: 'damage',
        detail: `${this.#decoder.badFrames} damaged frames, ${this.#decoder.garbageBytes} stray bytes`,
      });
    }
  }

  #onFrame({ kind, stream, more, payload }: Frame): void {
    if (this.#lost !== null) return;
    if (kind === 'lost') {
      this.#end({ is: 'lost', why: 'asked-to-sync', detail: sayLost(payload) });
      return;
    }
    if (stream === 0 || stream >= this.#nextStream) {
      this.#break(`a ${kind} on stream ${stream}, which never was`);
      return;
    }
    const side = this.#sides.get(stream);
    if (side === undefined) return; // it ended while this was on its way
    const { exec } = side;
    switch (kind) {
      case 'reply':
        side.parts.push(payload);
        if (side.parts.length > maxReplyBytes) this.#break('a reply without end');
        else if (!more) side.onReply(parseJson(side.parts.takeAll()));
        return;
      case 'stdout':
      case 'stderr':
        if (exec === null || !exec[kind].push(payload)) this.#break(`more ${kind} than there was credit for`);
        return;
      case 'exit':
        this.#onExit(stream, exec, payload);
        return;
      case 'credit':
        if (!goodCredit(exec, payload)) this.#break('credit that does not fit');
        return;
      case 'sync':
      case 'sync-ack':
      case 'request':
      case 'stdin':
      case 'stdin-close':
      case 'signal':
      case 'cancel':
        this.#break(`a ${kind}, which is not for hosts`);
        return;
    }
  }

  #onExit(stream: number, exec: GuestExec | null, payload: Uint8Array): void {
    const exit = exitSchema.safeParse(parseJson(payload));
    if (exec === null || !exit.success) {
      this.#break('an exit that does not fit');
      return;
    }
    const { code, signal, ms, timedOut } = exit.data;
    this.#sides.delete(stream);
    if (code !== null) exec.ended({ is: 'exited', code, ms, timedOut });
    else exec.ended({ is: 'signalled', signal: signal ?? 'unknown', ms, timedOut });
  }

  #break(detail: string): void {
    this.#end({ is: 'lost', why: 'broke-protocol', detail });
  }

  #end(lost: Lost): void {
    if (this.#lost !== null) return;
    this.#lost = lost;
    this.#stream.destroy();
    const sides = [...this.#sides.values()];
    this.#sides.clear();
    this.#wake?.();
    for (const side of sides) side.onLost(lost);
    this.#over.resolve(lost);
  }
}

type Waited = Answer<unknown>;
type Asked = { is: 'asked'; id: number; reply: Promise<Waited> };

function readReply(
  raw: unknown,
): { is: 'ok'; value: unknown } | { is: 'refused'; code: string; message: string } | { is: 'bad-reply'; why: string } {
  const reply = replySchema.safeParse(raw);
  if (!reply.success) return { is: 'bad-reply', why: sayIssue(reply.error) };
  if ('error' in reply.data) return { is: 'refused', ...reply.data.error };
  return { is: 'ok', value: reply.data.ok };
}

const lostSchema = z.object({ why: text(200) });

function sayLost(payload: Uint8Array): string {
  const lost = lostSchema.safeParse(parseJson(payload));
  return lost.success ? lost.data.why : 'without a reason';
}

/** The agent gives credit for stdin only. */
function goodCredit(exec: GuestExec | null, payload: Uint8Array): boolean {
  if (exec === null || payload.length !== 8) return false;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return view.getUint32(0) === frameKinds.stdin && exec.stdin.grant(view.getUint32(4));
}

async function tail(output: AsyncIterable<Uint8Array>, limit: number): Promise<{ text: string; bytes: number }> {
  const kept: Uint8Array[] = [];
  let held = 0;
  let bytes = 0;
  for await (const chunk of output) {
    kept.push(chunk);
    held += chunk.length;
    bytes += chunk.length;
    while (kept[0] !== undefined && held - kept[0].length >= limit) {
      held -= kept[0].length;
      kept.shift();
    }
  }
  return { text: Buffer.concat(kept).subarray(-limit).toString('utf8'), bytes };
}
