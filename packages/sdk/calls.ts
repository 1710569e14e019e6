/**
 * The route table seen from the caller's side: names of routes, what each wants, what each answers. Types are inferred,
 * nothing is generated, and the only behaviour is making one HTTP request out of one call.
 */
import { routes, type CallInput, type Reply, type Route, type RouteName, type Routes } from '@linstock/contract';
import type { Answer, Sent, Transport } from './transport.ts';

/** Routes that answer one JSON document. */
export type JsonRouteName = { [N in RouteName]: Routes[N]['shape'] extends 'json' | 'events' ? N : never }[RouteName];

type OptionalKeys<T> = { [K in keyof T]: {} extends T[K] ? K : never }[keyof T];
/** What must be given of params, query and body; a part without required fields may be left out. */
export type Input<N extends RouteName> = Omit<CallInput<N>, OptionalKeys<CallInput<N>>> &
  Partial<Pick<CallInput<N>, OptionalKeys<CallInput<N>>>>;

export type CallOptions = {
  signal?: AbortSignal;
  /** `Prefer: wait=`: how long the controller may hold the answer for the goal of `until` */
  waitSeconds?: number;
  /** one is made for every POST and DELETE; give your own to repeat a request safely across processes */
  idempotencyKey?: string;
  /** the resource version this change is meant for */
  ifMatch?: number;
};

export function signalOf(options: { signal?: AbortSignal | undefined }): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

export type EventOptions = {
  /** sequence number after which to begin; 0 is the oldest kept */
  after?: number;
  /** go on with what happens from now on */
  follow?: boolean;
  subject?: string;
  signal?: AbortSignal;
};

type Parts = { params?: object; query?: object; body?: unknown };

/** Path with its parameters and query filled in. Pure. */
export function pathOf(route: Route, parts: Parts): string {
  const params = new Map(Object.entries(parts.params ?? {}));
  const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value: unknown = params.get(name);
    // an empty segment would name another route
    if (typeof value !== 'string' || value === '') throw new TypeError(`${route.path} needs ${name}`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parts.query ?? {})) if (value !== undefined && value !== null) query.append(key, String(value));
  return query.size === 0 ? path : `${path}?${query.toString()}`;
}

export function sentOf(name: RouteName, parts: Parts, options: CallOptions): Sent {
  const route: Route = routes[name];
  const headers: Record<string, string> = { accept: accepts[route.shape] };
  if (route.method !== 'GET') headers['idempotency-key'] = options.idempotencyKey ?? crypto.randomUUID();
  if (options.ifMatch !== undefined) headers['if-match'] = `"${options.ifMatch}"`;
  if (options.waitSeconds !== undefined) headers['prefer'] = `wait=${options.waitSeconds}`;
  if (parts.body !== undefined) headers['content-type'] = 'application/json';
  return {
    method: route.method,
    path: pathOf(route, parts),
    headers,
    ...(parts.body === undefined ? {} : { body: JSON.stringify(parts.body) }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.waitSeconds === undefined ? {} : { heldMs: options.waitSeconds * 1000 }),
  };
}

const accepts: Record<Route['shape'], string> = {
  json: 'application/json, application/problem+json',
  events: 'application/json, application/problem+json', // the list; a follower asks for text/event-stream
  bytes: 'application/octet-stream, application/problem+json',
  frames: 'application/x-ndjson, application/problem+json',
};

/** The typed door over a transport; everything hand-written goes through it. */
export class Calls {
  readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  async json<N extends JsonRouteName>(name: N, input: Input<N>, options: CallOptions = {}, heldMs?: number): Promise<Reply<N>> {
    const sent = sentOf(name, input, options);
    const { document } = await this.transport.json(heldMs === undefined ? sent : { ...sent, heldMs });
    return document as Reply<N>; // the contract's promise; not validated, so that added fields never break a client
  }

  async stream<N extends RouteName>(
    name: N,
    input: Input<N>,
    options: CallOptions & { headers?: Record<string, string>; quietMs?: number } = {},
  ): Promise<Answer> {
    const sent = sentOf(name, input, options);
    return this.transport.send({ ...sent, headers: { ...sent.headers, ...options.headers }, quietMs: options.quietMs ?? 0 });
  }
}
