import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectIn } from './sockets.ts';

let folder: string;
let server: Server;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-sockets-'));
  server = createServer((socket) => socket.pipe(socket).on('error', () => {}));
  server.listen(join(folder, 's.sock'));
  await once(server, 'listening');
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

it('hands over a socket whose peer may die before anybody listens: that must not end the process', async () => {
  const socket = await connectIn(folder, 's.sock');
  expect(() => socket.emit('error', Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).not.toThrow();
  socket.destroy();
});

it('rejects with the reason when nobody listens', async () => {
  await expect(connectIn(folder, 'other.sock')).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(connectIn(folder, 's.sock', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
