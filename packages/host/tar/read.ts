/**
 * Reads tar archives: ustar, GNU (long names, numbers in base 256) and PAX, as package tools and container builders write them. Whatever an
 * archive says, reading it ends, with its entries or with what is wrong; the bytes of files are not read, only where they are.
 *
 * It judges nothing that people may see differently: an entry that climbs, or of an unknown kind, is told as such. Who builds an image refuses
 * it (images/tree/tar-read.ts); who looks at one passes it over, or says that it cannot be known (rootfs/tar-backend.ts).
 */
import type { ByteSource } from '../rootfs/byte-source.ts';
import { isUnreadable } from '../rootfs/tree.ts';
import { normalPath } from '../images/tree/tree.ts';
import { readHeader, tarBlockBytes, untilZero } from './header.ts';
import { PAX_XATTR, parsePax } from './pax.ts';
import type { PaxRecords } from './pax.ts';

export type TarKind = 'file' | 'folder' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';
export type TarEntry = {
  is: 'entry';
  /** as it is written; null: no UTF-8, so that it could not be told from another one once both are shown */
  name: string | null;
  /** normal, without slash at either end, empty for the root; null for a name that no file in an image can have */
  path: string | null;
  /** `unknown`: of a kind that is not known here, or a sparse file, which is kept in pieces */
  kind: TarKind | 'unknown';
  /** the letter of the kind */
  type: string;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  /** where a symlink leads, as it is written; of a hard link, the normal path of the other name; null for what neither can have */
  link: string | null;
  major: number;
  minor: number;
  xattrs: ReadonlyMap<string, Uint8Array>;
  /** where its bytes begin in the source, and how many there are */
  at: number;
  bytes: number;
};
/** Comes last, and once. `marked`: two empty blocks say that it is the end, so nothing was cut off. */
export type TarEnd = { is: 'end'; marked: boolean } | { is: 'damaged'; say: string };

/** Debian's largest desktops have 300,000 files. */
export const mostTarEntries = 1_000_000;
/** PAX records of one entry: a path, a link and some attributes; an attribute has 64 KiB at most (xattr(7)). */
const mostExtensionBytes = 1024 * 1024;
const mostLinkBytes = 4_095;
const mostTime = 0x7fff_ffff;
const mostId = 0xffff_fffe;
const KINDS: Readonly<Record<string, TarKind>> = {
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
const utf8 = new TextDecoder('utf-8', { fatal: true });

export async function* readTar(source: ByteSource, signal?: AbortSignal): AsyncGenerator<TarEntry | TarEnd> {
  const damaged = (say: string): TarEnd => ({ is: 'damaged', say });
  let global: PaxRecords = new Map();
  let own: PaxRecords = new Map();
  let long: { name: Buffer | null; link: Buffer | null } = { name: null, link: null };
  for (let at = 0, blocks = 0, entries = 0; at < source.bytes; blocks++) {
    if (blocks % 4096 === 0) signal?.throwIfAborted();
    if (at + tarBlockBytes > source.bytes) return yield damaged('it is cut short in the middle of a header.');
    const block = await source.read(at, tarBlockBytes);
    if (isUnreadable(block)) return yield damaged(`${block.why}.`);
    if (block.every((byte) => byte === 0)) return yield { is: 'end', marked: true }; // what follows is padding
    const header = readHeader(block);
    if (header === null) return yield damaged(`there is no tar header ${at} bytes in: it is damaged, or no tar archive.`);
    const { type } = header;
    const isExtension = type === 'x' || type === 'g' || type === 'L' || type === 'K';
    const pax: PaxRecords = isExtension ? new Map() : new Map([...global, ...own]);
    const known = KINDS[type];
    // as Go's archive/tar, which most images were written with: links, folders and devices have no bytes, whatever their size says
    const bytes = isExtension || known === 'file' || known === undefined ? (numberOf(pax.get('size')) ?? header.bytes) : 0;
    if (bytes === null) return yield damaged('an entry has no size.');
    const data = at + tarBlockBytes;
    at = data + Math.ceil(bytes / tarBlockBytes) * tarBlockBytes;
    if (data + bytes > source.bytes) return yield damaged('it is cut short in the middle of a file.');
    if (isExtension) {
      if (bytes > mostExtensionBytes) return yield damaged(`an extended header has ${bytes} bytes.`);
      const body = await source.read(data, bytes);
      if (isUnreadable(body)) return yield damaged(`${body.why}.`);
      if (type === 'L') long = { ...long, name: untilZero(body) };
      else if (type === 'K') long = { ...long, link: untilZero(body) };
      else {
        const records = parsePax(body);
        if (records === null) return yield damaged('an extended header is damaged.');
        if (type === 'x') own = records;
        else global = new Map([...global, ...records]);
      }
      continue;
    }
    if (++entries > mostTarEntries) return yield damaged(`it has more than ${mostTarEntries} entries.`);
    const isSparse = [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'));
    const prefix = header.prefix.length === 0 ? header.name : Buffer.concat([header.prefix, Buffer.from('/'), header.name]);
    const name = textOf(pax.get('GNU.sparse.name') ?? pax.get('path') ?? long.name ?? prefix);
    // old archives mark a folder by the slash at its end only
    const isFolder = known === 'file' && name?.endsWith('/') === true;
    const kind = isSparse || known === undefined ? 'unknown' : isFolder ? 'folder' : known;
    yield {
      is: 'entry',
      name,
      path: name === null ? null : normalPath(name),
      kind,
      type: isSparse ? 'S' : type,
      mode: (header.mode ?? 0) & 0o7777,
      uid: bounded(numberOf(pax.get('uid')) ?? header.uid, mostId),
      gid: bounded(numberOf(pax.get('gid')) ?? header.gid, mostId),
      mtime: bounded(numberOf(pax.get('mtime')) ?? header.mtime, mostTime),
      link: kind === 'symlink' || kind === 'hardlink' ? linkOf(textOf(pax.get('linkpath') ?? long.link ?? header.link), kind) : '',
      major: bounded(header.major, 0xfff),
      minor: bounded(header.minor, 0xfffff),
      xattrs: xattrsOf(pax),
      at: data,
      bytes: isFolder ? 0 : bytes,
    };
    own = new Map();
    long = { name: null, link: null };
  }
  yield { is: 'end', marked: false };
}

/** A decimal number of a PAX record, its fraction cut off. */
function numberOf(value: Buffer | undefined): number | null {
  const digits = /^(\d{1,15})(?:\.\d*)?$/.exec(value?.toString('latin1') ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

function bounded(value: number | null, most: number): number {
  return Math.min(value ?? 0, most);
}

function xattrsOf(pax: PaxRecords): ReadonlyMap<string, Uint8Array> {
  // copied: what was read belongs to a page of the source
  return new Map(
    [...pax].filter(([key]) => key.startsWith(PAX_XATTR)).map(([key, value]) => [key.slice(PAX_XATTR.length), Buffer.from(value)]),
  );
}

function linkOf(target: string | null, kind: 'symlink' | 'hardlink'): string | null {
  if (target === null || target === '' || target.includes('\0') || Buffer.byteLength(target) > mostLinkBytes) return null;
  return kind === 'symlink' ? target : normalPath(target) || null;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null; // no UTF-8, which is an answer here
  }
}
