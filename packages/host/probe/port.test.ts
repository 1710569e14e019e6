import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect } from 'node:net';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { createServer as createHttpServer } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { PortSight } from '@linstock/core';
import { probePort } from './port.ts';
import type { PortTarget } from './port.ts';

/** Long enough that only an answer, never the clock, ends a test that expects an answer. */
const LONG_MS = 15_000;
/** For answers that never come. */
const SHORT_MS = 1_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A peer that does what it is told with each connection. */
async function peer(behave: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // The probe hangs up when it knows enough; that is no error of the peer.
    socket.on('error', () => {});
    behave(socket);
  });
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listening(server);
}

/** A peer that waits for a request, then writes this and keeps the connection open. */
function answering(...chunks: (string | Uint8Array)[]): Promise<number> {
  return peer((socket) => {
    socket.once('data', () => {
      for (const chunk of chunks) socket.write(chunk);
    });
  });
}

/** A peer that upgrades correctly and then sends these bytes. */
function upgrading(after: Uint8Array, headers = '', change: (accept: string) => string = (accept) => accept): Promise<number> {
  return peer((socket) => {
    socket.once('data', (request: Buffer) => {
      const key = /Sec-WebSocket-Key: (\S+)/.exec(request.toString())?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: ${change(accept)}\r\n${headers}\r\n`,
      );
      socket.write(after);
    });
  });
}

async function websockify(behave: (socket: WebSocket, path: string) => void): Promise<number> {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
  });
  server.on('connection', (socket, request) => behave(socket, request.url ?? ''));
  await once(server, 'listening');
  cleanups.push(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function probe(
  hostPort: number,
  level: PortTarget['level'],
  more: { path?: string; deadlineMs?: number; signal?: AbortSignal } = {},
): Promise<PortSight> {
  return probePort(
    { host: '127.0.0.1', hostPort, port: hostPort, level, path: more.path },
    { signal: more.signal ?? new AbortController().signal, deadlineMs: more.deadlineMs ?? LONG_MS },
  );
}

/** `tcp=open http!closed`: `=` for ok, `!` for not. */
function story(sight: PortSight): string {
  return sight.steps.map((step) => `${step.level}${step.ok ? '=' : '!'}${step.answer}`).join(' ');
}
function lastText(sight: PortSight): string {
  return sight.steps.at(-1)?.text ?? '';
}

describe('tcp', () => {
  test('open: and the text says that behind a forwarded port this proves nothing', async () => {
    const sight = await probe(await peer(() => {}), 'tcp');
    expect(story(sight)).toBe('tcp=open');
    expect(lastText(sight)).toContain('proves nothing about the guest');
  });

  test('refused: a port that nothing listens on', async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    await once(server, 'close');
    const sight = await probe(port, 'rfb');
    expect(story(sight)).toBe('tcp!refused');
    expect(lastText(sight)).toContain('ECONNREFUSED');
  });

  test('timeout: the queue of a stuck listener is full, so the host drops our packets', async () => {
    const stuck = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       const server = require('node:net').createServer();
       server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
         parentPort.postMessage(server.address().port);
         Atomics.wait(new Int32Array(workerData), 0, 0);
       });`,
      { eval: true, workerData: new SharedArrayBuffer(4) },
    );
    cleanups.push(() => stuck.terminate());
    const [port] = (await once(stuck, 'message')) as [number];
    for (const filler of [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]) {
      cleanups.push(() => filler.destroy());
      await once(filler, 'connect');
    }
    const sight = await probe(port, 'tcp', { deadlineMs: SHORT_MS });
    expect(story(sight)).toBe('tcp!timeout');
    expect(lastText(sight)).toContain('did not answer the connection attempt');
  });

  test('what says nothing about the peer leaves the chain unfinished: a stopped probe, an impossible port', async () => {
    expect((await probe(1, 'tcp', { signal: AbortSignal.abort() })).steps).toEqual([]);
    expect((await probe(70_000, 'tcp')).steps).toEqual([]);
    const controller = new AbortController();
    const port = await peer((socket) => socket.once('data', () => controller.abort()));
    expect(story(await probe(port, 'http', { signal: controller.signal }))).toBe('tcp=open');
  });
});

