/**
 * One request and its answer over TCP or a unix socket. Promises:
 * - a 4xx or 5xx reply is thrown as the FaultError it carries, with the request id;
 * - no answer, or an answer that is not ours, is FaultError('daemon-unreachable');
 * - an aborted signal is thrown as its own reason;
 * - no reply is read beyond a limit.
 */
import { anySignal, FaultError } from '@linstock/contract';
import { Agent, request, type Dispatcher } from 'undici';
import { faultOfReply } from './problem.ts';

export type TransportOptions = {
  url: string;
  unixSocket?: string;
  token?: string;
  signal?: AbortSignal;
  maxReplyBytes?: number;
};

export type Sent = {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
  /** how long the controller may hold the answer on purpose, `ms` */
  heldMs?: number;
  /** longest silence inside the body, `ms`; 0 for a stream that may be quiet for ever */
  quietMs?: number;
};

export type Answer = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: AsyncIterable<Uint8Array> & { destroy(): unknown };
};

/** What a controller under load needs to begin an answer that it does not hold on purpose. */
const HEADERS_MS = 60_000;
const QUIET_MS = 60_000;
/** 500 VMs or 100 boots with their proofs are a few MiB; anything beyond this is not our API. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;
const MAX_PROBLEM_BYTES = 1024 * 1024;

export class Transport {
  readonly #agent: Agent;
  readonly #origin: string;
  readonly #where: string;
  readonly #headers: Record<string, string>;
  readonly #signal: AbortSignal | undefined;
  readonly #maxReplyBytes: number;

  constructor(o: TransportOptions) {
    this.#agent = new Agent(o.unixSocket === undefined ? {} : { connect: { socketPath: o.unixSocket } });
    this.#origin = new URL(o.url).origin;
    this.#where = o.unixSocket ?? this.#origin;
    this.#headers = o.token === undefined ? {} : { authorization: `Bearer ${o.token}` };
    this.#signal = o.signal;
    this.#maxReplyBytes = o.maxReplyBytes ?? MAX_REPLY_BYTES;
  }

  /** The signal that ends a call: the caller's, the client's, or both. */
  signalFor(own: AbortSignal | undefined): AbortSignal | undefined {
    if (own === undefined || this.#signal === undefined) return own ?? this.#signal;
    return anySignal([own, this.#signal]);
  }

  async send(o: Sent): Promise<Answer> {
    const signal = this.signalFor(o.signal);
    signal?.throwIfAborted();
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(this.#origin + o.path, {
        dispatcher: this.#agent,
        method: o.method,
        headers: { ...this.#headers, ...o.headers },
        body: o.body ?? null,
        headersTimeout: HEADERS_MS + (o.heldMs ?? 0),
        bodyTimeout: o.quietMs ?? QUIET_MS,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw this.#translated(error, signal);
    }
    const body = this.#guarded(answer.body, signal);
    if (answer.statusCode < 400) return { status: answer.statusCode, headers: answer.headers, body };
    const text = await readText(body, MAX_PROBLEM_BYTES);
    const header = answer.headers['x-request-id'];
    const fault = text === null ? null : faultOfReply(parsed(text), typeof header === 'string' ? header : undefined);
    throw fault ?? this.#alien(`something that is not Linstock answered with status ${answer.statusCode}`);
  }

  /** A whole JSON document. It is not checked against its schema: an older client must survive a newer controller. */
  async json(o: Sent): Promise<{ answer: Answer; document: unknown }> {
    const answer = await this.send(o);
    const text = await readText(answer.body, this.#maxReplyBytes);
    if (text === null) throw this.#alien(`the answer has more than ${this.#maxReplyBytes} bytes`);
    const document = parsed(text);
    if (document === undefined) throw this.#alien('the answer is not JSON');
    return { answer, document };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  #guarded(body: Dispatcher.ResponseData['body'], signal: AbortSignal | undefined): Answer['body'] {
    const translated = (error: unknown): unknown => this.#translated(error, signal);
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of body) yield chunk as Uint8Array;
      } catch (error) {
        throw translated(error);
      }
    }
    const iterator = chunks();
    return { [Symbol.asyncIterator]: () => iterator, destroy: () => body.on('error', ignoreLate).destroy() };
  }

  #translated(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
    if (code === null) return error; // no system error and none of undici's: our own mistake, it must stay visible
    return this.#alien(meaning[code] ?? code, error);
  }

  #alien(hint: string, cause?: unknown): FaultError {
    return new FaultError('daemon-unreachable', { url: this.#where, hint }, { cause });
  }
}

const meaning: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused',
  ENOENT: 'the socket does not exist',
  EACCES: 'this user may not open the socket',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'the name is unknown',
  EHOSTUNREACH: 'no way leads there',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped in the middle',
};

/** After destroy() undici may still report the abort on the body; nobody is left to be told. */
function ignoreLate(): void {}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON is an answer the callers name themselves
  }
}

/** The whole text, or null when it is longer than allowed. */
async function readText(body: Answer['body'], most: number): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > most) {
      body.destroy();
      return null;
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
