/** Our end of the line against guests that lie. The real agent's tests are in agent.real.test.ts. */
import { pbkdf2 } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { connectGuest, type GuestChannel } from './channel.ts';
import { connectVsock } from './connect.ts';
import { windowBytes } from './exec.ts';
import { encodeFrame, FrameDecoder, type Frame, type FrameKind } from './frame.ts';

const hello = { protocol: 1, agent: '9.9', pid: 1, bootId: 'b', transport: 'test' };

/** A guest that answers each frame as the test says. */
class LyingGuest {
  readonly hostEnd: Duplex;
  readonly #end: Duplex;
  readonly #answer: (frame: Frame, guest: LyingGuest) => void;
  hello: unknown = hello;

  constructor(answer: (frame: Frame, guest: LyingGuest) => void = () => undefined) {
    [this.#end, this.hostEnd] = duplexPair();
    this.#answer = answer;
    const decoder = new FrameDecoder();
    this.#end.on('data', (chunk: Buffer) => {
      for (const frame of decoder.feed(chunk).frames) {
        if (frame.kind === 'sync') this.say('sync-ack', 0, Buffer.concat([frame.payload, Buffer.from(JSON.stringify(this.hello))]));
        else this.#answer(frame, this);
      }
    });
  }

  raw(bytes: Uint8Array): void {
    this.#end.write(bytes);
  }

  say(kind: FrameKind, stream: number, payload: Uint8Array | string, more = false): void {
    this.raw(encodeFrame({ kind, stream, more, payload: Buffer.from(payload as string) }));
  }

  hangUp(): void {
    this.#end.end();
  }
}

async function open(guest: LyingGuest): Promise<GuestChannel> {
  const connection = await connectGuest({ is: 'stream', stream: guest.hostEnd });
  if (connection.is !== 'open') throw new Error(`absent: ${connection.why}`);
  return connection.channel;
}

const onRequest =
  (answer: (stream: number, guest: LyingGuest) => void) =>
  (frame: Frame, guest: LyingGuest): void => {
    if (frame.kind === 'request') answer(frame.stream, guest);
  };

describe('a guest that lies ends the channel, with a reason, and nothing throws', () => {
  const started = '{"ok":{"pid":7}}';
  test.each<[string, string, (stream: number, guest: LyingGuest) => void]>([
    ['a stream that never was', 'broke-protocol', (stream, guest) => guest.say('reply', stream + 1, '{}')],
    ['a frame for agents', 'broke-protocol', (stream, guest) => guest.say('request', stream, '{}')],
    ['an exit that does not fit', 'broke-protocol', (stream, guest) => guest.say('exit', stream, '{"code":"x"}')],
    ['damage', 'damage', (_, guest) => guest.raw(Buffer.from('LSK1 this is not a frame'))],
    ['noise', 'damage', (_, guest) => guest.raw(Buffer.alloc(2_000_000))],
    ['a wish to sync', 'asked-to-sync', (_, guest) => guest.say('lost', 0, '{"why":"checksum"}')],
    ['hanging up', 'hung-up', (_, guest) => guest.hangUp()],
    [
      'more output than credit',
      'broke-protocol',
      (stream, guest) => {
        guest.say('reply', stream, started);
        for (let sent = 0; sent <= windowBytes; sent += 65_536) guest.say('stdout', stream, Buffer.alloc(65_536));
      },
    ],
    [
      'more credit than the window',
      'broke-protocol',
      (stream, guest) => {
        guest.say('reply', stream, started);
        guest.say('credit', stream, Buffer.from([0, 0, 0, 5, 255, 255, 255, 255]));
      },
    ],
    [
      'a reply without end',
      'broke-protocol',
      (stream, guest) => {
        for (let i = 0; i < 40; i += 1) guest.say('reply', stream, Buffer.alloc(65_536), true);
      },
    ],
  ])('%s', async (_, why, lie) => {
    const channel = await open(new LyingGuest(onRequest(lie)));
    const exec = await channel.exec(['true']);
    const end = exec.is === 'ok' ? await exec.value.exit : exec;
    expect(end).toMatchObject({ is: 'lost', why });
    expect(await channel.ended).toBe(end);
    expect(await channel.request('ping', {})).toBe(end);
  });
});

