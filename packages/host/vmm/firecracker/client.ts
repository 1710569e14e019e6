/**
 * The API of one Firecracker process over its Unix socket. Promises:
 * - an answer is a value (answers.ts); whatever a broken or hostile VMM sends, nothing but the caller's own abort is thrown;
 * - one connection, kept alive, one request at a time: Firecracker serves ten connections and one request at a time (micro_http src/server.rs);
 * - a body goes out with its Content-Length in one piece: chunks would be taken for the next request;
 * - our side stays open until the answer is read: Firecracker drops the answer of a half-closed connection;
 * - what the version does not know is refused here, in one sentence that names the version that does.
 *
 * node:http, because it is there and its parser is fuzzed; limits on size and time are ours.
 */
import { Agent, request, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { anySignal } from '@linstock/contract';
import { connectTo, type SocketPlace } from '../../tools/sockets.ts';
import { readAnswer, type Answer, type Refusal } from './answers.ts';
import { isRecord, refusalOfRequest } from './checks.ts';
import type { EndpointName } from './fields.ts';
import type { Version } from '@linstock/core';

/** What the API serves on a host under load: it answers in 1 ms when it is idle. */
const DEADLINE_MS = 3_000;
/** GET /vm/config of 18 devices has some 10 KB; MMDS may hold --mmds-size-limit, 51,200 bytes by default. */
const MAX_BODY_BYTES = 256 * 1024;
/** Its answers have five short headers. */
const MAX_HEADER_BYTES = 8 * 1024;

export type CallOptions = { deadlineMs?: number; signal?: AbortSignal };
export type InstanceState = 'Not started' | 'Running' | 'Paused';
export type Instance = { id: string; state: InstanceState; version: string };

/** Refused by us, before anything was sent. */
const unsent = (says: string): Refusal => ({ is: 'refused', kind: 'malformed', status: 0, says });

export class FirecrackerClient {
  readonly #version: Version;
  readonly #agent: Agent;
  #connected = false;
  /** An Agent counts only sockets that are connected, so its `maxSockets` alone would let several requests connect at once. */
  #lane: Promise<unknown> = Promise.resolve();

  constructor(parts: { place: SocketPlace; version: Version }) {
    this.#version = parts.version;
    this.#agent = new OneConnection(parts.place, () => (this.#connected = true));
  }

  /** Closes the connection. */
  close(): void {
    this.#agent.destroy();
  }

  async instance(options: CallOptions = {}): Promise<Answer<Instance>> {
    return shaped(await this.call('GET /', undefined, options), (value) => {
      const { id, state, vmm_version: version } = value;
      const isState = state === 'Not started' || state === 'Running' || state === 'Paused';
      return typeof id === 'string' && isState && typeof version === 'string' ? { id, state, version } : null;
    });
  }

  async setState(state: 'Paused' | 'Resumed', options: CallOptions = {}): Promise<Answer<unknown>> {
    return await this.call('PATCH /vm', { state }, options);
  }

  /** x86 only: the guest sees Ctrl-Alt-Del on its keyboard, if it has a driver for it. A yes says nothing about the effect. */
  async sendCtrlAltDel(options: CallOptions = {}): Promise<Answer<unknown>> {
    return await this.call('PUT /actions', { action_type: 'SendCtrlAltDel' }, options);
  }

  async flushMetrics(options: CallOptions = {}): Promise<Answer<unknown>> {
    return await this.call('PUT /actions', { action_type: 'FlushMetrics' }, options);
  }

  /** Any request of the table. The id in a path is the one in the body, or `id` where there is no body. */
  async call(name: EndpointName, body?: unknown, options: CallOptions & { id?: string } = {}): Promise<Answer<unknown>> {
    options.signal?.throwIfAborted();
    const refusal = refusalOfRequest(this.#version, name, body);
    if (refusal !== null) return unsent(refusal);
    const path = pathOf(name, body, options.id);
    if (path === null) return unsent(`${name} needs an id of letters, digits and _.`);
    const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
    const signal = options.signal === undefined ? deadline : anySignal([options.signal, deadline]);
    try {
      const method = name.slice(0, name.indexOf(' '));
      const { status, deprecated, text } = await this.#inTurn(signal, () => this.#exchange({ method, path, body, signal }));
      return readAnswer(status, deprecated, text);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (deadline.aborted) return { is: 'late' };
      return failure(error, this.#connected);
    }
  }

  /** One request after another; the deadline runs while a request waits for its turn. */
  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#lane;
    const mine = (async () => {
      await turn(before, signal);
      return await work();
    })();
    // whoever waits behind waits for the end of all before, not for their success
    this.#lane = Promise.allSettled([before, mine]);
    return await mine;
  }

  #exchange(order: { method: string; path: string; body: unknown; signal: AbortSignal }): Promise<Exchange> {
    const payload = order.body === undefined ? null : Buffer.from(JSON.stringify(order.body));
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        method: order.method,
        path: order.path,
        host: 'localhost',
        signal: order.signal,
        maxHeaderSize: MAX_HEADER_BYTES,
        headers: {
          accept: 'application/json',
          ...(payload === null ? {} : { 'content-type': 'application/json', 'content-length': payload.length }),
        },
      });
      outgoing.on('response', (incoming) => void wholeBody(incoming).then(resolve, reject));
      // an upgrade is no answer to anything that we ask
      outgoing.on('upgrade', (_, socket) => {
        socket.destroy();
        reject(new Unreadable('it wants to speak another protocol'));
      });
      outgoing.on('error', reject);
      outgoing.end(payload ?? undefined);
    });
  }
}

