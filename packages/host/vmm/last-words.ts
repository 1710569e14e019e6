import { open } from 'node:fs/promises';
import { cleanText } from '@linstock/core';
import { isAbsence } from '../tools/files.ts';

/** What of the end of a log is worth reading. */
const TAIL_BYTES = 8_192;
/** More than any sentence of QEMU's; a hostile one ends here. */
const MOST_CHARACTERS = 500;

/** The last lines of a log that say something, as one line fit to be shown; empty when there is no log. */
export async function lastWordsOf(path: string): Promise<string> {
  return lastWords(await tailOf(path, TAIL_BYTES));
}

/** Pure. The last one is kept whole, room permitting: it is the one that says why. */
export function lastWords(text: string, mostLines = 3): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => cleanText(line, MOST_CHARACTERS).trim())
    .filter((line) => line !== '');
  let words = '';
  for (const line of lines.slice(-mostLines).toReversed()) {
    const more = words === '' ? line : `${line} | ${words}`;
    if (more.length > MOST_CHARACTERS) break;
    words = more;
  }
  return words;
}

/** At most this much of the end of a file; empty when there is none. */
export async function tailOf(path: string, bytes: number): Promise<string> {
  return await piece(path, bytes, (size) => Math.max(0, size - bytes));
}

/** At most this much of its beginning. */
export async function headOf(path: string, bytes: number): Promise<string> {
  return await piece(path, bytes, () => 0);
}

async function piece(path: string, bytes: number, from: (size: number) => number): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.min(size, bytes));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from(size));
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isAbsence(error)) return '';
    throw error;
  }
}
