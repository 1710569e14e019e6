/**
 * Reads tar archives: ustar, GNU (long names, numbers in base 256) and PAX, as package tools and container builders write them. Whatever an
 * archive says, reading it ends, with its entries or with a fault that says what is wrong; the bytes of files are not read, only where they are.
 *
 * Sources: POSIX.1-2024 pax "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format"; the keyword
 * SCHILY.xattr of star(5).
 */
import type { FileHandle } from 'node:fs/promises';
import { imageFault } from '../refusal.ts';
import { normalPath } from './tree.ts';
import type { FileData } from './tree.ts';

export type TarEntry = {
  /** normal, without slash at either end; empty for the root */
  path: string;
  kind: 'file' | 'folder' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** where a symlink leads, as it is written; of a hard link, the normal path of the other name */
  link: string;
  major: number;
  minor: number;
  xattrs: ReadonlyMap<string, Uint8Array>;
  data: Extract<FileData, { file: string }>;
};

/** A tar archive: a file, or a part of one. */
export type TarSource = { handle: FileHandle; file: string; at: number; bytes: number };

const BLOCK = 512;
/** Debian's largest desktops have 300,000 files. */
export const MOST_ENTRIES = 1_000_000;
/** PAX records of one entry: a path, a link and some attributes; an attribute has 64 KiB at most (xattr(7)). */
const MOST_PAX_BYTES = 1024 * 1024;
const MOST_LINK_BYTES = 4_095;
const MOST_TIME = 0x7fff_ffff;
const MOST_ID = 0xffff_fffe;
const KINDS: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file', // "contiguous": nobody makes a difference
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'folder',
  '6': 'fifo',
};
const text = new TextDecoder('utf-8', { fatal: true });

/** `what` names the archive in faults. */
export async function* readTar(source: TarSource, what: string, signal?: AbortSignal): AsyncGenerator<TarEntry> {
  const wrong = (say: string): Error => imageFault(`${what} cannot be read: ${say}`);
  const read = new Window(source);
  let global: Pax = new Map();
  let pax: Pax = new Map();
  let longName: string | null = null;
  let longLink: string | null = null;
  const end = source.at + source.bytes;
  for (let at = source.at, entries = 0; at < end;) {
    if (entries % 4096 === 0) signal?.throwIfAborted();
    const head = await read.bytes(at, BLOCK);
    if (head.length < BLOCK) throw wrong('it is cut short in the middle of a header.');
    if (head.every((byte) => byte === 0)) return; // the end mark is two such blocks; what follows one is padding
    if (!isChecked(head)) throw wrong(`there is no tar header ${at - source.at} bytes in: it is damaged, or no tar archive.`);
    const type = String.fromCharCode(head[156] ?? 0);
    const kind = KINDS[type];
    const isExtension = type === 'x' || type === 'g' || type === 'L' || type === 'K';
    const header: Pax = isExtension ? new Map() : new Map([...global, ...pax]);
    // as Go's archive/tar, which most images were written with: links, folders and devices have no bytes, whatever their size says
    const size = isExtension || kind === 'file' || kind === undefined ? (numberOf(header.get('size')) ?? numberField(head, 124, 12)) : 0;
    if (size === null || size < 0) throw wrong('an entry has no size.');
    const data = at + BLOCK;
    at = data + Math.ceil(size / BLOCK) * BLOCK;
    if (data + size > end) throw wrong('it is cut short in the middle of a file.');
    if (isExtension) {
      if (size > MOST_PAX_BYTES) throw wrong(`an extended header has ${size} bytes.`);
      const body = await read.bytes(data, size);
      if (type === 'x') pax = parsePax(body) ?? fail('an extended header is damaged.');
      else if (type === 'g') global = new Map([...global, ...(parsePax(body) ?? fail('a global header is damaged.'))]);
      else if (type === 'L') longName = textOf(untilNul(body)) ?? fail('a name is no UTF-8.');
      else longLink = textOf(untilNul(body)) ?? fail('a link is no UTF-8.');
      continue;
    }
    if (++entries > MOST_ENTRIES) throw wrong(`it has more than ${MOST_ENTRIES} entries.`);
    if (kind === undefined || [...header.keys()].some((key) => key.startsWith('GNU.sparse.')))
      throw wrong(`it has an entry of a kind that is not known here (${type === 'S' ? 'a sparse file' : JSON.stringify(type)}).`);
    const given = paxText(header, 'path') ?? longName ?? nameField(head);
    const path = given === null ? null : normalPath(given);
    if (path === null)
      throw wrong(`the name ${JSON.stringify(given?.slice(0, 200) ?? '(no UTF-8)')} is none that a file in an image can have.`);
    // old archives mark a folder by the slash at its end only
    const isFolder = kind === 'folder' || (kind === 'file' && given?.endsWith('/') === true);
    if (path === '' && !isFolder) throw wrong('a file in it has no name.');
    const link =
      kind === 'symlink' || kind === 'hardlink'
        ? linkOf(paxText(header, 'linkpath') ?? longLink ?? textOf(untilNul(head.subarray(157, 257))), kind)
        : '';
    if (link === null) throw wrong(`the link ${JSON.stringify(path)} leads to a name that no file in an image can have.`);
    yield {
      path,
      kind: isFolder ? 'folder' : kind,
      mode: (numberField(head, 100, 8) ?? 0) & 0o7777,
      uid: bounded(numberOf(header.get('uid')) ?? numberField(head, 108, 8), MOST_ID),
      gid: bounded(numberOf(header.get('gid')) ?? numberField(head, 116, 8), MOST_ID),
      mtime: bounded(numberOf(header.get('mtime')) ?? numberField(head, 136, 12), MOST_TIME),
      link,
      major: bounded(numberField(head, 329, 8), 0xfff),
      minor: bounded(numberField(head, 337, 8), 0xfffff),
      xattrs: xattrsOf(header),
      data: { file: source.file, at: data, bytes: kind === 'file' && !isFolder ? size : 0 },
    };
    pax = new Map();
    longName = null;
    longLink = null;
  }

  function fail(say: string): never {
    throw wrong(say);
  }
}

