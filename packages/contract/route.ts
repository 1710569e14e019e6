import { z } from 'zod';
import type { FaultCode } from './faults.ts';

/** What the table of routes says of each. */
export type Route = {
  method: 'GET' | 'POST' | 'DELETE';
  path: `/v1/${string}` | '/metrics';
  params: z.ZodObject;
  query: z.ZodObject;
  body: z.ZodType;
  reply: z.ZodType;
  /** what success is; a wish answers 202 when `Prefer: wait` ran out before its goal */
  status: 200 | 201 | 202;
  /** `json`: one document; `bytes`: raw text; `events`: server-sent events; `frames`: newline-delimited JSON both ways */
  shape: 'json' | 'bytes' | 'events' | 'frames';
  faults: readonly FaultCode[];
  /** the three sentences a caller needs */
  doc: { needs: string; onSuccess: string; onFailure: string };
};

/** What many routes have in common. */
export const none = z.strictObject({});
export const byId = z.strictObject({ id: z.string().max(80) });
export const read = { method: 'GET', body: none, status: 200, shape: 'json' } as const satisfies Partial<Route>;
export const found: readonly FaultCode[] = ['not-found', 'name-ambiguous'];
