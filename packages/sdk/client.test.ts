import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FaultError, type LinstockEvent } from '@linstock/contract';
import { connect, type Linstock } from './client.ts';
import { problemOf } from './problem.ts';
import { aVm, smallServer, type SmallHandler, type SmallServer } from './testing/small-server.ts';

const quick = { firstMs: 1, mostMs: 1, attempts: 3 };
const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function world(handlers: Parameters<typeof smallServer>[0], token?: string): Promise<{ server: SmallServer; linstock: Linstock }> {
  const server = await smallServer(handlers);
  const linstock = connect({ url: server.url, backOff: quick, ...(token === undefined ? {} : { token }) });
  open.push(
    () => server.close(),
    () => linstock.close(),
  );
  return { server, linstock };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const refusal = async (promise: Promise<unknown>): Promise<FaultError> => {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!FaultError.is(error)) throw new Error(`a FaultError was expected, not ${String(error)}`);
  return error;
};

test('a call carries token, key, version and patience, and its parameters where the route wants them', async () => {
  const { server, linstock } = await world({ 'vm.stop': () => ({ vm: aVm(), operation: null, added: 'later' }) }, 'secret');
  const reply = await linstock.call(
    'vm.stop',
    { params: { id: 'a/b ü' }, query: { until: 'stopped' } },
    { waitSeconds: 5, idempotencyKey: 'k1', ifMatch: 3 },
  );
  expect(reply).toHaveProperty('added', 'later'); // unknown fields are no reason to fail
  const [call] = server.seen;
  expect(call?.params).toEqual({ id: 'a/b ü' });
  expect(call?.query).toEqual({ until: 'stopped' });
  expect(call?.headers).toMatchObject({ authorization: 'Bearer secret', 'idempotency-key': 'k1', 'if-match': '"3"', prefer: 'wait=5' });
  expect(call?.headers['content-type']).toBeUndefined();
});

test('every POST and DELETE carries a key of its own, a GET none', async () => {
  const { server, linstock } = await world({
    'vm.start': () => ({ vm: aVm(), operation: null }),
    'vm.delete': () => ({ vm: aVm(), operation: null }),
    'vm.show': () => aVm(),
  });
  await linstock.vms.start('first');
  await linstock.vms.delete('first');
  await linstock.vms.show('first');
  const keys = server.seen.map((call) => call.headers['idempotency-key']);
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[1]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[0]).not.toBe(keys[1]);
  expect(keys[2]).toBeUndefined();
});

test('an empty id is a mistake of the caller, never another route', () => {
  const linstock = connect({ url: 'http://127.0.0.1:9' });
  return expect(linstock.vms.delete('')).rejects.toThrow(TypeError);
});

test('a problem document becomes its fault, with the request id', async () => {
  const { linstock } = await world({
    'vm.create': () => {
      throw new FaultError('vm-name-taken', { name: 'web', id: 'vm_9' });
    },
  });
  const error = await refusal(linstock.vms.create({ name: 'web' }));
  expect(error.fault).toEqual({ code: 'vm-name-taken', data: { name: 'web', id: 'vm_9' } });
  expect(error.requestId).toBe('req_0');
  expect(problemOf(error)).toMatchObject({ status: 409, family: 'conflict', requestId: 'req_0' });
});

test('a fault of a newer controller keeps its own sentence', async () => {
  const { linstock } = await world({
    'vm.show': ({ response }) =>
      void response
        .writeHead(418, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify({ code: 'vm-on-mars', status: 418, detail: 'The VM is on Mars.', requestId: 'req_m' })),
  });
  const error = await refusal(linstock.vms.show('first'));
  expect(error.message).toBe('The VM is on Mars.');
  expect(problemOf(error).code).toBe('vm-on-mars');
});

test('nobody there, something else there, and too much are all "unreachable"', async () => {
  const { server, linstock } = await world({
    'vm.show': ({ response }) => void response.writeHead(502).end('<html>bad gateway</html>'),
    'health.show': ({ response }) => void response.end('hello'),
    'golden.list': ({ response }) => void response.end(JSON.stringify({ items: ['x'.repeat(5000)] })),
    'host.list': ({ response }) => void response.destroy(),
  });
  const small = connect({ url: server.url, maxReplyBytes: 1000 });
  open.push(() => small.close());
  const nobody = connect({ url: 'http://127.0.0.1:1' });
  for (const ask of [
    () => linstock.vms.show('x'),
    () => linstock.health(),
    () => small.goldens.list(),
    () => linstock.hosts.list(),
    () => nobody.health(),
  ]) {
    expect((await refusal(ask())).fault.code).toBe('daemon-unreachable');
  }
  expect((await refusal(linstock.vms.show('x'))).message).toContain('status 502');
});

