/**
 * The client against a VMM that answers whatever it likes, in pieces, several times, without end, or not at all: each call settles with an
 * answer, its connection goes when the client does, and what never ends is not taken in for long.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import type { Answer } from './answers.ts';
import { FirecrackerClient } from './client.ts';
import { parseVersion, type Version } from '@linstock/core';

const version = parseVersion('1.16.1') as Version;
/** What never answers costs this much of the test's time. */
const deadlineMs = 25;
/** The client's own limit is 256 KiB; the rest is what two sockets and one read hold. */
const mostTakenBytes = 4 * 1024 * 1024;

/** What the server does with a request, one after the other. */
type Deed = { is: 'write'; text: string } | { is: 'pause' } | { is: 'end' } | { is: 'destroy' } | { is: 'flood'; text: string };

let folder: string;
let server: Server;
let deeds: readonly Deed[] = [];
let taken = 0;
const sockets = new Set<Socket>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'linstock-fc-'));
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // a client that left is what this is about
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => socket.end());
    socket.on('data', () => act(socket, deeds));
  });
  await new Promise<void>((done) => server.listen(join(folder, 'api.sock'), done));
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((done) => server.close(() => done()));
  rmSync(folder, { recursive: true, force: true });
});

function act(socket: Socket, [deed, ...rest]: readonly Deed[]): void {
  if (deed === undefined || socket.destroyed) return;
  switch (deed.is) {
    case 'write':
      socket.write(deed.text, 'latin1');
      return act(socket, rest);
    case 'pause':
      setImmediate(() => act(socket, rest));
      return;
    case 'end':
      socket.end();
      return;
    case 'destroy':
      socket.destroy();
      return;
    case 'flood':
      flood(socket, deed.text);
  }
}

/** As fast as it is taken. */
function flood(socket: Socket, text: string): void {
  while (!socket.destroyed) {
    const goesOn = socket.write(text, 'latin1');
    taken = Math.max(taken, socket.bytesWritten - socket.writableLength);
    if (goesOn) continue;
    socket.once('drain', () => flood(socket, text));
    return;
  }
}

const body = '{"id":"boot-1","state":"Running","vmm_version":"1.16.1"}';
const lengths = fc.constantFrom(
  `Content-Length: ${body.length}\r\n`,
  `Content-Length: ${body.length - 7}\r\n`,
  `Content-Length: ${body.length + 7}\r\n`,
  'Content-Length: 0\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 18446744073709551616\r\n',
  `Content-Length: 1\r\nContent-Length: ${body.length}\r\n`,
  'Content-Length: x\r\n',
  'Transfer-Encoding: chunked\r\n',
  `Transfer-Encoding: chunked\r\nContent-Length: ${body.length}\r\n`,
  '',
);
const statuses = fc.constantFrom('200', '204', '400', '503', '100', '101', '102', '103', '302', '413', '999', '0', '-1', '2000', 'x', '');
const headers = fc.constantFrom(
  '',
  'Server: Firecracker API\r\nConnection: keep-alive\r\n',
  'Connection: close\r\n',
  'Upgrade: x\r\nConnection: Upgrade\r\n',
  'Deprecation: true\r\n',
  'no colon\r\n',
  ' folded: \r\n\tx\r\n',
  `X: ${'y'.repeat(9_000)}\r\n`,
  'X: \u0000\r\n',
  'Trailer: X\r\n',
  'Content-Encoding: gzip\r\n',
);
const bodies = fc.oneof(
  fc.constantFrom(
    body,
    '',
    '{"fault_message":"no"}',
    '{ "error": "a\nb" }',
    '5\r\n{"id"\r\n0\r\n\r\n',
    'ffffffffffffffff\r\nx',
    '-5\r\nx',
    'zz\r\n',
  ),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const answers = fc
  .tuple(fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/9.9', 'SSH-2.0', ''), statuses, headers, lengths, bodies)
  .map(([protocol, status, more, length, content]) => `${protocol} ${status} \r\n${more}${length}\r\n${content}`);

const write = (text: string): Deed => ({ is: 'write', text });
const deedsOf = fc.oneof(
  // whole answers, one or several
  fc.array(answers, { minLength: 1, maxLength: 3 }).map((all) => all.map(write)),
  // one in pieces, cut anywhere, and perhaps without its end
  fc
    .tuple(answers, fc.array(fc.nat(200), { maxLength: 6 }), fc.constantFrom('end', 'destroy', 'pause'))
    .map(([text, cuts, last]): Deed[] => {
      const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b)];
      return [
        ...at.flatMap((from, i): Deed[] => [write(text.slice(from, at[i + 1] ?? (last === 'pause' ? from : undefined))), { is: 'pause' }]),
        { is: last },
      ];
    }),
  fc.constantFrom<Deed[]>([], [{ is: 'end' }], [{ is: 'destroy' }], [{ is: 'pause' }, { is: 'destroy' }]),
  fc.uint8Array({ maxLength: 600 }).map((bytes): Deed[] => [write(Buffer.from(bytes).toString('latin1')), { is: 'pause' }, { is: 'end' }]),
);

