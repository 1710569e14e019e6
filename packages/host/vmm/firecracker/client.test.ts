import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAnswer } from './answers.ts';
import { FirecrackerClient } from './client.ts';
import { parseVersion } from '@linstock/core';

/** A VMM of which each byte is ours. Answers the n-th request of all connections with the n-th reply; with the last one from then on. */
type Reply = (socket: Socket, asked: string) => void;
let folder: string;
let server: Server | undefined;
let sockets: Set<Socket>;
let asked: string[];
const clients: FirecrackerClient[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'linstock-fc-'));
  sockets = new Set();
  asked = [];
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((done) => (server === undefined ? done() : server.close(() => done())));
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function serve(...replies: readonly Reply[]): Promise<void> {
  const made = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {}); // a client that left early is no failure of the server
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (;;) {
        const head = text.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (head === -1 || text.length < head + 4 + length) return;
        const one = text.slice(0, head + 4 + length);
        text = text.slice(one.length);
        asked.push(one);
        replies[Math.min(asked.length, replies.length) - 1]?.(socket, one);
      }
    });
  });
  server = made;
  await new Promise<void>((done) => made.listen(join(folder, 'api.sock'), done));
}

const aClient = (version = '1.9.1', name = 'api.sock'): FirecrackerClient => {
  const client = new FirecrackerClient({ place: { folder, name }, version: parseVersion(version)! });
  clients.push(client);
  return client;
};
const says =
  (text: string): Reply =>
  (socket) =>
    void socket.write(text, 'latin1');
