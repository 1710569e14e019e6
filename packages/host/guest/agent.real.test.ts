/** The host's end against the real agent, built here and served on a unix socket. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connectGuest, type Answer, type GuestChannel } from './channel.ts';
import { encodeFrame } from './frame.ts';
import { anAgent, noAgent, type AnAgent } from './testing/an-agent.ts';

describe.skipIf(noAgent !== false)(`the real agent${noAgent === false ? '' : ` (skipped: ${noAgent})`}`, () => {
  let path = '';
  let agent: AnAgent;

  beforeAll(async () => {
    agent = await anAgent();
    ({ path } = agent);
  }, 120_000);

  afterAll(() => agent.stop());

  async function open(): Promise<GuestChannel> {
    const connection = await connectGuest({ is: 'serial', path });
    if (connection.is !== 'open') throw new Error(`absent: ${connection.why}`);
    return connection.channel;
  }

  async function readAll(output: AsyncIterable<Uint8Array>): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of output) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  function ok<T>(answer: Answer<T>): T {
    if (answer.is !== 'ok') throw new Error(JSON.stringify(answer));
    return answer.value;
  }

  test('says hello and answers facts that fit our schema in every part', async () => {
    using channel = await open();
    expect(channel.hello).toMatchObject({ protocol: 1, transport: 'unix' });
    const facts = ok(await channel.request('facts', {}));
    expect(Object.values(facts.errors).filter((why) => why.includes('does not fit'))).toEqual([]);
    expect(facts.kernel?.banner).toContain('Linux');
    expect(facts.memory?.totalKiB).toBeGreaterThan(0);
    expect(facts.random).toEqual({ seeded: true });
  });

  test('tells exit codes, signals and timeouts apart', async () => {
    using channel = await open();
    const run = async (script: string, timeoutMs = 0) => ok(await channel.run(['sh', '-c', script], { timeoutMs })).end;
    expect(await run('exit 7')).toMatchObject({ is: 'exited', code: 7, timedOut: false });
    expect(await run('kill -TERM $$')).toMatchObject({ is: 'signalled', signal: 'TERM', timedOut: false });
    expect(await run('sleep 1000', 20)).toMatchObject({ is: 'signalled', signal: 'KILL', timedOut: true });
    expect(await channel.exec(['no-such-program'])).toMatchObject({ is: 'refused', code: 'not-found' });
  });

  test('a slow reader gets all of 10 MB, in order', async () => {
    using channel = await open();
    const script = `i=0; while [ $i -lt 160 ]; do head -c 65536 /dev/zero | tr '\\0' $((i % 8)); i=$((i+1)); done`;
    const exec = ok(await channel.exec(['sh', '-c', script]));
    let bytes = 0;
    for await (const chunk of exec.stdout) {
      const wrong = chunk.findIndex((value, at) => value !== (Math.floor((bytes + at) / 65_536) % 8) + 48);
      if (wrong >= 0) throw new Error(`byte ${bytes + wrong} is ${chunk[wrong]}`);
      bytes += chunk.length;
      // Slow by turns of the line, not by time: each piece waits for an answer of the agent.
      ok(await channel.request('ping', {}));
    }
    expect(bytes).toBe(160 * 65_536);
    expect(await exec.exit).toMatchObject({ is: 'exited', code: 0 });
  });

  test('stdin comes back, far beyond its window', async () => {
    using channel = await open();
    const input = Buffer.alloc(3_000_000, 'abcdefg');
    const ran = ok(await channel.run(['cat'], { input, tailBytes: input.length }));
    expect(ran.stdoutBytes).toBe(input.length);
    expect(ran.stdout === input.toString()).toBe(true);
    const words = ok(await channel.exec(['cat'], { stdin: 'open' }));
    expect(await words.stdin.write(Buffer.from('one'))).toBe(true);
    await words.stdin.end();
    expect(await readAll(words.stdout)).toBe('one');
  });

  test('a process that reads no stdin does not stop the writer', async () => {
    using channel = await open();
    const ran = ok(await channel.run(['sh', '-c', 'exec <&-; echo done'], { input: Buffer.alloc(1_000_000) }));
    expect(ran).toMatchObject({ stdout: 'done\n', end: { is: 'exited', code: 0 } });
  });

  test('kill, an aborted signal, and an unread stream', async () => {
    using channel = await open();
    const sleeper = ok(await channel.exec(['sleep', '1000']));
    sleeper.kill('INT');
    expect(await sleeper.exit).toMatchObject({ is: 'signalled', signal: 'INT' });
    const abort = new AbortController();
    const aborted = ok(await channel.exec(['sleep', '1000'], { signal: abort.signal }));
    abort.abort();
    expect(await aborted.exit).toMatchObject({ is: 'signalled', signal: 'KILL' });
    const loud = ok(await channel.exec(['sh', '-c', 'head -c 2000000 /dev/zero >&2; echo end']));
    loud.stderr.discard();
    expect(await readAll(loud.stdout)).toBe('end\n');
  });

  test('two execs at once do not mix', async () => {
    using channel = await open();
    const count = (word: string) => channel.run(['sh', '-c', `yes ${word} | head -n 100000`], { tailBytes: 1_000_000 });
    const [a, b] = await Promise.all([count('aaaa'), count('bbbb')]);
    expect(ok(a).stdout === 'aaaa\n'.repeat(100_000)).toBe(true);
    expect(ok(b).stdout === 'bbbb\n'.repeat(100_000)).toBe(true);
  });

  test('probes: connected, refused, dns-failed, answered', async () => {
    using channel = await open();
    expect(await channel.request('tcp.connect', { host: '127.0.0.1', port: 1, timeoutMs: 2000 })).toMatchObject({
      value: { outcome: 'refused' },
    });
    expect(await channel.request('tcp.connect', { host: 'no-such-host.invalid', port: 1, timeoutMs: 2000 })).toMatchObject({
      value: { outcome: 'dns-failed' },
    });
    const loopback = await channel.request('icmp.ping', { address: '127.0.0.1', timeoutMs: 2000 });
    // Without root and without the sysctl there is no ICMP socket, and the agent says so.
    expect(loopback.is === 'ok' ? loopback.value.outcome : loopback).toSatisfy(
      (outcome) => outcome === 'answered' || (loopback.is === 'refused' && loopback.code === 'not-permitted'),
    );
  });

  test('files: bounded, absent ones by name; power and clock stay as they are', async () => {
    using channel = await open();
    const file = ok(await channel.request('file.read', { path: '/proc/version', maxBytes: 5 }));
    expect([file.bytes.toString(), file.truncated]).toEqual(['Linux', true]);
    expect(await channel.request('file.read', { path: '/no/such', maxBytes: 5 })).toMatchObject({ code: 'not-found' });
    expect(await channel.request('poweroff', { mode: 'reboot' })).toMatchObject({ code: 'refused' });
    expect(await channel.request('clock.set', { unixMs: Date.UTC(2030, 1) })).toMatchObject({ code: 'refused' });
  });

  test('a line with a past: noise, a torn frame, a host that is gone with its process', async () => {
    const socket = connect(path);
    socket.write('login: root\r\nLSK1LSK');
    socket.write(encodeFrame({ kind: 'sync', stream: 0, more: false, payload: Buffer.alloc(16) }));
    const request = { name: 'exec', body: { argv: ['sh', '-c', 'echo started; exec cat'] } };
    socket.write(encodeFrame({ kind: 'request', stream: 1, more: false, payload: Buffer.from(JSON.stringify(request)) }));
    const { promise, resolve } = Promise.withResolvers<void>();
    let seen = '';
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (seen.includes('started')) resolve();
    });
    await promise;
    socket.removeAllListeners('data');
    socket.write(encodeFrame({ kind: 'stdin', stream: 1, more: false, payload: Buffer.alloc(60_000) }).subarray(0, 777));
    // The same line again, as virtio-serial would have it, with nothing read in between.
    const connection = await connectGuest({ is: 'stream', stream: socket });
    if (connection.is !== 'open') throw new Error(connection.why);
    using channel = connection.channel;
    expect(ok(await channel.request('ping', {})).syncs).toBe(2);
    // Stream 1 is free again: the cat of the earlier host has lost it.
    expect(ok(await channel.run(['echo', 'new'])).stdout).toBe('new\n');
  });

  test('a channel that was closed in mid-frame, and one that comes after it', async () => {
    const first = await open();
    const exec = ok(await first.exec(['cat'], { stdin: 'open' }));
    const writing = exec.stdin.write(Buffer.alloc(200_000));
    first.close();
    expect(await exec.exit).toMatchObject({ is: 'lost', why: 'closed' });
    await writing;
    using second = await open();
    expect(ok(await second.run(['echo', 'again'])).stdout).toBe('again\n');
  });
});
