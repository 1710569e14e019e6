/**
 * The sync handshake: from a line that may hold anything to one where both ends agree.
 *
 * A virtio-serial line has no connections. An earlier host may have died in the middle of
 * a frame, and the agent in the middle of an answer; PROTOCOL.md says why what is done
 * here finds the thread again in every case.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

import { z } from 'zod';

import { absent, absentBecause, type Absent } from './connect.ts';
import { sayIssue, text } from './facts.ts';
import { encodeFrame, findSyncAck, FrameDecoder, headerBytes, maxPayloadBytes } from './frame.ts';
import type { Frame } from './frame.ts';

const helloSchema = z.object({
  protocol: z.int().min(0),
  agent: text(64),
  pid: z.int().min(1),
  bootId: text(64),
  transport: text(64),
});
export type GuestHello = z.output<typeof helloSchema>;

const protocolVersion = 1;
const nonceBytes = 16;
/** What an agent may have left in the line for earlier hosts, plus the noise of a boot. */
const maxHandshakeBytes = 4 * 1_048_576;

export type Shaken = { is: 'open'; stream: Duplex; decoder: FrameDecoder; hello: GuestHello; early: readonly Frame[] } | Absent;

/** `hasPast`: earlier hosts may have used this line. */
export function shakeHands(stream: Duplex, hasPast: boolean, signal: AbortSignal): Promise<Shaken> {
  const { promise, resolve } = Promise.withResolvers<Shaken>();
  const nonce = randomBytes(nonceBytes);
  const decoder = new FrameDecoder();
  let held = Buffer.alloc(0);
  let seenBytes = 0;
  let found = false;
  const settle = (shaken: Shaken): void => {
    signal.removeEventListener('abort', onAbort);
    stream.off('data', onData).off('error', onError).off('close', onClose);
    if (shaken.is === 'absent') {
      stream.on('error', () => undefined); // nobody has it any more, so nobody needs to hear
      stream.destroy();
    }
    resolve(shaken);
  };
  const onAbort = (): void => settle(absent('aborted', 'while waiting for sync-ack', seenBytes));
  const onError = (error: NodeJS.ErrnoException): void => settle(absentBecause(error));
  const onClose = (): void => settle(absent('hung-up', 'while waiting for sync-ack', seenBytes));
  const onData = (chunk: Buffer): void => {
    seenBytes += chunk.length;
    let bytes = chunk;
    if (!found) {
      held = Buffer.concat([held, chunk]);
      const start = findSyncAck(held, nonce);
      if (start === null) {
        if (seenBytes > maxHandshakeBytes) {
          settle(absent('noise', 'no sync-ack among them', seenBytes));
          return;
        }
        // The ack may be cut in two anywhere before its nonce ends.
        held = Buffer.from(held.subarray(Math.max(0, held.length - headerBytes - nonceBytes)));
        return;
      }
      found = true;
      bytes = held.subarray(start);
    }
    const { frames, broken } = decoder.feed(bytes);
    const [ack, ...rest] = frames;
    if (ack === undefined) {
      if (broken !== null) settle(absent('noise', 'a damaged sync-ack', seenBytes));
      return;
    }
    const hello = readHello(ack, nonce);
    if (hello.is === 'bad') settle(absent(hello.as, hello.why, seenBytes));
    else
      settle({
        is: 'open',
        stream,
        decoder,
        hello: hello.value,
        early: rest,
      });
  };
  signal.addEventListener('abort', onAbort, { once: true });
  stream.on('data', onData).on('error', onError).on('close', onClose);
  if (signal.aborted) onAbort();
  else if (stream.destroyed) onClose();
  else {
    // Zeros complete whatever frame an earlier host left half written; see PROTOCOL.md.
    if (hasPast) stream.write(Buffer.alloc(headerBytes + maxPayloadBytes));
    stream.write(encodeFrame({ kind: 'sync', stream: 0, more: false, payload: nonce }));
    stream.resume();
  }
  return promise;
}

type HelloRead = { is: 'ok'; value: GuestHello } | { is: 'bad'; as: 'noise' | 'other-protocol'; why: string };

function readHello(ack: Frame, nonce: Buffer): HelloRead {
  if (ack.kind !== 'sync-ack' || !nonce.equals(ack.payload.subarray(0, nonceBytes))) {
    return { is: 'bad', as: 'noise', why: 'a damaged sync-ack' };
  }
  const hello = helloSchema.safeParse(parseJson(ack.payload.subarray(nonceBytes)));
  if (!hello.success)
    return {
      is: 'bad',
      as: 'other-protocol',
      why: `a hello that does not fit: ${sayIssue(hello.error)}`,
    };
  if (hello.data.protocol !== protocolVersion) {
    return {
      is: 'bad',
      as: 'other-protocol',
      why: `the agent speaks version ${hello.data.protocol}, we ${protocolVersion}`,
    };
  }
  return { is: 'ok', value: hello.data };
}

/** `undefined` for what is not JSON: no JSON text has that value. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return undefined; // a SyntaxError: the guest's fault, and the caller's schema refuses undefined
  }
}