test('a unix socket serves as well; one that is not there is named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-sdk-'));
  open.push(() => rm(folder, { recursive: true }));
  const socketPath = join(folder, 's');
  const server = await smallServer({ 'vm.show': () => aVm() }, { socketPath });
  const linstock = connect({ unixSocket: socketPath });
  open.push(
    () => server.close(),
    () => linstock.close(),
  );
  expect((await linstock.vms.show('first')).id).toBe('vm_01');
  expect((await refusal(connect({ unixSocket: join(folder, 'none') }).health())).message).toContain('does not exist');
});

test('a list is read page after page', async () => {
  const { server, linstock } = await world({
    'vm.list': ({ query }) =>
      query['after'] === undefined
        ? { items: [aVm({ id: 'vm_1' }), aVm({ id: 'vm_2' })], next: 'c2', seq: 1 }
        : { items: [aVm({ id: 'vm_3' })], next: null, seq: 1 },
  });
  expect((await all(linstock.vms.list({ pageSize: 2 }))).map((vm) => vm.id)).toEqual(['vm_1', 'vm_2', 'vm_3']);
  expect(server.seen.map((call) => call.query)).toEqual([{ limit: '2' }, { after: 'c2', limit: '2' }]);
});

test('create until verified: the wish first, then waiting for a level, by id', async () => {
  const names: string[] = [];
  const { server, linstock } = await world({
    'vm.create': () => ({ vm: aVm({ id: 'vm_7', state: 'creating' }), operation: null }),
    'vm.wait': ({ turn }) => ({ reached: turn === 2, vm: aVm({ id: 'vm_7', phase: `p${turn}` }) }),
  });
  const made = await linstock.vms.create(
    { name: 'web' },
    { until: 'verified', onView: (vm) => names.push(vm.phase), onAccepted: (vm) => names.push(vm.state) },
  );
  expect(made).toMatchObject({ reached: true, vm: { id: 'vm_7' } });
  expect(names).toEqual(['creating', 'p0', 'p1', 'p2']);
  expect(server.seen.map((call) => call.name)).toEqual(['vm.create', 'vm.wait', 'vm.wait', 'vm.wait']);
  expect(server.seen[1]?.params).toEqual({ id: 'vm_7' });
});

test('time that is up is an answer; a goal out of reach is a fault', async () => {
  const { linstock } = await world({
    'vm.wait': ({ query }) => {
      if (query['until'] === 'verified')
        throw new FaultError('goal-unreachable', { id: 'vm_01', goal: 'verified', why: 'net.address is refuted.' });
      return { reached: false, vm: aVm({ state: 'starting' }) };
    },
  });
  expect(await linstock.vms.wait('first', 'running', { withinMs: 0 })).toMatchObject({ reached: false, vm: { state: 'starting' } });
  expect((await refusal(linstock.vms.wait('first', 'verified'))).fault.code).toBe('goal-unreachable');
});

test('waiting survives a controller that restarts, but not one that was never there', async () => {
  const flaky: SmallHandler = ({ turn, response }) => {
    if (turn === 1) return void response.destroy();
    if (turn === 2) throw new FaultError('shutting-down');
    return { reached: turn === 3, vm: aVm() };
  };
  const { linstock } = await world({ 'vm.wait': flaky });
  expect(await linstock.vms.wait('first', 'running')).toMatchObject({ reached: true });
  expect((await refusal(connect({ url: 'http://127.0.0.1:1', backOff: quick }).vms.wait('first', 'running'))).fault.code).toBe(
    'daemon-unreachable',
  );
});

test('an aborted wait throws the reason it was given, and cancels nothing', async () => {
  const aborter = new AbortController();
  const reason = new Error('enough');
  const { server, linstock } = await world({ 'vm.wait': () => aborter.abort(reason) });
  await expect(linstock.vms.wait('first', 'running', { signal: aborter.signal })).rejects.toBe(reason);
  expect(server.seen.map((call) => call.name)).toEqual(['vm.wait']);
});