async function ask(client: FirecrackerClient, kind: number): Promise<Answer<unknown>> {
  const options = { deadlineMs };
  if (kind === 0) return await client.instance(options);
  if (kind === 1) return await client.setState('Paused', options);
  return await client.call('GET /vm/config', undefined, options);
}

const known = ['ok', 'refused', 'gone', 'late', 'broken'];

test('whatever is answered, every call settles with an answer, and leaves no connection', async () => {
  await fc.assert(
    fc.asyncProperty(deedsOf, fc.array(fc.nat(2), { minLength: 1, maxLength: 4 }), fc.boolean(), async (given, kinds, atOnce) => {
      deeds = given;
      const client = new FirecrackerClient({ place: { folder, name: 'api.sock' }, version });
      const seen: string[] = [];
      if (atOnce) for (const { is } of await Promise.all(kinds.map((kind) => ask(client, kind)))) seen.push(is);
      else for (const kind of kinds) seen.push((await ask(client, kind)).is);
      expect(seen.filter((is) => !known.includes(is))).toEqual([]);
      expect(seen).toHaveLength(kinds.length);
      client.close();
      await eventually(() => sockets.size === 0);
    }),
    { numRuns: 400 },
  );
});

test.each([
  ['a body', 'HTTP/1.1 200 \r\n\r\n', 'x'.repeat(8_192), 'broken'],
  ['a body of chunks', 'HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n', `2000\r\n${'x'.repeat(8_192)}\r\n`, 'broken'],
  ['a body of a length', `HTTP/1.1 400 \r\nContent-Length: ${2 ** 40}\r\n\r\n`, 'x'.repeat(8_192), 'broken'],
  ['headers', 'HTTP/1.1 200 \r\n', `X: ${'y'.repeat(1_000)}\r\n`, 'broken'],
  ['a header', 'HTTP/1.1 200 \r\nX: ', 'y'.repeat(8_192), 'broken'],
  ['a status line', 'HTTP/1.1 200 ', 'y'.repeat(8_192), 'broken'],
  ['white space', '', '\r\n'.repeat(4_096), 'late'],
  ['answers that announce another', '', 'HTTP/1.1 100 \r\n\r\n'.repeat(64), 'late'],
] as const)('%s without end is not taken in for long', async (_, head, text, expected) => {
  deeds = [write(head), { is: 'flood', text }];
  taken = 0;
  const client = new FirecrackerClient({ place: { folder, name: 'api.sock' }, version });
  // what can be refused is refused long before; what says nothing that is wrong is left to the deadline
  expect((await client.instance({ deadlineMs: expected === 'late' ? 200 : 20_000 })).is).toBe(expected);
  client.close();
  await eventually(() => sockets.size === 0);
  if (expected === 'broken') expect(taken).toBeLessThan(mostTakenBytes);
});

test('answers that nobody asked for are nobody’s', async () => {
  const client = new FirecrackerClient({ place: { folder, name: 'api.sock' }, version });
  const ok = (state: string): string => {
    const content = body.replace('Running', state);
    return `HTTP/1.1 200 \r\nContent-Length: ${content.length}\r\n\r\n${content}`;
  };
  deeds = [write(ok('Running') + ok('Paused') + ok('Paused'))];
  expect(await client.instance({ deadlineMs: 20_000 })).toMatchObject({ is: 'ok', value: { state: 'Running' } });
  deeds = [write(ok('Running'))];
  // the connection that said too much is given up, or its words are
  const next = await client.instance({ deadlineMs: 20_000 });
  if (next.is === 'ok') expect(next.value.state).toBe('Running');
  else expect(['gone', 'broken']).toContain(next.is);
  client.close();
});
