/**
 * Getting a line to a guest: a unix socket of QEMU (virtio-serial), or Firecracker's vsock
 * socket with its CONNECT handshake. Absence is a value: a guest that does not answer yet
 * is the ordinary case while it boots.
 */
import { basename, dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { connectTo } from '../tools/sockets.ts';

/** How far we came says more than that time was up. */
export type Absent = {
  is: 'absent';
  why:
    | 'no-socket' // the VMM has made none, or is gone
    | 'refused' // the file is there, but nobody listens
    | 'not-permitted'
    | 'hung-up' // the other end closed: with vsock, no agent listens in the guest
    | 'silent' // a line, but not one byte of an answer in time
    | 'noise' // bytes, but no answer of an agent among them
    | 'other-protocol' // an agent, of another version
    | 'aborted'
    | 'failed';
  /** bytes that came and were no answer */
  skippedBytes: number;
  /** for people; nothing may be decided by it */
  detail: string;
};

export function absent(why: Absent['why'], detail: string, skippedBytes = 0): Absent {
  return { is: 'absent', why, skippedBytes, detail };
}

const whyOfErrno: Partial<Record<string, Absent['why']>> = {
  ENOENT: 'no-socket',
  ENOTDIR: 'no-socket',
  ECONNREFUSED: 'refused',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  ECONNRESET: 'hung-up',
  EPIPE: 'hung-up',
};

/** The translation of a socket's error, at the hand that got it. */
export function absentBecause(error: NodeJS.ErrnoException): Absent {
  return absent(whyOfErrno[error.code ?? ''] ?? 'failed', error.message);
}

export type Connected = { is: 'open'; stream: Duplex } | Absent;

export async function connectUnix(path: string, signal: AbortSignal): Promise<Connected> {
  try {
    return { is: 'open', stream: await connectTo({ folder: dirname(path), name: basename(path) }, signal) };
  } catch (error) {
    if (signal.aborted) return absent('aborted', 'while connecting');
    return absentBecause(error as NodeJS.ErrnoException);
  }
}

/** The agent's port, see PROTOCOL.md. */
export const agentVsockPort = 1024;
/** "OK 4294967295\n" has 14 bytes. */
const maxOkBytes = 32;

/**
 * Firecracker's handshake on the host's end of vsock: "CONNECT 1024\n" is answered with
 * "OK <host port>\n" when somebody listens in the guest, and with a closed line when not.
 */
export async function connectVsock(path: string, port: number, signal: AbortSignal): Promise<Connected> {
  const connected = await connectUnix(path, signal);
  if (connected.is === 'absent') return connected;
  const { stream } = connected;
  const { promise, resolve } = Promise.withResolvers<Connected>();
  let held = Buffer.alloc(0);
  const settle = (outcome: Connected): void => {
    signal.removeEventListener('abort', onAbort);
    stream.off('data', onData).off('error', onError).off('close', onClose);
    if (outcome.is === 'absent') {
      stream.on('error', () => undefined); // as above
      stream.destroy();
    }
    resolve(outcome);
  };
  const onAbort = (): void => settle(absent('aborted', 'while waiting for OK', held.length));
  const onError = (error: NodeJS.ErrnoException): void => settle(absentBecause(error));
  const onClose = (): void => settle(absent('hung-up', 'the VMM closed the line instead of OK', held.length));
  const onData = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk.subarray(0, maxOkBytes)]);
    const end = held.indexOf('\n');
    if (end < 0 && held.length < maxOkBytes) return;
    if (!/^OK \d{1,10}$/u.test(held.subarray(0, Math.max(end, 0)).toString('latin1'))) {
      settle(absent('noise', 'the answer to CONNECT is not OK', held.length));
      return;
    }
    stream.pause();
    // What follows the line in this chunk belongs to the agent already.
    const rest = chunk.subarray(end + 1 - (held.length - Math.min(chunk.length, maxOkBytes)));
    if (rest.length > 0) stream.unshift(rest);
    settle({ is: 'open', stream });
  };
  signal.addEventListener('abort', onAbort, { once: true });
  stream.on('data', onData).on('error', onError).on('close', onClose);
  if (signal.aborted) onAbort();
  else if (stream.destroyed) onClose(); // before there was a listener
  else stream.write(`CONNECT ${port}\n`);
  return promise;
}
