import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { requestOf } from './client.ts';
import { MAX_PAYLOAD, tooMany } from './http.ts';
import { Bench, closed } from './run.ts';
import { oneOfEachMinor } from './versions.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.done());

const notJson = (reason: string): string => `{ "error": "${reason}\nAll previous unanswered requests will be dropped." }`;
const get = requestOf('GET', '/version');

describe('what is on the wire', () => {
  test('a 200, a 204, and a refusal, byte by byte', async () => {
    const sim = await bench.withApi('1.9.1');
    const connection = sim.connect();
    connection.send(get);
    await eventually(() => connection.received.endsWith('}'));
    expect(connection.received).toBe(
      'HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{"firecracker_version":"1.9.1"}',
    );
    const second = sim.connect();
    second.send(requestOf('PUT', '/machine-config', { vcpu_count: 1, mem_size_mib: 64 }));
    await eventually(() => second.received.endsWith('\r\n\r\n'));
    expect(second.received).toBe('HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n');
    const refused = await sim.call('PUT', '/machine-config', { vcpu_count: 0, mem_size_mib: 64 });
    expect(refused.line).toBe('HTTP/1.1 400 ');
    expect(Object.keys(JSON.parse(refused.body) as object)).toEqual(['fault_message']);
  });

  test('a connection is kept, and a slash at the end or a whole URL is the same path', async () => {
    const sim = await bench.withApi('1.16.1');
    const connection = sim.connect();
    for (const path of ['/version', '/version/', 'http://localhost/version', '/version/more'])
      expect(await sim.raw(requestOf('GET', path), connection)).toMatchObject({ status: 200 });
    expect(await sim.raw(requestOf('GET', '/version?x'), connection)).toMatchObject({ status: 400 });
    expect(connection.closed).toBe(false);
  });

  test('pipelined requests are answered in their order', async () => {
    const sim = await bench.withApi('1.16.1');
    const connection = sim.connect();
    const first = await sim.raw(get + requestOf('GET', '/') + get, connection);
    const second = await sim.raw('', connection);
    const third = await sim.raw('', connection);
    expect([first.body, second.body.slice(0, 5), third.body]).toEqual([third.body, '{"id"', first.body]);
  });

  test.each([
    ['GET /version\r\n\r\n', 'Invalid request.'],
    ['nonsense\r\n\r\n', 'Invalid request.'],
    ['POST / HTTP/1.1\r\n\r\n', 'Invalid HTTP Method: Unsupported HTTP method.'],
    ['GET  HTTP/1.1\r\n\r\n', 'Invalid URI: Empty URI not allowed.'],
    ['GET / HTTP/2\r\n\r\n', 'Invalid HTTP Version: Unsupported HTTP version.'],
    ['GET / HTTP/1.1\r\nno colon\r\n\r\n', 'Invalid header. Reason: Header is incorrectly formatted. Key: no colon'],
    ['PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n', 'Invalid header. Reason: Invalid value. Key:Content-Length; Value: x'],
    [
      'GET / HTTP/1.1\r\nAccept-Encoding: identity;q=0\r\n\r\n',
      'Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value:identity;q=0',
    ],
    [`GET /${'x'.repeat(1100)} HTTP/1.1\r\n\r\n`, 'Invalid request.'],
    [
      `PUT /mmds HTTP/1.1\r\nContent-Length: ${MAX_PAYLOAD + 1}\r\n\r\n`,
      'Request payload with size 51201 is larger than the limit of 51200 allowed by server.',
    ],
  ])('%j is refused in a body that is no JSON', async (bytes, reason) => {
    const sim = await bench.withApi('1.16.1');
    const answer = await sim.raw(bytes);
    expect(answer).toMatchObject({ status: 400, body: notJson(reason) });
    expect(() => JSON.parse(answer.body) as unknown).toThrow();
  });

  test('a header line of more than 1024 bytes is refused', async () => {
    const sim = await bench.withApi('1.16.1');
    const answer = await sim.raw(`GET / HTTP/1.1\r\nX: ${'y'.repeat(1100)}\r\n\r\n`);
    expect(answer.body).toMatch(/^\{ "error": "Invalid header\. Reason: Invalid content length\. Header: X: y/);
  });

  test.each(oneOfEachMinor)('DELETE is no method before 1.16 (%s)', async (version) => {
    const sim = await bench.withApi(version);
    const answer = await sim.raw(requestOf('DELETE', '/drives/a'));
    if (version === '1.16.1')
      expect(JSON.parse(answer.body)).toEqual({ fault_message: 'The requested operation is not supported before starting the microVM.' });
    else expect(answer.body).toBe(notJson('Invalid HTTP Method: Unsupported HTTP method.'));
  });

  test('a chunked body counts as none, and its bytes as the next request', async () => {
    const sim = await bench.withApi('1.9.1');
    const connection = sim.connect();
    const first = await sim.raw('PUT /machine-config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', connection);
    expect(JSON.parse(first.body)).toEqual({ fault_message: 'Empty PUT request.' });
    expect(await sim.raw('2\r\n{}\r\n0\r\n\r\n', connection)).toMatchObject({ status: 400, body: notJson('Invalid request.') });
    // In one write the error of the chunk drops the request before it.
    const together = await sim.raw('PUT /machine-config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n');
    expect(together).toMatchObject({ status: 400, body: notJson('Invalid request.') });
  });

  test('a body may come in pieces, may be as long as the limit, and Expect is answered', async () => {
    const sim = await bench.withApi('1.16.1');
    const body = JSON.stringify({ k: 'x'.repeat(MAX_PAYLOAD - 8) });
    expect(body.length).toBe(MAX_PAYLOAD);
    const connection = sim.connect();
    const answer = await sim.raw(`PUT /mmds HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`, connection);
    expect(answer).toMatchObject({ line: 'HTTP/1.1 100 ', body: '' });
    connection.send(body.slice(0, 3000));
    expect(await sim.raw(body.slice(3000), connection)).toMatchObject({ status: 204 });
  });

  test('--http-api-max-payload-size moves the limit', async () => {
    const sim = await bench.withApi('1.16.1', {}, ['--http-api-max-payload-size', '20']);
    expect(await sim.call('PUT', '/mmds', { a: 'b' })).toMatchObject({ status: 204 });
    expect((await sim.raw(requestOf('PUT', '/mmds', { a: 'bbbbbbbbbbbbbbbbbbbbbbbb' }))).body).toContain('limit of 20 allowed');
  });
});

describe('connections', () => {
  test('the eleventh is turned away with a 503, and there is room again when one ends', async () => {
    const sim = await bench.withApi('1.16.1');
    const ten = Array.from({ length: 10 }, () => sim.connect());
    for (const connection of ten) expect(await sim.raw(get, connection)).toMatchObject({ status: 200 });
    const eleventh = sim.connect();
    await eventually(() => eleventh.closed);
    expect(eleventh.received).toBe(tooMany);
    ten[0]!.destroy();
    await eventually(async () => (await sim.raw(get)).status === 200);
  });

  test('a half-closed connection is dropped without an answer', async () => {
    const sim = await bench.withApi('1.16.1');
    const connection = sim.connect();
    expect(await sim.raw(get, connection)).toMatchObject({ status: 200 });
    connection.send(get);
    connection.halfClose();
    expect(await sim.raw('', connection)).toEqual(closed);
    expect(await sim.call('GET', '/version')).toMatchObject({ status: 200 });
  });

  test('a call that is being served holds up all others', async () => {
    const sim = await bench.withApi('1.16.1', 'slow=300');
    const order: string[] = [];
    const first = sim.raw(get).then(() => order.push('first'));
    await eventually(() => bench.read('out').includes('API server started'));
    const second = sim.raw(get).then(() => order.push('second'));
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
  });

  test('the socket must not be there before, and stays behind', async () => {
    const first = await bench.withApi('1.16.1');
    const second = bench.run(bench.path('firecracker'), ['--api-sock', 'api']);
    expect(await second.ended()).toEqual({ code: 1, signal: null });
    expect(bench.read('err')).toBe('Error: RunWithApi(FailedToBindSocket("api"))\n');
    expect(bench.read('out')).toContain('Failed to open the API socket at: api. Check that it is not already used.');
    first.child.kill('SIGTERM');
    expect(await first.ended()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(await bench.run(bench.path('firecracker'), ['--api-sock', 'api']).ended()).toMatchObject({ code: 1 });
  });
});
