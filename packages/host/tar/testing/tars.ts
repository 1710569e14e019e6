/** Tar archives made by hand, as strange as a test wants them. */

export type TarPart = {
  name: string;
  prefix?: string;
  /** `0` (a file) unless told */
  type?: string;
  link?: string;
  data?: string | Uint8Array;
  mode?: number;
  uid?: number;
  gid?: number;
  /** as GNU wrote it before POSIX had the format */
  gnu?: boolean;
  /** what the header says, whatever follows */
  size?: number;
  /** bytes put over the finished header, by offset; the sum is made of them unless they are the sum */
  raw?: Readonly<Record<number, readonly number[]>>;
};

const BLOCK = 512;

/** `end`: the two empty blocks. */
export function tarOf(parts: readonly TarPart[], end = true): Buffer {
  return Buffer.concat([...parts.map(partOf), ...(end ? [Buffer.alloc(2 * BLOCK)] : [])]);
}

function partOf(part: TarPart): Buffer {
  const data = Buffer.from(part.data ?? '');
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): unknown =>
    head.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  head.write(part.name, 0, 100);
  octal(part.mode ?? 0o644, 100, 8);
  octal(part.uid ?? 0, 108, 8);
  octal(part.gid ?? 0, 116, 8);
  octal(part.size ?? data.length, 124, 12);
  octal(0, 136, 12);
  head.write(part.type ?? '0', 156, 'latin1');
  head.write(part.link ?? '', 157, 100);
  head.write(part.gnu === true ? 'ustar  ' : 'ustar\u000000', 257, 'latin1');
  head.write(part.prefix ?? '', 345, 155);
  for (const [at, bytes] of Object.entries(part.raw ?? {})) Buffer.from(bytes).copy(head, Number(at));
  if (part.raw?.[148] === undefined) {
    head.fill(' ', 148, 156);
    head.write(
      `${head
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
  }
  return Buffer.concat([head, data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}
