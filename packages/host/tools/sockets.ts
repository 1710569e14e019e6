/**
 * The hand for sockets of a VMM. Two promises:
 * - the last name is not followed when it is a link: a jailed VMM that was taken over could put a link to another socket of the host where
 *   its own was, and we, who are root, would talk to that one;
 * - the path may be longer than the 107 bytes of sun_path (unix(7)): a VMM is run inside its folder and names its sockets without it.
 *
 * An O_PATH descriptor names the socket itself; /proc/self/fd/N leads to it whatever happens to the name (open(2), proc(5)). All folders
 * above the last name must be ones that only root writes: those of a boot, and the root of a jail as jail.ts makes it.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';

/** Not in node:fs; include/uapi/asm-generic/fcntl.h, the same on x86 and arm64. */
const O_PATH = 0o10000000;

export type SocketPlace = { folder: string; name: string };

/** A connected socket. Rejects with the system's error: ENOENT and ECONNREFUSED mean that nobody listens, ENOTSOCK that something else lies there. */
export async function connectTo(place: SocketPlace, signal?: AbortSignal): Promise<Socket> {
  signal?.throwIfAborted();
  const file = await open(join(place.folder, place.name), O_PATH | constants.O_NOFOLLOW);
  let socket: Socket;
  try {
    if (!(await file.stat()).isSocket()) throw Object.assign(new Error(`${place.name} is no socket`), { code: 'ENOTSOCK' });
    socket = await connected(`/proc/self/fd/${file.fd}`, signal);
  } finally {
    await file.close();
  }
  // whoever gets it listens from now on: an abort that came while the file was closed would be heard by nobody
  if (signal?.aborted === true) {
    socket.destroy();
    throw signal.reason;
  }
  return socket;
}

function connected(path: string, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason); // while the socket was looked at
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
