import { createHash, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { faults, FaultError, openApi, routes, type Call, type Fault, type Problem, type Route, type RouteName } from '@linstock/contract';
import type { z } from 'zod';
import { stumbleOf } from '../engine.ts';
import type { Answer } from './answer.ts';
import type { Caller } from './caller.ts';

/** A route in the contract without a handler does not compile; neither does the opposite. */
export type Handlers = { [N in RouteName]: (call: Call<N>, caller: Caller) => Promise<Answer<N>> };

export type AppParts = {
  handlers: Handlers;
  version: string;
  /** bearer token that every call but health needs; null = none (tests) */
  token: string | null;
  nextRequestId(): string;
  log(entry: { requestId: string; method: string; path: string; status: number; ms: number; error?: unknown }): void;
  now(): number;
  /** fires when the controller stops: from then on nothing new is begun */
  stopping: AbortSignal;
};

/** Largest request body: boot arguments and exec environments are small. */
const bodyLimit = 1_048_576;
/** Longest wait one request may ask for; clients ask again. */
const longestWaitMs = 600_000;

/** The API as a function from request to response; `inject` runs it without a socket. */
export function buildApp(parts: AppParts): FastifyInstance {
  const app = fastify({
    bodyLimit,
    logger: false,
    forceCloseConnections: true,
    genReqId: () => parts.nextRequestId(),
    routerOptions: { maxParamLength: 100 },
  });
  const started = new WeakMap<FastifyRequest, number>();
  app.addHook('onRequest', async (request, reply) => {
    started.set(request, parts.now());
    void reply.header('x-request-id', request.id);
    if (parts.stopping.aborted) throw new FaultError('shutting-down');
  });
  app.addHook('onResponse', async (request, reply) => {
    parts.log({
      requestId: request.id,
      method: request.method,
      path: request.url,
      status: reply.statusCode,
      ms: parts.now() - (started.get(request) ?? parts.now()),
    });
  });
  app.removeContentTypeParser('text/plain'); // a body is JSON or it is a mistake
  app.setErrorHandler(async (error, request, reply) => {
    const fault = faultOfError(error, request);
    if (fault.code === 'bug') parts.log({ requestId: request.id, method: request.method, path: request.url, status: 500, ms: 0, error });
    return problem(reply, request, fault, FaultError.is(error) && 'errors' in error ? (error.errors as Problem['errors']) : undefined);
  });
  app.setNotFoundHandler(async (request, reply) =>
    problem(reply, request, { code: 'route-unknown', data: { method: request.method, path: request.url.split('?')[0] ?? '' } }),
  );
  app.get('/openapi.json', async () => openApi(parts.version));
  for (const name of Object.keys(routes) as RouteName[]) addRoute(app, parts, name);
  return app;
}

function addRoute<N extends RouteName>(app: FastifyInstance, parts: AppParts, name: N): void {
  const route: Route = routes[name];
  app.route({
    method: route.method,
    url: route.path,
    handler: async (request, reply) => {
      if (name !== 'health.show') authorise(request, parts.token);
      const call = {
        params: parse(route.params, request.params, 'path'),
        query: parse(route.query, request.query, 'query'),
        body: route.method === 'GET' ? undefined : parse(route.body, request.body ?? {}, 'body'),
      } as Call<N>;
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const answer = await parts.handlers[name](call, callerOf(request, name, gone.signal));
      for (const [key, value] of Object.entries(answer.headers ?? {})) void reply.header(key, value);
      if (answer.is === 'stream')
        return reply
          .type(answer.contentType)
          .header('cache-control', 'no-store')
          .send(Readable.from(answer.chunks, { objectMode: false }));
      if (answer.etag !== undefined) void reply.header('etag', `"${answer.etag}"`);
      return reply.status(answer.status ?? route.status).send(answer.body);
    },
  });
}

function callerOf(request: FastifyRequest, name: RouteName, signal: AbortSignal): Caller {
  const header = (key: string): string | null => {
    const value = request.headers[key];
    return typeof value === 'string' ? value : null;
  };
  const key = header('idempotency-key');
  if (key !== null && !/^[\x21-\x7e]{1,128}$/.test(key))
    throw invalid('header', [{ pointer: '/headers/idempotency-key', message: 'must have 1 to 128 visible ASCII characters' }]);
  const match = header('if-match');
  const version = match === null ? null : /^"?(\d{1,15})"?$/.exec(match)?.[1];
  if (version === undefined)
    throw invalid('header', [{ pointer: '/headers/if-match', message: 'must be the ETag of the resource, e.g. "12"' }]);
  const wait = /(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])/.exec(header('prefer') ?? '')?.[1];
  const last = /^\d{1,15}$/.exec(header('last-event-id') ?? '')?.[0];
  const path = request.url.split('?')[0] ?? '';
  return {
    who: 'local',
    requestId: request.id,
    signal,
    waitMs: wait === undefined ? 0 : Math.min(Number(wait) * 1000, longestWaitMs),
    ifMatch: version === null ? null : Number(version),
    once:
      key === null
        ? null
        : {
            scope: `local ${name} ${path} ${key}`,
            key,
            bodyHash: createHash('sha256')
              .update(JSON.stringify(request.body ?? null))
              .digest('hex'),
          },
    lastEventId: last === undefined ? null : Number(last),
    wantsStream: (header('accept') ?? '').includes('text/event-stream'),
  };
}