/** Reads an archive in pieces of 256 KiB: small files then cost no call of their own. */
class Window {
  readonly #source: TarSource;
  #start = 0;
  #held: Buffer = Buffer.alloc(0);
  constructor(source: TarSource) {
    this.#source = source;
  }
  /** Fewer bytes than asked for at the end. */
  async bytes(at: number, length: number): Promise<Buffer> {
    const { handle, at: begin, bytes } = this.#source;
    if (at < this.#start || at + length > this.#start + this.#held.length) {
      const most = Math.min(Math.max(length, 256 * 1024), begin + bytes - at);
      const piece = Buffer.alloc(Math.max(0, most));
      let done = 0;
      for (let got = 1; done < piece.length && got > 0; done += got)
        got = (await handle.read(piece, done, piece.length - done, at + done)).bytesRead;
      this.#held = piece.subarray(0, done);
      this.#start = at;
    }
    return this.#held.subarray(at - this.#start, at - this.#start + length);
  }
}

/** The sum of all bytes, those of the sum itself counted as spaces. */
function isChecked(head: Buffer): boolean {
  let sum = 8 * 32;
  for (const [index, byte] of head.entries()) if (index < 148 || index >= 156) sum += byte;
  return numberField(head, 148, 8) === sum;
}

/** Octal digits, or, with the first bit set, a number in base 256. Null: neither. */
function numberField(head: Buffer, at: number, length: number): number | null {
  const field = head.subarray(at, at + length);
  const first = field[0] ?? 0;
  if (first === 0x80 || first === 0xff) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return first === 0xff || !Number.isSafeInteger(value) ? null : value;
  }
  const digits = untilNul(field).toString('latin1').trim();
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null;
}

/** A decimal number of a PAX record, its fraction cut off. */
function numberOf(value: Buffer | undefined): number | null {
  const digits = /^(\d{1,15})(?:\.\d*)?$/.exec(value?.toString('latin1') ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

function bounded(value: number | null, most: number): number {
  return Math.min(Math.max(value ?? 0, 0), most);
}

type Pax = ReadonlyMap<string, Buffer>;

/** Records `LENGTH KEY=VALUE\n`; the length counts itself. */
export function parsePax(body: Buffer): Pax | null {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? '' : body.toString('latin1', at, Math.min(space, at + 8));
    const length = /^\d{1,7}$/.test(digits) ? Number(digits) : 0;
    const last = at + length - 1;
    const equals = body.indexOf(0x3d, space);
    if (length === 0 || last >= body.length || body[last] !== 0x0a || equals < 0 || equals > last) return null;
    records.set(body.toString('utf8', space + 1, equals), body.subarray(equals + 1, last));
    at = last + 1;
  }
  return records;
}

function paxText(pax: Pax, key: string): string | null {
  const value = pax.get(key);
  return value === undefined ? null : textOf(value);
}

const XATTR = 'SCHILY.xattr.';
function xattrsOf(pax: Pax): ReadonlyMap<string, Uint8Array> {
  // copied out of the window, which goes on
  return new Map([...pax].filter(([key]) => key.startsWith(XATTR)).map(([key, value]) => [key.slice(XATTR.length), Buffer.from(value)]));
}

function nameField(head: Buffer): string | null {
  const name = textOf(untilNul(head.subarray(0, 100)));
  // "ustar" and a zero; GNU's own old format has "ustar  " and other things where the prefix would be
  const prefix = head.toString('latin1', 257, 263) === 'ustar\0' ? textOf(untilNul(head.subarray(345, 500))) : '';
  return name === null || prefix === null ? null : prefix === '' ? name : `${prefix}/${name}`;
}

function linkOf(target: string | null, kind: 'symlink' | 'hardlink'): string | null {
  if (target === null || target === '' || target.includes('\0') || Buffer.byteLength(target) > MOST_LINK_BYTES) return null;
  return kind === 'symlink' ? target : normalPath(target) || null;
}

function untilNul(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return text.decode(bytes);
  } catch {
    // not UTF-8: such a name could not be told from another one once both are shown
    return null;
  }
}
