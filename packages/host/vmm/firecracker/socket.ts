/**
 * Connecting to a socket that lies where a VMM may write. Two promises:
 * - the last name is not followed when it is a link: a jailed VMM that was taken over could put a link to another socket of the host where
 *   its own was, and we, who are root, would talk to that one;
 * - the path may be longer than the 107 bytes of sun_path (unix(7)).
 *
 * An O_PATH descriptor names the socket itself; /proc/self/fd/N leads to it whatever happens to the name (open(2), proc(5)). All folders
 * above the last name must be ones that only root writes: those of a boot, and the root of a jail as jail.ts makes it.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { connected } from '../../tools/sockets.ts';

/** Not in node:fs; include/uapi/asm-generic/fcntl.h, the same on x86 and arm64. */
const O_PATH = 0o10000000;

export type SocketPlace = { folder: string; name: string };

/** Rejects with the system's error; ENOTSOCK when something else lies there. */
export async function connectTo(place: SocketPlace, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const file = await open(join(place.folder, place.name), O_PATH | constants.O_NOFOLLOW);
  try {
    if (!(await file.stat()).isSocket()) throw Object.assign(new Error(`${place.name} is no socket`), { code: 'ENOTSOCK' });
    return await connected(`/proc/self/fd/${file.fd}`, signal);
  } finally {
    await file.close();
  }
}