test.each([
  ['text that is not JSON', 'nonsense'],
  ['neither ok nor error', '{"maybe":1}'],
  ['an ok that does not fit', '{"ok":{"unixMs":"late"}}'],
])('%s is a bad reply', async (_, reply) => {
  const channel = await open(new LyingGuest(onRequest((stream, guest) => guest.say('reply', stream, reply))));
  expect(await channel.request('ping', {})).toMatchObject({ is: 'bad-reply' });
  channel.close();
});

test('a reply in parts is put together', async () => {
  const config = 'CONFIG_X=y\n'.repeat(20_000);
  const guest = new LyingGuest(
    onRequest((stream, to) => {
      const body = Buffer.from(JSON.stringify({ ok: { text: config } }));
      for (let at = 0; at < body.length; at += 50_000) {
        to.say('reply', stream, body.subarray(at, at + 50_000), at + 50_000 < body.length);
      }
    }),
  );
  const channel = await open(guest);
  expect(await channel.request('config', {})).toEqual({ is: 'ok', value: { text: config } });
  channel.close();
});

test('a silent agent is late, an abort is aborted, and both are told to the guest', async () => {
  const cancelled: number[] = [];
  const channel = await open(new LyingGuest(({ kind, stream }) => void (kind === 'cancel' && cancelled.push(stream))));
  expect(await channel.request('ping', {}, { deadlineMs: 1 })).toEqual({ is: 'late', afterMs: 1 });
  expect(await channel.request('ping', {}, { signal: AbortSignal.abort() })).toEqual({ is: 'aborted' });
  expect(await channel.exec(['true'], { deadlineMs: 1 })).toEqual({ is: 'late', afterMs: 1 });
  expect(cancelled).toEqual(expect.arrayContaining([1, 2]));
  channel.close();
  expect(await channel.ended).toMatchObject({ why: 'closed' });
});

test('what does not fit into a frame, and the 65th stream, are refused here', async () => {
  const channel = await open(new LyingGuest());
  expect(await channel.exec(['x'.repeat(70_000)])).toMatchObject({ is: 'refused', code: 'too-large' });
  const waiting = Array.from({ length: 64 }, () => channel.request('ping', {}));
  expect(await channel.request('ping', {})).toMatchObject({ is: 'refused', code: 'too-many-streams' });
  channel.close();
  expect((await Promise.all(waiting)).every((answer) => answer.is === 'lost')).toBe(true);
});

test('a line that closes right behind its sync-ack is a channel that ended', async () => {
  const decoder = new FrameDecoder();
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      for (const { payload } of decoder.feed(chunk).frames) {
        const ack = Buffer.concat([payload, Buffer.from(JSON.stringify(hello))]);
        stream.push(encodeFrame({ kind: 'sync-ack', stream: 0, more: false, payload: ack }));
      }
      done();
    },
  });
  stream.once('data', () => stream.destroy());
  const connection = await connectGuest({ is: 'stream', stream });
  if (connection.is !== 'open') throw new Error(connection.why);
  expect(await connection.channel.ended).toMatchObject({ why: 'hung-up' });
});

test('a sync-ack that comes byte by byte behind noise is found', async () => {
  const [guestEnd, stream] = duplexPair();
  const decoder = new FrameDecoder();
  guestEnd.write('Debian GNU/Linux 12 LSK1');
  guestEnd.on('data', (chunk: Buffer) => {
    for (const { payload } of decoder.feed(chunk).frames) {
      const ack = Buffer.concat([payload, Buffer.from(JSON.stringify(hello))]);
      for (const byte of encodeFrame({ kind: 'sync-ack', stream: 0, more: false, payload: ack })) guestEnd.write(Buffer.from([byte]));
    }
  });
  const connection = await connectGuest({ is: 'stream', stream });
  expect(connection.is).toBe('open');
  if (connection.is === 'open') connection.channel.close();
});

