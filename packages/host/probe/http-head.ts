/**
 * The head of an HTTP/1.x answer from a hostile peer: status line and headers, with limits; the body is of no interest. Pure, never throws.
 *
 * Why not undici or node:http: both fold "closed without a word" and "reset" into one error, and tell garbage from a flood by error text;
 * the probe needs each as a meaning of its own, and this much of HTTP is small.
 */
export type Head =
  /** nothing wrong so far, more bytes are needed */
  | { is: 'incomplete' }
  | { is: 'garbage'; why: string }
  /** `bytes`: where the body begins. Header names are in lower case; a repeated header is joined by `, `. */
  | { is: 'head'; status: number; line: string; headers: ReadonlyMap<string, string>; bytes: number };

/** What Node's own parser and nginx allow by default is 16 KiB and 8 KiB. */
export const MOST_HEAD_BYTES = 16 * 1024;
const MOST_HEADERS = 100;
const START = Buffer.from('HTTP/1.');

export function parseHead(bytes: Uint8Array): Head {
  const seen = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const known = Math.min(seen.length, START.length);
  if (!seen.subarray(0, known).equals(START.subarray(0, known))) return { is: 'garbage', why: 'the answer does not begin with HTTP/1.' };
  const text = seen.subarray(0, MOST_HEAD_BYTES).toString('latin1');
  const end = /\r?\n\r?\n/.exec(text);
  if (end === null) {
    return seen.length < MOST_HEAD_BYTES
      ? { is: 'incomplete' }
      : { is: 'garbage', why: `the HTTP head has no end within ${MOST_HEAD_BYTES} bytes` };
  }
  const [line = '', ...lines] = text.slice(0, end.index).split(/\r?\n/);
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [^\r]*)?$/.exec(line)?.[1];
  if (status === undefined) return { is: 'garbage', why: 'the status line is malformed' };
  if (lines.length > MOST_HEADERS) return { is: 'garbage', why: `the HTTP head has more than ${MOST_HEADERS} headers` };
  const headers = new Map<string, string>();
  for (const one of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\0]*)$/.exec(one);
    if (match?.[1] === undefined || match[2] === undefined) return { is: 'garbage', why: 'a header line is malformed' };
    const name = match[1].toLowerCase();
    const value = match[2].trimEnd();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { is: 'head', status: Number(status), line: line.trimEnd(), headers, bytes: end.index + end[0].length };
}