test('exec: frames split anywhere, output first, then how it ended', async () => {
  const lines = [
    { stream: 'stdout', data: Buffer.from('grüße\n').toString('base64') },
    { stream: 'stderr', data: Buffer.from([0, 255]).toString('base64') },
    { exit: { code: 3, signal: null, timedOut: false } },
  ].map((frame) => JSON.stringify(frame));
  const whole = Buffer.from(`${lines.join('\n')}\n`);
  const { server, linstock } = await world({
    'vm.exec': ({ response, turn }) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      if (turn === 0) for (const byte of whole) response.write(Buffer.from([byte]));
      else response.write(whole);
      response.end();
    },
  });
  const exec = await linstock.vms.exec('first', ['ls', '-l'], { timeoutMs: 1000 });
  const frames = await all(exec);
  expect(frames.map((frame) => [frame.stream, Buffer.from(frame.data).toString('latin1')])).toEqual([
    ['stdout', Buffer.from('grüße\n').toString('latin1')],
    ['stderr', '\0\u00ff'],
  ]);
  expect(await exec.result()).toEqual({ code: 3, signal: null, timedOut: false });
  expect(server.seen[0]?.body).toEqual({ argv: ['ls', '-l'], timeoutMs: 1000 });
  expect(await (await linstock.vms.exec('first', ['ls'])).result()).toMatchObject({ code: 3 });
});

test('exec: a fault in the stream is thrown, and silence is not success', async () => {
  const { linstock } = await world({
    'vm.exec': ({ response, turn }) =>
      void response.end(turn === 0 ? `${JSON.stringify({ fault: { code: 'agent-absent', data: { id: 'vm_01', why: 'gone' } } })}\n` : '\n'),
  });
  expect((await refusal((await linstock.vms.exec('first', ['ls'])).result())).fault.code).toBe('agent-absent');
  expect((await refusal((await linstock.vms.exec('first', ['ls'])).result())).fault.code).toBe('exec-failed');
});

test('the console comes as the bytes it is', async () => {
  const { server, linstock } = await world({ 'vm.console': ({ response }) => void response.end(Buffer.from([27, 91, 0xff, 10])) });
  expect(Buffer.concat(await all(linstock.vms.console('first', { boot: 'boot_1', from: 0, follow: true })))).toEqual(
    Buffer.from([27, 91, 0xff, 10]),
  );
  expect(server.seen[0]?.query).toEqual({ boot: 'boot_1', from: '0', follow: 'true' });
});

const anEvent = (seq: number): LinstockEvent => ({
  seq,
  id: `evt_${seq}`,
  source: 'linstock',
  type: 'vm.phase',
  subject: 'vm_01',
  time: 1,
  data: {},
});
const sse = (seq: number): string => `id: ${seq}\nevent: vm.phase\ndata: ${JSON.stringify(anEvent(seq))}\n\n`;

test('events up to now', async () => {
  const { server, linstock } = await world({ 'event.list': () => ({ items: [anEvent(4), anEvent(5)], lastSeq: 5 }) });
  expect((await all(linstock.events({ after: 3, subject: 'vm_01' }))).map((event) => event.seq)).toEqual([4, 5]);
  expect(server.seen[0]?.query).toEqual({ after: '3', limit: '500', subject: 'vm_01' });
});

test('a followed stream goes on after a dropped connection: nothing lost, nothing double', async () => {
  const { server, linstock } = await world({
    'event.list': ({ response, turn }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (turn === 0) response.write(`: hello\n\n${sse(1)}${sse(2)}id: 3\ndata: {"half`, () => response.destroy());
      else if (turn === 1) response.end(`${sse(2)}${sse(3)}id: 8\n\n`); // a double, and a heartbeat that moves the place
      else response.write(sse(9));
    },
  });
  const seqs: number[] = [];
  for await (const event of linstock.events({ follow: true })) {
    seqs.push(event.seq);
    if (event.seq === 9) break;
  }
  expect(seqs).toEqual([1, 2, 3, 9]);
  expect(server.seen.map((call) => call.headers['last-event-id'])).toEqual(['0', '2', '8']);
});

test('a stream that cannot be taken up again ends with the fault, after a bounded number of tries', async () => {
  const { server, linstock } = await world({
    'event.list': ({ query, response }) => {
      if (query['subject'] === 'vm_old') throw new FaultError('events-compacted', { oldest: 50 });
      response.destroy();
    },
  });
  expect((await refusal(all(linstock.events({ follow: true })))).fault.code).toBe('daemon-unreachable');
  expect(server.seen).toHaveLength(quick.attempts);
  expect((await refusal(all(linstock.events({ follow: true, subject: 'vm_old' })))).fault.code).toBe('events-compacted');
});
