/** Two things that lie inside of a kernel: the archive that becomes its first root, and its own configuration. Pure; never throws. */
import { isAt, latin1, u16 } from '../bytes.ts';
import { compressionOf } from './image.ts';
import type { Compression } from './image.ts';
import { findNeedles, wordsOf } from './needles.ts';
import type { Range } from './needles.ts';

/** `entries` null: it is compressed, and how many there are is not seen. */
export type EmbeddedArchive = Range & { compression: Compression; entries: number | null };

/** The archive that every kernel with initrd support holds when nobody gave it another one: /dev, /dev/console, /root, and the end mark. */
const USUAL_ENTRIES = 4;
/** That archive has 512 bytes, compressed 130 to 200. */
const USUAL_BYTES = 512;
const LEAST_ARCHIVE_BYTES = 64;
const CPIO_HEADER_BYTES = 110;
const MAX_CPIO_ENTRIES = 100_000;
/** The first two bytes of a cpio archive and of each compression: nearly every place is passed over by a look at them. */
const STARTS = new Uint8Array(0x1_0000);
for (const two of ['07', '\x1f\x8b', '\xfd7', '\x28\xb5', 'BZ', '\x02\x21', '\x89L', '\x5d\0'])
  STARTS[two.charCodeAt(0) | (two.charCodeAt(1) << 8)] = 1;

/**
 * usr/initramfs_data.S puts the archive at a multiple of 4 and its length as 64 bits at the next multiple of 8 after it
 * (INIT_RAM_FS in include/asm-generic/vmlinux.lds.h, the same from 4.14 to 6.18). So the archive is where a length has, just that far before
 * it, the first bytes of one. Null: there is none, which is how a kernel without CONFIG_BLK_DEV_INITRD looks.
 */
export function embeddedArchive(file: Uint8Array, ranges: readonly Range[]): EmbeddedArchive | null {
  const words = wordsOf(file);
  // It lies with the data that is only needed at the start, which is linked last.
  for (const { from, to } of ranges.toReversed()) {
    const first = Math.max(0, from);
    for (let at = Math.floor((Math.min(to, file.length) - 8) / 8) * 8; at >= first; at -= 8) {
      const bytes = words[at >>> 2] ?? 0;
      if (bytes < LEAST_ARCHIVE_BYTES || bytes > at - from || words[(at >>> 2) + 1] !== 0) continue;
      // Up to 7 bytes lie between the end of the archive and its length.
      for (let start = Math.ceil((at - bytes - 7) / 4) * 4; start + bytes <= at; start += 4) {
        if (STARTS[u16(file, start)] === 0) continue;
        const compression = archiveAt(file, start, bytes);
        if (compression === null) continue;
        return {
          from: start,
          to: start + bytes,
          compression,
          entries: compression === 'none' ? cpioEntries(file, start, start + bytes) : null,
        };
      }
    }
  }
  return null;
}

function archiveAt(file: Uint8Array, at: number, bytes: number): Compression | null {
  if (isAt(file, at, '07070')) return isCpioHeader(file, at) ? 'none' : null;
  const compression = compressionOf(file.subarray(at, at + bytes));
  if (compression === 'unknown' || compression === 'none') return null;
  return beginsWhole(file, at, compression) ? compression : null;
}

/** Two or three bytes of magic occur by chance in a kernel: what the tools of the kernel's build always write behind them does not. */
function beginsWhole(file: Uint8Array, at: number, compression: Compression): boolean {
  switch (compression) {
    case 'gzip':
      return ((file[at + 3] ?? 0xff) & 0xe0) === 0 && ((file[at + 8] ?? 1) & ~6) === 0 && (file[at + 9] ?? 0) === 3;
    case 'bzip2':
      return isAt(file, at + 4, '1AY&SY');
    case 'lzma':
      return isAt(file, at + 5, '\xff\xff\xff\xff\xff\xff\xff\xff');
    default:
      return true;
  }
}

const isCpioHeader = (file: Uint8Array, at: number): boolean =>
  /^07070[12][0-9a-fA-F]{104}$/.test(latin1(file, at, at + CPIO_HEADER_BYTES));

/** Entries of a newc archive with its end mark; what cannot be followed ends the count. */
function cpioEntries(file: Uint8Array, from: number, to: number): number {
  let entries = 0;
  let at = from;
  while (entries < MAX_CPIO_ENTRIES && at + CPIO_HEADER_BYTES <= to && isCpioHeader(file, at)) {
    entries++;
    const field = (index: number): number => Number.parseInt(latin1(file, at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameBytes = field(11);
    if (isAt(file, at + CPIO_HEADER_BYTES, 'TRAILER!!!')) break;
    at = from + align4(align4(at - from + CPIO_HEADER_BYTES + nameBytes) + field(6));
  }
  return entries;
}

const align4 = (length: number): number => Math.ceil(length / 4) * 4;

/** Whether an archive holds more than what every kernel has. */
export function isUsualArchive({ from, to, entries }: EmbeddedArchive): boolean {
  return entries === null ? to - from <= USUAL_BYTES : entries <= USUAL_ENTRIES;
}

/** kernel/configs.c: the compressed configuration stands between two marks, which survive strip. */
export const CONFIG_MARK = 'IKCFG_ST\x1f\x8b\x08';
const CONFIG_END = 'IKCFG_ED';
const MARK_BYTES = 8;
/** 10 to 60 KB compressed. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Where the gzip data of CONFIG_IKCONFIG lies, from the place of its mark. */
export function configSpan(file: Uint8Array, markAt: number): Range | null {
  const from = markAt + MARK_BYTES;
  const to = Math.min(file.length - CONFIG_END.length, from + MAX_CONFIG_BYTES);
  for (let at = from; at <= to; at++) if (isAt(file, at, CONFIG_END)) return { from, to: at };
  return null;
}

/** Where the mark of CONFIG_IKCONFIG is; null in a kernel without. */
export function configMarkIn(file: Uint8Array, ranges: readonly Range[]): number | null {
  return findNeedles(file, [CONFIG_MARK], ranges).get(CONFIG_MARK)?.[0] ?? null;
}

/** `ranges` without `hole`. */
export function without(ranges: readonly Range[], hole: Range | null): readonly Range[] {
  if (hole === null) return ranges;
  return ranges.flatMap(({ from, to }) =>
    [
      { from, to: Math.min(to, hole.from) },
      { from: Math.max(from, hole.to), to },
    ].filter((part) => part.to > part.from),
  );
}