describe('absence is a value', () => {
  let folder: string;
  let server: Server | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'guest-'));
  });
  afterEach(() => {
    server?.close();
    rmSync(folder, { recursive: true });
  });

  async function serve(onLine: (socket: Socket) => void): Promise<string> {
    const path = join(folder, 'socket');
    server = createServer((socket) => {
      socket.on('error', () => undefined); // the host may go at any time
      onLine(socket);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(path, resolve);
    await promise;
    return path;
  }

  test('no socket, an aborted call, another version, noise only, silence, a closed line', async () => {
    expect(await connectGuest({ is: 'serial', path: join(folder, 'none') })).toMatchObject({ why: 'no-socket' });
    const path = await serve((socket) => socket.resume());
    expect(await connectGuest({ is: 'serial', path }, { signal: AbortSignal.abort() })).toMatchObject({
      why: 'aborted',
    });
    expect(await connectGuest({ is: 'serial', path }, { deadlineMs: 50 })).toMatchObject({
      why: 'silent',
      skippedBytes: 0,
    });
    const old = new LyingGuest();
    old.hello = { ...hello, protocol: 2 };
    expect(await connectGuest({ is: 'stream', stream: old.hostEnd })).toMatchObject({ why: 'other-protocol' });
    const noisy = new LyingGuest();
    noisy.raw(Buffer.alloc(5_000_000));
    expect(await connectGuest({ is: 'stream', stream: noisy.hostEnd })).toMatchObject({ why: 'noise' });
    const gone = new LyingGuest();
    gone.hostEnd.destroy();
    expect(await connectGuest({ is: 'stream', stream: gone.hostEnd })).toMatchObject({ why: 'hung-up' });
  });

  /** Firecracker's end, and behind it a guest. */
  const vsock =
    (answer: string) =>
    (socket: Socket): void => {
      socket.once('data', (line: Buffer) => {
        if (line.toString() !== 'CONNECT 1024\n') socket.destroy();
        const guest = new LyingGuest(onRequest((stream, to) => to.say('reply', stream, '{"ok":{"unixMs":1,"uptimeMs":2,"syncs":3}}')));
        socket.write(answer);
        socket.pipe(guest.hostEnd).pipe(socket);
      });
    };

  test('vsock: OK opens the channel, also when it comes with the first bytes of the agent', async () => {
    const path = await serve(vsock('OK 1073741824\nhello from a console'));
    const connection = await connectGuest({ is: 'vsock', path });
    if (connection.is !== 'open') throw new Error(connection.why);
    expect(await connection.channel.request('ping', {})).toEqual({
      is: 'ok',
      value: { unixMs: 1, uptimeMs: 2, syncs: 3 },
    });
    connection.channel.close();
  });

  test('vsock: what follows OK in the same chunk is not lost', async () => {
    const path = await serve((socket) => socket.once('data', () => socket.end('OK 7\nrest')));
    const connected = await connectVsock(path, 1024, AbortSignal.timeout(5000));
    if (connected.is !== 'open') throw new Error(connected.why);
    const chunks: Buffer[] = [];
    for await (const chunk of connected.stream) chunks.push(Buffer.from(chunk as Buffer));
    expect(Buffer.concat(chunks).toString()).toBe('rest');
  });

  test.each(['NO\n', 'OK\n', 'OK 99999999999\n', 'x'.repeat(64)])('vsock: %j is noise', async (answer) => {
    expect(await connectGuest({ is: 'vsock', path: await serve(vsock(answer)) })).toMatchObject({ why: 'noise' });
  });

  test('vsock: a line closed instead of OK means nobody listens in the guest', async () => {
    const path = await serve((socket) => socket.end());
    // with all threads for files busy, the line is closed before anybody could listen to it
    const busy = new AbortController();
    const burn = (): void => pbkdf2('', '', 10_000, 32, 'sha256', () => busy.signal.aborted || burn());
    for (let thread = 0; thread < 8; thread += 1) burn();
    const answer = await connectGuest({ is: 'vsock', path });
    busy.abort();
    expect(answer).toMatchObject({ why: 'hung-up' });
  });
});