function turn(before: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const leave = (): void => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    void before.then(() => {
      signal.removeEventListener('abort', leave);
      resolve();
    });
  });
}

type Exchange = { status: number; deprecated: boolean; text: string };

class Unreadable extends Error {}

async function wholeBody(incoming: IncomingMessage): Promise<Exchange> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) throw new Unreadable(`an answer of more than ${MAX_BODY_BYTES} bytes`); // leaving the loop destroys it
    parts.push(part);
  }
  return {
    status: incoming.statusCode ?? 0,
    deprecated: incoming.headers['deprecation'] !== undefined,
    text: Buffer.concat(parts).toString('utf8'),
  };
}

/** By errno and by the parser's codes, never by text. */
function failure(error: unknown, wasConnected: boolean): Answer<never> {
  if (error instanceof Unreadable) return { is: 'broken', why: error.message };
  const code = String((error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown');
  if (code.startsWith('HPE_')) return { is: 'broken', why: `not HTTP (${code})` };
  return { is: 'gone', why: wasConnected ? `it hung up (${code})` : `nobody listens (${code})` };
}

function shaped<T>(answer: Answer<unknown>, read: (value: Readonly<Record<string, unknown>>) => T | null): Answer<T> {
  if (answer.is !== 'ok') return answer;
  const value = isRecord(answer.value) ? read(answer.value) : null;
  return value === null ? { is: 'broken', why: 'a 200 with another body than was asked for' } : { ...answer, value };
}

/** Firecracker takes the query for a part of the path, and ids are the only variable part: `{drive_id}`, `{iface_id}`, `{id}`. */
function pathOf(name: EndpointName, body: unknown, given: string | undefined): string | null {
  const path = name.slice(name.indexOf(' ') + 1);
  const field = /\{(\w+)\}/.exec(path)?.[1];
  if (field === undefined) return path;
  const id = isRecord(body) ? body[field] : given;
  return typeof id === 'string' && /^\w{1,64}$/.test(id) ? path.replace(`{${field}}`, id) : null;
}

class OneConnection extends Agent {
  readonly #place: SocketPlace;
  readonly #onConnect: () => void;
  constructor(place: SocketPlace, onConnect: () => void) {
    super({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    this.#place = place;
    this.#onConnect = onConnect;
  }
  override createConnection(options: { signal?: AbortSignal }, ready?: (error: Error | null, socket: Duplex) => void): null {
    const none = undefined as unknown as Duplex;
    connectTo(this.#place, options.signal ?? AbortSignal.timeout(DEADLINE_MS)).then(
      (socket) => {
        this.#onConnect();
        // it may have died while it was on its way here, and a request on a dead socket hears nothing
        if (socket.destroyed) ready?.(socket.errored ?? Object.assign(new Error('it hung up'), { code: 'ECONNRESET' }), none);
        else ready?.(null, socket);
      },
      (error: unknown) => ready?.(error instanceof Error ? error : new Error('not connected', { cause: error }), none),
    );
    return null;
  }
}