describe('http', () => {
  test.each([
    ['HTTP/1.1 200 OK', 'tcp=open http=status', '"HTTP/1.1 200 OK"'],
    ['HTTP/1.1 302 Found\r\nLocation: http://203.0.113.9/', 'tcp=open http=status', 'redirects are not followed'],
    ['HTTP/1.1 404 Not Found', 'tcp=open http!status', 'does not serve this path'],
    ['HTTP/1.0 502 Bad Gateway', 'tcp=open http!status', '502'],
    ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content', 'tcp=open http=status', '204'],
  ])('%j', async (head, expected, words) => {
    const sight = await probe(await answering(`${head}\r\n\r\n`), 'http');
    expect(story(sight)).toBe(expected);
    expect(lastText(sight)).toContain(words);
  });

  test('asks for the path with GET, and no path can write a header', async () => {
    const requests: string[] = [];
    const port = await peer((socket) => {
      socket.once('data', (request: Buffer) => {
        requests.push(request.toString());
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
      });
    });
    await probe(port, 'http');
    await probe(port, 'http', { path: 'vnc.html?a=b HTTP/1.1\r\nX-Evil: é' });
    expect(requests[0]).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/);
    expect(requests[1]).toMatch(/^GET \/vnc\.html\?a=b%20HTTP\/1\.1%0D%0AX-Evil:%20%C3%A9 HTTP\/1\.1\r\n/);
  });

  test('a real server of node:http', async () => {
    const server = createHttpServer((_, response) => response.end('hello'));
    cleanups.push(() => server.close());
    expect(story(await probe(await listening(server), 'http'))).toBe('tcp=open http=status');
  });

  test('closed: and the text says what that means behind a forwarded port', async () => {
    const sight = await probe(await peer((socket) => socket.end()), 'http');
    expect(story(sight)).toBe('tcp=open http!closed');
    expect(lastText(sight)).toContain('refuses or is not up yet');
  });

  test('closed in the middle of the head', async () => {
    const sight = await probe(await peer((socket) => socket.once('data', () => socket.end('HTTP/1.1 200'))), 'http');
    expect(story(sight)).toBe('tcp=open http!closed');
    expect(lastText(sight)).toContain('after 12 bytes');
    expect(lastText(sight)).not.toContain('not up yet');
  });

  test('reset', async () => {
    const sight = await probe(await peer((socket) => socket.once('data', () => socket.resetAndDestroy())), 'http');
    expect(story(sight)).toBe('tcp=open http!reset');
    expect(lastText(sight)).toContain('ECONNRESET');
  });

  test('timeout: connected, and then silence', async () => {
    const sight = await probe(await peer(() => {}), 'http', { deadlineMs: SHORT_MS });
    expect(story(sight)).toBe('tcp=open http!timeout');
    expect(lastText(sight)).toContain('accepted the connection, but an HTTP answer did not come');
  });

  test('timeout: a slow peer that never ends its head', async () => {
    const port = await peer((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const drip = setInterval(() => socket.write('X: y\r\n'), 20);
        socket.on('close', () => clearInterval(drip));
      });
    });
    expect(story(await probe(port, 'http', { deadlineMs: SHORT_MS }))).toBe('tcp=open http!timeout');
  });

  test.each([
    ['an SSH banner', ['SSH-2.0-dropbear\r\n'], 'an SSH server'],
    ['a TLS alert', [Uint8Array.of(0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46)], 'the port wants https'],
    ['a VNC server', ['RFB 003.008\n'], 'a VNC server without a WebSocket proxy'],
    ['control characters', ['\x1b]0;owned\x07\r\n'], '".]0;owned...'],
    [
      'a head without an end',
      Array.from({ length: 300 }, () => `X-Flood: ${'x'.repeat(200)}\r\n`).toSpliced(0, 0, 'HTTP/1.1 200 OK\r\n'),
      'no end within',
    ],
    ['1xx without an end', Array.from({ length: 4000 }, () => 'HTTP/1.1 102 Processing\r\n\r\n'), 'sent 65536 bytes'],
  ])('garbage: %s', async (_, chunks, words) => {
    const sight = await probe(await answering(...chunks), 'http');
    expect(story(sight)).toBe('tcp=open http!garbage');
    expect(lastText(sight)).toContain(words);
    // oxlint-disable-next-line no-control-regex -- that none is left is what is tested
    expect(lastText(sight)).not.toMatch(/[\x00-\x1f\x7f]/);
  });
});