function authorise(request: FastifyRequest, token: string | null): void {
  if (token === null) return;
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  if (!timingSafeEqual(hash(given), hash(token))) throw new FaultError('not-authorised');
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(
    where,
    result.error.issues.slice(0, 20).flatMap((issue) => {
      const at = `/${where}${issue.path.map((p) => `/${String(p)}`).join('')}`;
      if (issue.code === 'unrecognized_keys')
        return issue.keys.map((key) => ({ pointer: `${at}/${key}`, message: 'is not a field of this request; check its spelling' }));
      return [{ pointer: at, message: issue.message }];
    }),
  );
}

function invalid(where: string, errors: readonly { pointer: string; message: string }[]): FaultError {
  const problems = errors.map((e) => `${e.pointer.replace(`/${where}/`, '')} ${e.message}`).join('; ');
  return Object.assign(new FaultError('request-invalid', { problems: problems.slice(0, 2000) }), { errors });
}

function faultOfError(error: unknown, request: FastifyRequest): Fault {
  if (FaultError.is(error)) return error.fault;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return { code: 'request-too-large', data: { limit: bodyLimit } };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return { code: 'request-not-json', data: { hint: 'send Content-Type: application/json' } };
  // Fastify's own JSON errors are SyntaxErrors with a status; one from our code has none and is a bug
  if (code.startsWith('FST_ERR_CTP') || (error instanceof SyntaxError && 'statusCode' in error))
    return { code: 'request-not-json', data: { hint: error instanceof Error ? error.message.slice(0, 200) : 'unreadable' } };
  try {
    return stumbleOf(error, `${request.method} ${request.url.split('?')[0] ?? ''}`);
  } catch {
    return { code: 'bug', data: { requestId: request.id } }; // the log has the error itself
  }
}

function problem(reply: FastifyReply, request: FastifyRequest, fault: Fault, errors?: Problem['errors']): FastifyReply {
  const kind = faults[fault.code];
  const body: Problem = {
    type: `/docs/errors.md#${fault.code}`,
    title: fault.code,
    status: kind.http,
    detail: new FaultError(fault.code, fault.data).message,
    instance: request.url.split('?')[0] ?? '',
    code: fault.code,
    family: kind.family,
    retry: kind.retry,
    requestId: request.id,
    data: fault.data,
    ...(errors ? { errors } : {}),
  };
  return reply.status(kind.http).type('application/problem+json').send(body);
}
