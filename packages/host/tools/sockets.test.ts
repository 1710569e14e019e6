import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectTo } from './sockets.ts';

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
  const socket = await connectTo({ folder, name: 's.sock' });
  expect(() => socket.emit('error', Object.assign(new Error('reset'), { code: 'ECONNRESET' }))).not.toThrow();
  socket.destroy();
});

it('rejects with the reason when nobody listens', async () => {
  await expect(connectTo({ folder, name: 'other.sock' })).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(connectTo({ folder, name: 's.sock' }, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});

it('does not follow a link, and connects to nothing but a socket', async () => {
  await symlink(join(folder, 's.sock'), join(folder, 'link'));
  await writeFile(join(folder, 'file'), '');
  await expect(connectTo({ folder, name: 'link' })).rejects.toMatchObject({ code: 'ENOTSOCK' });
  await expect(connectTo({ folder, name: 'file' })).rejects.toMatchObject({ code: 'ENOTSOCK' });
});

it('rejects with the reason of an abort, whenever it comes', async () => {
  // each turn of the loop aborts a little later in the life of the connect: before the open, while it is looked at, while it connects, after
  for (let turns = 0; turns < 40; turns += 1) {
    const abort = new AbortController();
    const connecting = connectTo({ folder, name: 's.sock' }, abort.signal).then(
      (socket) => ({ socket, aborted: abort.signal.aborted }),
      (error: unknown) => ({ error, aborted: abort.signal.aborted }),
    );
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error('enough'));
    const end = await connecting;
    if ('socket' in end) {
      expect(end.aborted).toBe(false);
      end.socket.destroy();
    } else {
      expect(end.error).toMatchObject({ message: 'enough' });
    }
  }
});