describe('websocket', () => {
  test('upgraded, at the default path and with the subprotocol binary', async () => {
    const paths: string[] = [];
    const closed: number[] = [];
    const gone: Promise<unknown>[] = [];
    const port = await websockify((socket, path) => {
      paths.push(path);
      gone.push(once(socket, 'close'));
      socket.on('close', (code) => closed.push(code));
    });
    const sight = await probe(port, 'websocket');
    expect(story(sight)).toBe('tcp=open http=status websocket=upgraded');
    expect(lastText(sight)).toContain('subprotocol binary');
    await probe(port, 'websocket', { path: '/other' });
    await expect.poll(() => closed).toEqual([1000, 1000]);
    expect(paths).toEqual(['/websockify', '/other']);
  });

  test('a server that chooses no subprotocol is fine', async () => {
    expect(lastText(await probe(await upgrading(new Uint8Array()), 'websocket'))).toContain('no subprotocol');
  });

  test('status: an HTTP server that does not upgrade', async () => {
    const sight = await probe(await answering('HTTP/1.1 404 File not found\r\n\r\n'), 'websocket');
    expect(story(sight)).toBe('tcp=open http=status websocket!status');
    expect(lastText(sight)).toContain('instead of 101');
  });

  test.each([
    ['a wrong accept key', '', (): string => 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=', 'does not fit the key'],
    ['another subprotocol', 'Sec-WebSocket-Protocol: base64\r\n', (accept: string): string => accept, '"base64" instead of "binary"'],
    ['extensions', 'Sec-WebSocket-Extensions: permessage-deflate\r\n', (accept: string): string => accept, 'extensions'],
  ])('garbage: %s', async (_, headers, change, words) => {
    const sight = await probe(await upgrading(new Uint8Array(), headers, change), 'rfb');
    expect(story(sight)).toBe('tcp=open http=status websocket!garbage');
    expect(lastText(sight)).toContain(words);
  });

  test('garbage: a bare 101', async () => {
    const sight = await probe(await answering('HTTP/1.1 101 Sure\r\n\r\n'), 'websocket');
    expect(story(sight)).toBe('tcp=open http=status websocket!garbage');
  });
});

describe('rfb', () => {
  const through = 'tcp=open http=status websocket=upgraded';

  test('a banner over WebSocket', async () => {
    const sight = await probe(await websockify((socket) => socket.send(Buffer.from('RFB 003.008\n'))), 'rfb');
    expect(story(sight)).toBe(`${through} rfb=banner`);
    expect(lastText(sight)).toContain('"RFB 003.008"');
  });

  test('a banner in pieces, with a ping between', async () => {
    const port = await websockify((socket) => {
      socket.send(Buffer.from('RFB 0'));
      socket.ping();
      socket.send(Buffer.from('03.0'), { fin: false });
      socket.send(Buffer.from('08\n'), { fin: true });
    });
    expect(story(await probe(port, 'rfb'))).toBe(`${through} rfb=banner`);
  });

  test('a banner without HTTP, also when the server hangs up on our request', async () => {
    for (const after of [
      (): void => {},
      (socket: Socket): unknown => socket.end(),
      (socket: Socket): unknown => socket.resetAndDestroy(),
    ]) {
      const port = await peer((socket) => {
        socket.write('RFB 003.003\n');
        socket.once('data', () => after(socket));
      });
      expect(story(await probe(port, 'rfb'))).toBe('tcp=open rfb=banner');
    }
  });

  test('closed: code 1011 of a proxy whose VNC server is down', async () => {
    const sight = await probe(await websockify((socket) => socket.close(1011, 'Failed to connect to downstream server')), 'rfb');
    expect(story(sight)).toBe(`${through} rfb!closed`);
    expect(lastText(sight)).toContain('code 1011 "Failed to connect to downstream server"');
    expect(lastText(sight)).toContain('the VNC server behind it does not answer');
  });

  test('closed: the connection ends without a close frame', async () => {
    const sight = await probe(await websockify((socket) => socket.terminate()), 'rfb');
    expect(story(sight)).toBe(`${through} rfb!closed`);
  });

  test('timeout: upgraded, and then silence', async () => {
    const sight = await probe(await websockify(() => {}), 'rfb', { deadlineMs: 2 * SHORT_MS });
    expect(story(sight)).toBe(`${through} rfb!timeout`);
  });

  test('banner, but refused: too many security failures', async () => {
    const words = 'Too many security failures';
    const refusal = Buffer.concat([Buffer.from('RFB 003.003\n'), Buffer.from([0, 0, 0, 0, 0, 0, 0, words.length]), Buffer.from(words)]);
    const sight = await probe(await websockify((socket) => socket.send(refusal)), 'rfb');
    expect(story(sight)).toBe(`${through} rfb!banner`);
    expect(lastText(sight)).toContain(words);
  });

  test.each([
    ['another protocol', (socket: WebSocket): void => socket.send(Buffer.from('hello')), 'it began with "hello"'],
    ['another version', (socket: WebSocket): void => socket.send(Buffer.from('RFB 004.001\n')), 'RFB 004.001'],
    ['text', (socket: WebSocket): void => socket.send('UkZC'), 'a text message "UkZC"'],
    ['a huge message', (socket: WebSocket): void => socket.send(Buffer.alloc(100_000)), 'longer than'],
  ])('garbage: %s', async (_, behave, words) => {
    const sight = await probe(await websockify(behave), 'rfb');
    expect(story(sight)).toBe(`${through} rfb!garbage`);
    expect(lastText(sight)).toContain(words);
  });

  test('garbage: pings without an end', async () => {
    const sight = await probe(await upgrading(Buffer.alloc(200_000, Uint8Array.of(0x89, 0))), 'rfb');
    expect(story(sight)).toBe(`${through} rfb!garbage`);
  });
});
