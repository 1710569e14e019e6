import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_HEAD_BYTES, parseHead } from './http-head.ts';

const head = (text: string): ReturnType<typeof parseHead> => parseHead(Buffer.from(text, 'latin1'));

describe('the head of an HTTP answer', () => {
  test('status, headers and where the body begins', () => {
    const text = 'HTTP/1.1 200 OK\r\nServer: x\r\nX-Two: a\r\nx-two:  b \r\n\r\n';
    const found = head(`${text}body`);
    expect(found).toMatchObject({ is: 'head', status: 200, line: 'HTTP/1.1 200 OK', bytes: text.length });
    expect(found.is === 'head' && [...found.headers]).toEqual([
      ['server', 'x'],
      ['x-two', 'a, b'],
    ]);
  });

  test.each([
    ['nothing yet', ''],
    ['half a word', 'HTT'],
    ['no end yet', 'HTTP/1.1 200 OK\r\nServer: x\r\n'],
  ])('%s: incomplete', (_, text) => {
    expect(head(text)).toEqual({ is: 'incomplete' });
  });

  test.each([
    ['HTTP/1.0 404\r\n\r\n', 404],
    ['HTTP/1.1 101 Switching Protocols\n\n', 101],
    ['HTTP/1.1 500 \r\n\r\n', 500],
  ])('%j has status %d', (text, status) => {
    expect(head(text)).toMatchObject({ is: 'head', status });
  });

  test.each([
    ['another protocol', 'SSH-2.0-dropbear\r\n', /begin/],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n', /begin/],
    ['no number', 'HTTP/1.1 OK\r\n\r\n', /status line/],
    ['a status that is none', 'HTTP/1.1 999 x\r\n\r\n', /status line/],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nhello\r\n\r\n', /header line/],
    ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', /header line/],
    ['a lone carriage return', 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n', /header line/],
    ['too many headers', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(101)}\r\n`, /more than 100/],
    ['no end within the limit', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(MOST_HEAD_BYTES)}`, /no end within/],
    ['an end beyond the limit', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(MOST_HEAD_BYTES)}\r\n\r\n`, /no end within/],
  ])('%s: garbage', (_, text, why) => {
    const found = head(text);
    expect(found.is === 'garbage' && found.why).toMatch(why);
  });

  test('never throws, and more bytes never turn garbage into a head', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .array(fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\n', '\r', ':', 'a: b', ' ', '\0', 'é'), { maxLength: 40 })
        .map((parts) => Buffer.from(parts.join(''), 'latin1')),
    );
    fc.assert(
      fc.property(bytes, bytes, (first, more) => {
        const before = parseHead(first);
        const after = parseHead(Buffer.concat([first, more]));
        if (before.is === 'garbage') expect(after.is).toBe('garbage');
        if (before.is === 'head') expect(after).toEqual(before);
      }),
    );
  });
});
