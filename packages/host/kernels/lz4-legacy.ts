/**
 * LZ4 "legacy" frames, the only kind the kernel's build uses for CONFIG_KERNEL_LZ4 (Documentation/… says `lz4 -l`): the magic 0x184C2102,
 * then blocks of at most 8 MiB, each after its u32 length, with no end mark. node:zlib has no LZ4. Pure; arbitrary bytes never throw.
 */

const MAGIC = 0x184c2102;

/** The unpacked bytes, or undefined when the data is damaged or longer than `limitBytes` unpacked. */
export function unpackLz4Legacy(source: Buffer, limitBytes: number, expectedBytes: number): Buffer | undefined {
  if (source.length < 8 || source.readUInt32LE(0) !== MAGIC || expectedBytes > limitBytes || expectedBytes < 0) return undefined;
  const out = Buffer.alloc(expectedBytes);
  let written = 0;
  let at = 4;
  // The kernel appends the unpacked size (4 bytes) after the last block: what is left then is too short to be a block.
  while (at + 4 <= source.length && written < expectedBytes) {
    const blockBytes = source.readUInt32LE(at);
    at += 4;
    if (blockBytes === MAGIC) continue; // concatenated frames
    const end = at + blockBytes;
    if (blockBytes === 0 || end > source.length) return undefined;
    const next = unpackBlock(source, at, end, out, written);
    if (next === undefined) return undefined;
    written = next;
    at = end;
  }
  return written === expectedBytes ? out : undefined;
}

/** One block: sequences of literals and copies. Returns the new end of `out`, or undefined when a length leads outside. */
function unpackBlock(source: Buffer, from: number, end: number, out: Buffer, outFrom: number): number | undefined {
  let at = from;
  let to = outFrom;
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      if (at >= end) return -1;
      const more = source[at++] ?? 0;
      length += more;
      if (more !== 255) return length;
    }
  };
  while (at < end) {
    const token = source[at++] ?? 0;
    const literals = lengthFrom(token >> 4);
    if (literals < 0 || at + literals > end || to + literals > out.length) return undefined;
    source.copy(out, to, at, at + literals);
    at += literals;
    to += literals;
    if (at >= end) return to; // the last sequence has literals only
    if (at + 2 > end) return undefined;
    const distance = source.readUInt16LE(at);
    at += 2;
    const extra = lengthFrom(token & 15);
    if (extra < 0) return undefined;
    const length = extra + 4;
    if (distance === 0 || distance > to - outFrom || to + length > out.length) return undefined;
    if (distance >= length) out.copy(out, to, to - distance, to - distance + length);
    else for (let i = 0; i < length; i++) out[to + i] = out[to - distance + i] ?? 0; // overlapping: repeats what was just written
    to += length;
  }
  return to;
}
