import type { Reply, RouteName } from '@linstock/contract';

/** What a handler gives back besides the document: nothing here knows HTTP frameworks. */
export type Answer<N extends RouteName> =
  | { is: 'document'; body: Reply<N>; status?: number; etag?: number; headers?: Record<string, string> }
  /** bytes, newline-delimited documents or server-sent events, produced as they are read */
  | { is: 'stream'; contentType: string; chunks: AsyncIterable<Uint8Array | string>; headers?: Record<string, string> };

export function document<N extends RouteName>(
  body: Reply<N>,
  more: { status?: number; etag?: number; headers?: Record<string, string> } = {},
): Answer<N> {
  return { is: 'document', body, ...more };
}
