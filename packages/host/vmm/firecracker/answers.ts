/**
 * What an answer of Firecracker means. Pure; any bytes give a value. There are two layers that refuse, with bodies of their own:
 * the API, `{"fault_message": "…"}`, and the HTTP layer, `{ "error": "…⏎…" }` with a raw line feed in the text, which is not JSON.
 */
import { cleanText } from '@linstock/core';

/**
 * Why the API said no. Nearly every refusal is a 400, so the phase and the first words of its sentence are all there is to tell them apart;
 * those words are the same from 1.9.1 to 1.16.1 (vmm/src/rpc_interface.rs VmmActionError).
 */
export type RefusalKind =
  /** over ten connections: ours or somebody else's; the request was not looked at */
  | 'too-many-connections'
  /** we spoke wrongly: JSON, path, a field that this version lacks */
  | 'malformed'
  | 'too-large'
  /** not before, or not after, the start */
  | 'wrong-phase'
  /** a section of the configuration, with the host or the guest to blame */
  | 'configuration'
  | 'start'
  | 'snapshot'
  | 'other';

const prefixes: readonly (readonly [prefix: string, kind: RefusalKind])[] = [
  ['The requested operation is not supported ', 'wrong-phase'],
  ['An error occurred when deserializing the json body of a request', 'malformed'],
  ['Invalid request method and/or path', 'malformed'],
  ['Unrecognized ', 'malformed'],
  ['API Resource IDs can only contain', 'malformed'],
  ['The id from the path does not match', 'malformed'],
  ['Empty ', 'malformed'],
  ['Start microvm error', 'start'],
  ['Load snapshot error', 'snapshot'],
  ['Create snapshot error', 'snapshot'],
  ['Balloon config error', 'configuration'],
  ['Boot source error', 'configuration'],
  ['Drive config error', 'configuration'],
  ['Entropy', 'configuration'],
  ['Logger error', 'configuration'],
  ['Machine config error', 'configuration'],
  ['Metrics error', 'configuration'],
  ['Network config error', 'configuration'],
  ['Vsock config error', 'configuration'],
];

export type Refusal = { is: 'refused'; kind: RefusalKind; status: number; says: string };
export type Answer<T> =
  | { is: 'ok'; value: T; deprecated: boolean }
  | Refusal
  /** nobody listens, or the other side went away before it answered: the process has ended, is ending, or has not begun */
  | { is: 'gone'; why: string }
  /** no answer within the deadline; the API serves one request after another, so a snapshot makes all others late */
  | { is: 'late' }
  /** an answer that cannot be read, or is longer than any answer to this question */
  | { is: 'broken'; why: string };

/** The longest sentence of Firecracker's, the TAP one, has 230 characters. */
const mostSentence = 1_000;

export function readAnswer(status: number, deprecated: boolean, body: string): Answer<unknown> {
  if (status === 204) return { is: 'ok', value: null, deprecated };
  const value = parsed(body);
  if (status === 200) {
    return value === undefined ? { is: 'broken', why: 'a 200 whose body is not JSON' } : { is: 'ok', value: value.json, deprecated };
  }
  if (status < 400 || status > 599) return { is: 'broken', why: `status ${status}` };
  const says = sentenceIn(value?.json, body);
  return { is: 'refused', status, says, kind: kindOf(status, says, value?.json) };
}

function kindOf(status: number, says: string, json: unknown): RefusalKind {
  if (status === 503) return 'too-many-connections';
  if (status === 413) return 'too-large';
  if (typeof (json as { fault_message?: unknown } | undefined)?.fault_message !== 'string') return 'malformed'; // the HTTP layer
  return prefixes.find(([prefix]) => says.startsWith(prefix))?.[1] ?? 'other';
}

function sentenceIn(json: unknown, body: string): string {
  const record = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  const own = record['fault_message'] ?? record['error'];
  // what is not JSON: { "error": "…⏎All previous unanswered requests will be dropped." }
  const words = typeof own === 'string' ? own : body.replaceAll(/^\s*\{\s*"error":\s*"|"\s*\}\s*$/g, '');
  const clean = cleanText(words, mostSentence).trim();
  return clean === '' ? 'It said nothing.' : clean;
}

function parsed(body: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(body) as unknown };
  } catch {
    // Expected of the HTTP layer, and of a broken VMM: the caller decides by the status.
    return undefined;
  }
}
