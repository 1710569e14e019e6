/** Headers of a tar (POSIX.1-1988 ustar), of ordinary files only. Pure. A size of 8 GiB or more is binary, as GNU tar and star write it. */

export const tarBlockBytes = 512;

const NAME_BYTES = 100;
const SIZE = { at: 124, bytes: 12 } as const;
const CHECKSUM = { at: 148, bytes: 8 } as const;
/** The first byte of a size in binary. */
const BINARY = 0x80;
const mostOctal = 8 ** 11 - 1;

export function headerOf(name: string, bytes: number): Buffer {
  const block = Buffer.alloc(tarBlockBytes);
  if (Buffer.byteLength(name) >= NAME_BYTES) throw new Error(`${name} is too long for a header`); // ours have 70 bytes
  block.write(name, 0, 'latin1');
  block.write('0000644\0', 100, 'latin1');
  block.write('0000000\0', 108, 'latin1'); // uid
  block.write('0000000\0', 116, 'latin1'); // gid
  if (bytes <= mostOctal) block.write(`${bytes.toString(8).padStart(11, '0')}\0`, SIZE.at, 'latin1');
  else {
    block.writeUInt8(BINARY, SIZE.at);
    block.writeBigUInt64BE(BigInt(bytes), SIZE.at + 4);
  }
  block.write('00000000000\0', 136, 'latin1'); // time
  block.write('0', 156, 'latin1'); // an ordinary file
  block.write('ustar\x0000', 257, 'latin1');
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM.at, 'latin1');
  return block;
}

/** Null for what is no header of an ordinary file. */
export function readHeader(block: Buffer): { name: string; bytes: number } | null {
  if (block.length !== tarBlockBytes || block.toString('latin1', 257, 262) !== 'ustar') return null;
  const type = block[156];
  if (type !== 0x30 && type !== 0) return null;
  if (octal(block.subarray(CHECKSUM.at, CHECKSUM.at + CHECKSUM.bytes)) !== checksumOf(block)) return null;
  const field = block.subarray(SIZE.at, SIZE.at + SIZE.bytes);
  const bytes = field[0] === BINARY ? Number(field.readBigUInt64BE(4)) : octal(field);
  const end = block.indexOf(0);
  const name = block.toString('latin1', 0, end < 0 || end > NAME_BYTES ? NAME_BYTES : end);
  return bytes !== null && Number.isSafeInteger(bytes) ? { name, bytes } : null;
}

/** Up to the next block. */
export function paddingOf(bytes: number): Buffer {
  return Buffer.alloc((tarBlockBytes - (bytes % tarBlockBytes)) % tarBlockBytes);
}

/** The sum of all bytes, those of itself counted as spaces. */
function checksumOf(block: Buffer): number {
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM.at && at < CHECKSUM.at + CHECKSUM.bytes ? 0x20 : byte;
  return sum;
}

function octal(field: Buffer): number | null {
  const text = field
    .toString('latin1')
    .replaceAll(/[\0 ]+$/g, '')
    .trimStart();
  return /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : null;
}
