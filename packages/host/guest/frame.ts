/**
 * Framing of the agent channel: guest/agent/PROTOCOL.md has the picture.
 *
 * Promises: the decoder never throws on bytes, never holds more than one frame, and
 * hands on only frames whose checksum is right. How bytes are cut into chunks changes
 * nothing. Its input comes from a hostile guest, so looking for the next frame after
 * damage is bounded too: past the limits the decoder is `broken` for good.
 */
import { crc32 } from 'node:zlib';

export const headerBytes = 20;
/** Keeps both decoders small; larger replies are sent in parts. */
export const maxPayloadBytes = 65_536;
/** Bytes outside of frames before the line counts as noise: a boot log may be that long, more is no agent. */
const maxGarbageBytes = 1_048_576;
/** Damaged frames before the line is given up: each costs a checksum over up to one payload. */
const maxBadFrames = 8;

export const frameKinds = {
  sync: 1,
  'sync-ack': 2,
  request: 3,
  reply: 4,
  stdin: 5,
  'stdin-close': 6,
  stdout: 7,
  stderr: 8,
  exit: 9,
  credit: 10,
  signal: 11,
  cancel: 12,
  lost: 13,
} as const;
export type FrameKind = keyof typeof frameKinds;

const kindOfNumber = new Map<number, FrameKind>(Object.entries(frameKinds).map(([name, number]) => [number, name as FrameKind]));

export type Frame = {
  kind: FrameKind;
  stream: number;
  /** on a reply: the next reply frame of the stream continues it */
  more: boolean;
  payload: Uint8Array;
};

const magic = Buffer.from('LSK1', 'latin1');
const flagMore = 1;

/** The payload must not exceed `maxPayloadBytes`; a longer one is a bug of the caller. */
export function encodeFrame(frame: Frame): Buffer {
  const { kind, stream, more, payload } = frame;
  if (payload.length > maxPayloadBytes) throw new RangeError(`a frame of ${payload.length} bytes`);
  const bytes = Buffer.alloc(headerBytes + payload.length);
  magic.copy(bytes);
  bytes[4] = frameKinds[kind];
  bytes[5] = more ? flagMore : 0;
  bytes.writeUInt32BE(stream, 8);
  bytes.writeUInt32BE(payload.length, 12);
  bytes.set(payload, headerBytes);
  bytes.writeUInt32BE(checksum(bytes), 16);
  return bytes;
}

/** Over header and payload, without the magic and the checksum itself. */
function checksum(frame: Buffer): number {
  return crc32(frame.subarray(headerBytes), crc32(frame.subarray(4, 16)));
}

export type Fed = {
  frames: Frame[];
  /** why the line was given up; `null` while it is good */
  broken: 'noise' | 'damage' | null;
};

export class FrameDecoder {
  #chunks: Buffer[] = [];
  #held = 0;
  /** bytes needed before it is worth looking again */
  #needed = 0;
  #garbageBytes = 0;
  #badFrames = 0;

  /** bytes that belonged to no frame, since the start */
  get garbageBytes(): number {
    return this.#garbageBytes;
  }

  /** starts of frames that turned out damaged, since the start */
  get badFrames(): number {
    return this.#badFrames;
  }

  feed(chunk: Uint8Array): Fed {
    const fed: Fed = { frames: [], broken: this.#broken() };
    if (fed.broken !== null) return fed;
    this.#chunks.push(Buffer.from(chunk)); // a copy: the caller may reuse its buffer
    this.#held += chunk.length;
    // Joining at every byte of a slow line would cost the square of a frame's length.
    if (this.#held < this.#needed) return fed;
    const data = Buffer.concat(this.#chunks);
    const at = this.#drain(data, fed.frames);
    fed.broken = this.#broken();
    const rest = fed.broken === null ? data.subarray(at) : Buffer.alloc(0);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    return fed;
  }

  #broken(): Fed['broken'] {
    if (this.#badFrames > maxBadFrames) return 'damage';
    return this.#garbageBytes > maxGarbageBytes ? 'noise' : null;
  }

  /** Says up to where `data` is done with. */
  #drain(data: Buffer, frames: Frame[]): number {
    let at = 0;
    while (this.#broken() === null) {
      const start = nextMagic(data, at);
      this.#garbageBytes += start - at;
      at = start;
      this.#needed = 0; // an unfinished header is short: joining it again costs nothing
      if (data.length - at < headerBytes) return at;
      const kind = kindOfNumber.get(data.readUInt8(at + 4));
      const size = headerBytes + data.readUInt32BE(at + 12);
      const good = kind !== undefined && goodHeader(data, at, kind);
      if (good && data.length - at < size) {
        this.#needed = size;
        return at;
      }
      const frame = data.subarray(at, at + size);
      if (!good || checksum(frame) !== frame.readUInt32BE(16)) {
        // One byte, not the whole frame: a good one may be inside.
        this.#badFrames += 1;
        this.#garbageBytes += 1;
        at += 1;
        continue;
      }
      frames.push({
        kind,
        stream: frame.readUInt32BE(8),
        more: frame[5] === flagMore,
        payload: frame.subarray(headerBytes),
      });
      at += size;
    }
    return at;
  }
}

function goodHeader(data: Buffer, at: number, kind: FrameKind): boolean {
  const flags = data.readUInt8(at + 5);
  return (
    (flags === 0 || (flags === flagMore && kind === 'reply')) &&
    data.readUInt16BE(at + 6) === 0 &&
    data.readUInt32BE(at + 12) <= maxPayloadBytes
  );
}

/** Where a magic, or what may become one, starts; the end of the data if nowhere. */
function nextMagic(data: Buffer, from: number): number {
  const found = data.indexOf(magic, from);
  if (found >= 0) return found;
  for (let keep = Math.min(magic.length - 1, data.length - from); keep > 0; keep -= 1) {
    if (magic.subarray(0, keep).equals(data.subarray(data.length - keep))) return data.length - keep;
  }
  return data.length;
}

/**
 * Where the sync-ack with this nonce starts, or `null`. The nonce is random, so no earlier
 * byte of the line can hold it by chance: unlike decoding, this cannot be led astray by a
 * frame that the agent could not finish for an earlier host.
 */
export function findSyncAck(data: Buffer, nonce: Uint8Array): number | null {
  for (let at = data.indexOf(nonce); at >= 0; at = data.indexOf(nonce, at + 1)) {
    const start = at - headerBytes;
    if (start >= 0 && data.subarray(start, start + 4).equals(magic) && data[start + 4] === frameKinds['sync-ack']) {
      return start;
    }
  }
  return null;
}