/** As micro-http writes it: no reason phrase. */
const json = (status: number, body: string, more = ''): string =>
  `HTTP/1.1 ${status} \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n${more}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const noContent = 'HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n';
const running = json(200, '{"id":"boot-1","state":"Running","vmm_version":"1.9.1","app_name":"Firecracker"}');

describe('on the wire', () => {
  test('one connection, kept; the length is there, in bytes; nothing is chunked', async () => {
    let connections = 0;
    await serve(says(noContent), says(running), says(noContent));
    server?.on('connection', () => (connections += 1));
    const client = aClient();
    const body = { kernel_image_path: '/kernel-ä', boot_args: 'panic=1' };
    expect(await client.call('PUT /boot-source', body)).toEqual({ is: 'ok', value: null, deprecated: false });
    expect(await client.instance()).toEqual({ is: 'ok', deprecated: false, value: { id: 'boot-1', state: 'Running', version: '1.9.1' } });
    expect((await client.setState('Paused')).is).toBe('ok');
    expect(connections).toBe(1);
    expect(asked[0]).toMatch(/^PUT \/boot-source HTTP\/1\.1\r\n/);
    expect(asked[0]).toContain(`content-length: ${Buffer.byteLength(JSON.stringify(body))}`);
    expect(asked.join('')).not.toMatch(/transfer-encoding|expect:/i);
    expect(asked[1]).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
  });

  test('many at once go one after another', async () => {
    let open = 0;
    let most = 0;
    await serve((socket) => {
      open += 1;
      most = Math.max(most, open);
      setImmediate(() => {
        open -= 1;
        socket.write(running);
      });
    });
    const client = aClient();
    const answers = await Promise.all(Array.from({ length: 30 }, () => client.instance()));
    expect(answers.every(({ is }) => is === 'ok')).toBe(true);
    expect(most).toBe(1);
    expect(sockets.size).toBe(1);
  });

  test('the id in the path is the one of the body, or the one given', async () => {
    await serve(says(noContent));
    const client = aClient('1.16.1');
    await client.call('PUT /drives/{drive_id}', { drive_id: 'root', is_root_device: false, path_on_host: '/disk' });
    await client.call('DELETE /drives/{drive_id}', undefined, { id: 'root' });
    expect(asked.map((text) => text.split(' HTTP')[0])).toEqual(['PUT /drives/root', 'DELETE /drives/root']);
    expect(await client.call('DELETE /drives/{drive_id}', undefined, { id: '../vm' })).toMatchObject({ is: 'refused', status: 0 });
  });
});

describe('refused by us, before anything is sent', () => {
  test.each([
    [
      '1.9.1',
      'PUT /snapshot/load',
      { snapshot_path: 's', mem_backend: { backend_type: 'File', backend_path: 'm' }, vsock_override: { uds_path: 'v' } },
      'Firecracker 1.9.1 has no /vsock_override: it came with 1.16.0',
    ],
    [
      '1.15.0',
      'PUT /snapshot/load',
      { snapshot_path: 's', mem_backend: { backend_type: 'File', backend_path: 'm' }, clock_realtime: true },
      '1.14.4 has it, 1.15.0 does not, 1.15.1 and newer have it',
    ],
    ['1.13.1', 'PUT /serial', { serial_out_path: 'console' }, 'Firecracker 1.13.1 has no PUT /serial: it came with 1.14.0'],
    ['1.16.1', 'PUT /boot-source', { kernel_image_path: 'k', bootargs: 'quiet' }, 'No version of Firecracker has a field /bootargs'],
    ['1.16.1', 'PUT /metrics', { metrics_path: 'm', emit: true }, 'ignore it in silence'],
    ['1.16.1', 'PUT /machine-config', { vcpu_count: 33, mem_size_mib: 128 }, '/vcpu_count is 33 and must be a whole number from 1 to 32'],
    ['1.16.1', 'PUT /machine-config', { vcpu_count: 1 }, '/mem_size_mib is missing'],
    ['1.16.1', 'PUT /machine-config', { vcpu_count: 3, mem_size_mib: 128, smt: true }, '1 or even'],
    ['1.16.1', 'PUT /drives/{drive_id}', { drive_id: 'root-disk', is_root_device: true, path_on_host: 'd' }, 'letters, digits and _'],
    ['1.16.1', 'PUT /drives/{drive_id}', { drive_id: 'root', is_root_device: true }, 'exactly one of path_on_host and socket'],
    ['1.16.1', 'PUT /vsock', { guest_cid: 2, uds_path: 'v' }, 'from 3'],
    ['1.16.1', 'PUT /machine-config', { vcpu_count: 1, mem_size_mib: 1, smt: null }, '/smt is null and must be true or false'],
    ['1.16.1', 'PUT /machine-config', { vcpu_count: 1, mem_size_mib: 1, cpu_template: 'V1N1' }, '/cpu_template is the text "V1N1"'],
    [
      '1.16.1',
      'PUT /network-interfaces/{iface_id}',
      { iface_id: 'a', host_dev_name: 'b', guest_mac: '6:0:0:0:0:1' },
      'six pairs of hexadecimal digits',
    ],
    ['1.16.1', 'PUT /mmds/config', { network_interfaces: ['a'], ipv4_address: '1.2.3' }, 'an IPv4 address'],
    ['1.16.1', 'PUT /logger', { level: 'loud' }, 'Off, Error, Warning'],
    ['1.16.1', 'GET /', {}, 'takes no body'],
    ['1.16.1', 'PATCH /vm', undefined, 'needs a body'],
    ['1.16.1', 'PATCH /vm', [], 'the body is a list and must be an object'],
  ] as const)('%s %s %j', async (version, name, body, sentence) => {
    await serve(says(noContent));
    expect(await aClient(version).call(name, body)).toMatchObject({
      is: 'refused',
      status: 0,
      says: expect.stringContaining(sentence) as string,
    });
    expect(asked).toEqual([]);
  });
});

test('what stands for absent, and a level as somebody writes it, is sent', async () => {
  await serve(says(noContent));
  const client = aClient('1.16.1');
  expect((await client.call('PUT /logger', { level: 'warn', log_path: null })).is).toBe('ok');
  expect((await client.call('PUT /boot-source', { kernel_image_path: 'k', initrd_path: null, boot_args: null })).is).toBe('ok');
  expect(asked).toHaveLength(2);
});

describe('what Firecracker refuses', () => {
  test.each([
    [
      'the API',
      json(400, '{"fault_message":"The requested operation is not supported after starting the microVM."}'),
      'wrong-phase',
      'The requested operation is not supported after starting the microVM.',
    ],
    [
      'a section',
      json(400, '{"fault_message":"Drive config error: A root block device already exists!"}'),
      'configuration',
      'Drive config error: A root block device already exists!',
    ],
    [
      'a start',
      json(400, '{"fault_message":"Start microvm error: Cannot start microvm without kernel configuration."}'),
      'start',
      'Start microvm error: Cannot start microvm without kernel configuration.',
    ],
    [
      'the HTTP layer, which is not JSON',
      json(400, '{ "error": "Invalid method.\nAll previous unanswered requests will be dropped." }'),
      'malformed',
      'Invalid method. All previous unanswered requests will be dropped.',
    ],
    [
      'the eleventh connection',
      'HTTP/1.1 503\r\nConnection: close\r\nContent-Length: 40\r\n\r\n{ "error": "Too many open connections" }',
      'too-many-connections',
      'Too many open connections',
    ],
    ['too much', json(413, '{"fault_message":"The MMDS patch request doesn\'t fit."}'), 'too-large', "The MMDS patch request doesn't fit."],
    ['plain text', 'HTTP/1.1 500 \r\nContent-Length: 9\r\n\r\nBad read!', 'malformed', 'Bad read!'],
    ['nothing', 'HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n', 'malformed', 'It said nothing.'],
    ['a sentence of a later version', json(400, '{"fault_message":"Quantum error: no cat."}'), 'other', 'Quantum error: no cat.'],
    ['escape sequences', json(400, '{"fault_message":"Logger error: \\u001b[31mred\\u001b[0m"}'), 'configuration', 'Logger error: red'],
  ])('%s', async (_, bytes, kind, sentence) => {
    await serve(says(bytes));
    expect(await aClient().instance()).toMatchObject({ is: 'refused', kind, says: sentence });
  });

  test('a deprecated field is told', async () => {
    await serve(says('HTTP/1.1 204 \r\nDeprecation: true\r\n\r\n'));
    expect(await aClient().call('PUT /vsock', { guest_cid: 3, uds_path: 'v', vsock_id: 'old' })).toMatchObject({
      is: 'ok',
      deprecated: true,
    });
  });
});

describe('gone, late, broken', () => {
  test('nobody was ever there', async () => {
    expect(await aClient().instance()).toEqual({ is: 'gone', why: 'nobody listens (ENOENT)' });
  });

  test('a socket whose owner has died', async () => {
    await serve(says(running));
    const { server: dead } = { server };
    // a listener that is closed takes its file along, so the file of another one is moved here
    const other = createServer().listen(join(folder, 'other.sock'));
    await new Promise((done) => other.once('listening', done));
    const { renameSync } = await import('node:fs');
    renameSync(join(folder, 'other.sock'), join(folder, 'left.sock'));
    await new Promise<void>((done) => other.close(() => done()));
    expect(await aClient('1.9.1', 'left.sock').instance()).toEqual({ is: 'gone', why: 'nobody listens (ECONNREFUSED)' });
    expect(dead).toBeDefined();
  });

  test('a file, or a link to a socket, is not followed', async () => {
    await serve(says(running));
    writeFileSync(join(folder, 'file'), '');
    symlinkSync(join(folder, 'api.sock'), join(folder, 'link'));
    expect(await aClient('1.9.1', 'file').instance()).toEqual({ is: 'gone', why: 'nobody listens (ENOTSOCK)' });
    expect(await aClient('1.9.1', 'link').instance()).toEqual({ is: 'gone', why: 'nobody listens (ENOTSOCK)' });
    expect(asked).toEqual([]);
  });

  test('it hangs up: at once, within the head, within the body', async () => {
    for (const bytes of ['', 'HTTP/1.1 20', 'HTTP/1.1 200 \r\nContent-Length: 50\r\n\r\n{"id":']) {
      asked = [];
      await serve((socket) => socket.end(bytes));
      expect(await aClient().instance()).toMatchObject({
        is: bytes.includes('20') && !bytes.includes('id') ? (expect.stringMatching(/gone|broken/) as string) : 'gone',
      });
      await new Promise<void>((done) => server?.close(() => done()));
      rmSync(join(folder, 'api.sock'), { force: true });
    }
  });

  test('after a hang-up the next call connects anew', async () => {
    await serve((socket) => socket.destroy(), says(running));
    const client = aClient();
    expect((await client.instance()).is).toBe('gone');
    expect((await client.instance()).is).toBe('ok');
  });

  test('late: it answers nothing, or a byte at a time for ever', async () => {
    await serve(() => {});
    expect(await aClient().instance({ deadlineMs: 20 })).toEqual({ is: 'late' });
    await new Promise<void>((done) => {
      for (const socket of sockets) socket.destroy();
      server?.close(() => done());
    });
    await serve((socket) => {
      socket.write('HTTP/1.1 200 \r\nContent-Length: 100000\r\n\r\n');
      const drip = setInterval(() => socket.write('{'), 1);
      socket.on('close', () => clearInterval(drip));
    });
    expect(await aClient().instance({ deadlineMs: 50 })).toEqual({ is: 'late' });
  });

  test('an abort is the caller’s, and is thrown', async () => {
    await serve(() => {});
    const stop = new AbortController();
    const call = aClient().instance({ signal: stop.signal });
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(call).rejects.toThrow('enough');
    await expect(aClient().instance({ signal: stop.signal })).rejects.toThrow('enough');
    // also while others are served
    const client = aClient();
    const [behind, next] = [new AbortController(), client.instance({ deadlineMs: 200 })];
    const waiting = client.instance({ signal: behind.signal });
    behind.abort(new Error('no more'));
    await expect(waiting).rejects.toThrow('no more');
    expect((await next).is).toBe('late');
  });

  test.each([
    ['not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', /HPE_/],
    ['a 200 that is not JSON', json(200, '{"id":'), /not JSON/],
    ['another body', json(200, '{"id":1,"state":"Running","vmm_version":"1.9.1"}'), /another body/],
    ['a state that no version has', json(200, '{"id":"a","state":"Sleeping","vmm_version":"1.9.1"}'), /another body/],
    ['a list', json(200, '[]'), /another body/],
    ['a status that it never sends', json(302, '{}'), /302/],
    ['an upgrade', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', /protocol/],
    ['a head without end', `HTTP/1.1 200 \r\n${`X: ${'y'.repeat(90)}\r\n`.repeat(300)}`, /HPE_HEADER_OVERFLOW/],
    ['a body without end', `HTTP/1.1 200 \r\n\r\n${'x'.repeat(300_000)}`, /more than/],
  ])('broken: %s', async (_, bytes, why) => {
    await serve(says(bytes));
    expect(await aClient().instance()).toMatchObject({ is: 'broken', why: expect.stringMatching(why) as string });
  });
});

test('no bytes of a hostile VMM throw anything, and every answer is one of five', async () => {
  let bytes: Uint8Array = Buffer.alloc(0);
  await serve((socket) => socket.end(bytes));
  const heads = [
    'HTTP/1.1 200 \r\n',
    'HTTP/1.1 400 \r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 204 \r\n\r\n',
    'HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n',
    '',
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...heads), fc.uint8Array({ maxLength: 400 }), async (head, tail) => {
      bytes = Buffer.concat([Buffer.from(head), tail]);
      const client = new FirecrackerClient({ place: { folder, name: 'api.sock' }, version: parseVersion('1.16.1')! });
      expect(['ok', 'refused', 'gone', 'late', 'broken']).toContain((await client.instance({ deadlineMs: 2_000 })).is);
      client.close();
    }),
    { numRuns: 150 },
  );
});

test('any status with any body is an answer', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1, max: 700 }),
      fc.boolean(),
      fc.oneof(fc.string({ unit: 'binary' }), fc.json()),
      (status, old, body) => {
        const answer = readAnswer(status, old, body);
        if (answer.is === 'refused') {
          expect(answer.says).not.toBe('');
          expect(answer.says.length).toBeLessThanOrEqual(1_000);
        }
      },
    ),
  );
});
