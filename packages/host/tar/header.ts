/**
 * Headers of tar archives, written and read here and nowhere else. Pure. A size of 8 GiB or more is binary, as GNU tar and star write it.
 * Sources: POSIX.1-2024 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 */

export const tarBlockBytes = 512;

/** Texts stand in a header as bytes, without the zeros behind them; what does not fit is cut: see pax.ts. A number is null where none stands. */
export type TarHeader = {
  name: Buffer;
  type: string;
  mode: number | null;
  uid: number | null;
  gid: number | null;
  bytes: number | null;
  mtime: number | null;
  link: Buffer;
  major: number | null;
  minor: number | null;
  /** the folder of `name`; empty but in POSIX's own format */
  prefix: Buffer;
};
export type TarFields = {
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  link: string;
  type: string;
  device: readonly [number, number];
};

const ORDINARY: TarFields = { mode: 0o644, uid: 0, gid: 0, mtime: 0, link: '', type: '0', device: [0, 0] };
const SIZE = { at: 124, bytes: 12 } as const;
const CHECKSUM = { at: 148, bytes: 8 } as const;
/** The first byte of a number in binary, and of one below zero. */
const BINARY = 0x80;
const NEGATIVE = 0xff;
const mostOctal = 8 ** 11 - 1;

export function headerOf(name: string, bytes: number, fields: Partial<TarFields> = {}): Buffer {
  const { mode, uid, gid, mtime, link, type, device } = { ...ORDINARY, ...fields };
  const block = Buffer.alloc(tarBlockBytes);
  const octal = (value: number, at: number, length: number): void => {
    const most = 8 ** (length - 1) - 1;
    block.write(
      `${Math.min(value, most)
        .toString(8)
        .padStart(length - 1, '0')}\0`,
      at,
      'latin1',
    );
  };
  Buffer.from(name).copy(block, 0, 0, 100);
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  if (bytes <= mostOctal) octal(bytes, SIZE.at, SIZE.bytes);
  else {
    block.writeUInt8(BINARY, SIZE.at);
    block.writeBigUInt64BE(BigInt(bytes), SIZE.at + 4);
  }
  octal(mtime, 136, 12);
  block.write(type, 156, 'latin1');
  Buffer.from(link).copy(block, 157, 0, 100);
  block.write('ustar\u000000', 257, 'latin1');
  octal(device[0], 329, 8);
  octal(device[1], 337, 8);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM.at, 'latin1');
  return block;
}

/** Null for what is no header: another length, or a sum that does not hold. */
export function readHeader(block: Buffer): TarHeader | null {
  if (block.length !== tarBlockBytes || numberIn(block, CHECKSUM.at, CHECKSUM.bytes) !== checksumOf(block)) return null;
  // "ustar" and a zero; GNU's own old format has "ustar  " and other things where the prefix would be
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  return {
    name: untilZero(block.subarray(0, 100)),
    type: String.fromCharCode(block[156] ?? 0),
    mode: numberIn(block, 100, 8),
    uid: numberIn(block, 108, 8),
    gid: numberIn(block, 116, 8),
    bytes: numberIn(block, SIZE.at, SIZE.bytes),
    mtime: numberIn(block, 136, 12),
    link: untilZero(block.subarray(157, 257)),
    major: numberIn(block, 329, 8),
    minor: numberIn(block, 337, 8),
    prefix: isPosix ? untilZero(block.subarray(345, 500)) : Buffer.alloc(0),
  };
}

/** An ordinary file's header; null for any other block. */
export function readFileHeader(block: Buffer): { name: string; bytes: number } | null {
  const header = readHeader(block);
  if (header === null || header.bytes === null || (header.type !== '0' && header.type !== '\0')) return null;
  return { name: header.name.toString('utf8'), bytes: header.bytes };
}

/** Up to the next block. */
export function paddingOf(bytes: number): Buffer {
  return Buffer.alloc((tarBlockBytes - (bytes % tarBlockBytes)) % tarBlockBytes);
}

export function untilZero(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/** The sum of all bytes, those of itself counted as spaces. */
function checksumOf(block: Buffer): number {
  let sum = CHECKSUM.bytes * 0x20;
  for (let at = 0; at < tarBlockBytes; at++) if (at < CHECKSUM.at || at >= CHECKSUM.at + CHECKSUM.bytes) sum += block[at] ?? 0;
  return sum;
}

/** Octal digits, or, with the first bit set, a number in base 256. Nothing at all is 0. Null: neither. */
function numberIn(block: Buffer, at: number, length: number): number | null {
  const field = block.subarray(at, at + length);
  const first = field[0];
  if (first === NEGATIVE) return null;
  if (first === BINARY) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : null;
  }
  const digits = untilZero(field).toString('latin1').trim();
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null;
}
