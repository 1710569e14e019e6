import type { z } from 'zod';
import { faults, type FaultCode } from './faults.ts';
import { commonFaults, routes, type Route } from './routes.ts';
import { jsonSchemaOf } from './schema.ts';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of the API: output for others, made from the route table and committed as `docs/openapi.json`. */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(name, route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Linstock',
      version,
      summary: 'Boots microVMs and proves it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: { schemas: { Problem: problemSchema } },
  };
}

const mediaOf: Record<Route['shape'], string> = {
  json: 'application/json',
  bytes: 'application/octet-stream',
  events: 'application/json',
  frames: 'application/x-ndjson',
};

function operation(name: string, route: Route): Json {
  const success = {
    description: route.doc.onSuccess,
    content: { [mediaOf[route.shape]]: { schema: jsonSchemaOf(route.reply, 'output') } },
  };
  const hasBody = route.method === 'POST' && Object.keys((route.body as z.ZodObject).shape ?? {}).length > 0;
  return {
    operationId: name,
    tags: [name.split('.')[0]],
    summary: route.doc.onSuccess,
    description: `Needs: ${route.doc.needs} On success: ${route.doc.onSuccess} On failure: ${route.doc.onFailure}`,
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query'), ...headers(route)],
    ...(hasBody ? { requestBody: { required: true, content: { 'application/json': { schema: jsonSchemaOf(route.body, 'input') } } } } : {}),
    responses: {
      [route.status]: success,
      ...('until' in route.query.shape && route.status !== 200 ? { 202: success } : {}),
      ...problems([...commonFaults, ...route.faults]),
    },
  };
}

function parameters(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const whole = jsonSchemaOf(schema, 'input') as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(whole.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || (whole.required ?? []).includes(name),
    schema: property,
  }));
}

function headers(route: Route): Json[] {
  if (route.method === 'GET') return [];
  const text = { type: 'string' };
  return [
    {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      schema: text,
      description: 'The same key with the same body gives the same answer for 24 hours.',
    },
    { name: 'If-Match', in: 'header', required: false, schema: text, description: 'The resource version this change is meant for.' },
    {
      name: 'Prefer',
      in: 'header',
      required: false,
      schema: text,
      description: '`wait=SECONDS`: answer when the goal of `until` is reached, or after that time with 202.',
    },
  ];
}

function problems(codes: readonly FaultCode[]): Json {
  const byStatus = new Map<number, FaultCode[]>();
  for (const code of new Set(codes)) byStatus.set(faults[code].http, [...(byStatus.get(faults[code].http) ?? []), code]);
  return Object.fromEntries(
    [...byStatus]
      .toSorted(([a], [b]) => a - b)
      .map(([status, list]) => [
        status,
        { description: list.join(', '), content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
      ]),
  );
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: { type: 'string', description: 'a heading in docs/errors.md' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'what, why, what to do' },
    instance: { type: 'string' },
    code: { type: 'string', enum: Object.keys(faults) },
    family: { type: 'string' },
    retry: { type: 'string', enum: ['never', 'later', 'after-change'] },
    requestId: { type: 'string' },
    data: { type: 'object' },
    errors: { type: 'array', items: { type: 'object', properties: { pointer: { type: 'string' }, message: { type: 'string' } } } },
  },
};
