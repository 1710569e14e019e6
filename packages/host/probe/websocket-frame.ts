/**
 * One WebSocket frame (RFC 6455) from a hostile server. Pure, never throws.
 *
 * Why not the client of `ws`: it tells a missing subprotocol, a wrong accept key and a malformed frame apart only by error text, and a
 * reset from a close not at all. Its frame reader alone is not part of its typed interface. (The tests speak to the server of `ws`.)
 */
export type Frame =
  | { is: 'incomplete' }
  | { is: 'broken'; why: string }
  | {
      is: 'frame';
      kind: 'continuation' | 'text' | 'binary' | 'close' | 'ping' | 'pong';
      final: boolean;
      payload: Uint8Array;
      bytes: number;
    };

/** An RFB banner has 12 bytes, a close frame at most 125: what is longer is not an answer to this question. */
export const MOST_PAYLOAD_BYTES = 32 * 1024;

const kinds = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' } as const;

export function parseFrame(bytes: Uint8Array): Frame {
  const first = bytes[0];
  const second = bytes[1];
  if (first === undefined || second === undefined) return { is: 'incomplete' };
  const opcode = first & 0x0f;
  if ((first & 0x70) !== 0) return { is: 'broken', why: 'a frame uses an extension that was not agreed on' };
  if (!isKind(opcode)) return { is: 'broken', why: `a frame has the unknown opcode ${opcode}` };
  if ((second & 0x80) !== 0) return { is: 'broken', why: 'a frame of the server is masked' };
  const final = (first & 0x80) !== 0;
  const short = second & 0x7f;
  if (opcode >= 8 && (!final || short > 125)) return { is: 'broken', why: 'a control frame is longer than 125 bytes or in pieces' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < start) return { is: 'incomplete' };
  const length = short === 126 ? view.getUint16(2) : short === 127 ? Number(view.getBigUint64(2)) : short;
  if (length > MOST_PAYLOAD_BYTES)
    return { is: 'broken', why: `a frame of ${length} bytes is longer than the ${MOST_PAYLOAD_BYTES} that the probe takes` };
  if (bytes.length < start + length) return { is: 'incomplete' };
  return { is: 'frame', kind: kinds[opcode], final, payload: bytes.subarray(start, start + length), bytes: start + length };
}

function isKind(opcode: number): opcode is keyof typeof kinds {
  return Object.hasOwn(kinds, opcode);
}

/** Code and reason of a close frame; code 1005 stands for "none was given", as in the RFC. */
export function closeOf(payload: Uint8Array): { code: number; reason: string } {
  const [high, low] = payload;
  if (high === undefined || low === undefined) return { code: 1005, reason: '' };
  return { code: high * 256 + low, reason: Buffer.from(payload.subarray(2)).toString('utf8') };
}

/** The good-bye of a client, code 1000. It is masked with zeros, which a server cannot tell from any other mask. */
export const goodbye: Uint8Array = Uint8Array.of(0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8);
