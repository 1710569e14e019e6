/**
 * The hand for sockets in the folder of a boot. A Unix socket address holds 107 bytes (sun_path, unix(7)); a folder may be deeper than
 * that. The VMM is run inside its folder and names its sockets `qmp.sock`; we reach them through /proc/self/fd/N/qmp.sock.
 */
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';

const MAX_PATH_BYTES = 107;

/** A connected socket. Rejects with the system's error: ENOENT and ECONNREFUSED mean that nobody listens. */
export async function connectIn(folder: string, name: string, signal?: AbortSignal): Promise<Socket> {
  signal?.throwIfAborted();
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return await connected(path, signal);
  const directory = await open(folder, 'r');
  try {
    return await connected(`/proc/self/fd/${directory.fd}/${name}`, signal);
  } finally {
    await directory.close();
  }
}

/** The same for a path that the caller has made short enough. */
export function connected(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    // a peer that dies between the connect and the first listener of whoever gets this: without one here that would end the process
    socket.on('error', () => {});
    const leave = (): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const onError = (error: Error): void => {
      leave();
      reject(error);
    };
    const onAbort = (): void => {
      leave();
      socket.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      leave();
      resolve(socket);
    });
  });
}
