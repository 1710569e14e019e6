/**
 * A tar archive as a tree: its headers are read once, its content where it stands. ustar, the long names of GNU and pax, hard links.
 * Source: the formats in POSIX pax(1) and GNU tar's manual ("Basic Tar Format"). As when it is unpacked, a later entry replaces an earlier one.
 */
import type { ImageNode, NodeKind, Unreadable } from '@linstock/core';
import { isUnreadable, unreadable } from './tree.ts';
import type { Backend, Children } from './tree.ts';
import type { ByteSource } from './byte-source.ts';

type Place = { node: ImageNode; offset: number; names: Map<string, Place>; linkedTo: string | null; strange: boolean };

const RECORD = 512;
/** A full desktop has 100,000 files. */
const mostEntries = 250_000;
/** Long names and pax records; PATH_MAX is 4,096. */
const mostExtraBytes = 64 * 1024;
const mostDepth = 128;

export type TarOpened = { ok: true; backend: TarBackend } | { ok: false; say: string };

export async function openTar(source: ByteSource): Promise<TarOpened> {
  const root = folder();
  let extra: Extra = {};
  for (let at = 0, count = 0; at + RECORD <= source.bytes; count++) {
    const header = await source.read(at, RECORD);
    if (isUnreadable(header)) return { ok: false, say: header.why };
    if (header.every((byte) => byte === 0)) return { ok: true, backend: new TarBackend(source, root) };
    if (count > mostEntries) return { ok: false, say: `It has more than ${mostEntries} entries.` };
    if (!sumHolds(header)) return { ok: false, say: `It is damaged: what stands at byte ${at} is no header of a tar archive.` };
    const ownBytes = numberIn(header, 124, 12);
    const type = header.toString('latin1', 156, 157);
    const data = at + RECORD;
    if (type === 'L' || type === 'K' || type === 'x' || type === 'g') {
      const bytes = ownBytes > mostExtraBytes ? unreadable(`a name has ${ownBytes} bytes`) : await source.read(data, ownBytes);
      if (isUnreadable(bytes)) return { ok: false, say: `It is damaged: ${bytes.why}.` };
      if (type === 'L') extra.path = textIn(bytes, 0, bytes.length);
      else if (type === 'K') extra.target = textIn(bytes, 0, bytes.length);
      else if (type === 'x') extra = { ...extra, ...paxRecords(bytes) };
      at = data + padded(ownBytes);
      continue;
    }
    const bytes = extra.bytes ?? ownBytes;
    add(root, header, type, { ...extra, bytes }, data);
    extra = {};
    at = data + (carriesData(type) ? padded(bytes) : 0);
  }
  return { ok: false, say: 'It is cut short: the end of a tar archive is two empty records. Copy it again.' };
}

type Extra = { path?: string; target?: string; bytes?: number };

const carriesData = (type: string): boolean => !'123456'.includes(type) || type === '';
const padded = (bytes: number): number => Math.ceil(bytes / RECORD) * RECORD;

function folder(): Place {
  return place({ kind: 'folder', mode: 0o755, uid: 0, bytes: 0, target: null }, 0);
}
function place(node: ImageNode, offset: number): Place {
  return { node, offset, names: new Map(), linkedTo: null, strange: false };
}

function sumHolds(header: Buffer): boolean {
  // The sum is taken with its own eight bytes as spaces.
  let sum = 8 * 32;
  for (let at = 0; at < RECORD; at++) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum === numberIn(header, 148, 8);
}

/** Octal text, or GNU's big-endian number behind a first byte 0x80. */
function numberIn(header: Buffer, at: number, length: number): number {
  if (header[at] === 0x80) {
    let value = 0;
    for (const byte of header.subarray(at + 1, at + length)) value = value * 256 + byte;
    return Number.isSafeInteger(value) ? value : Number.MAX_SAFE_INTEGER;
  }
  const digits = /^[ \0]*([0-7]+)/.exec(header.toString('latin1', at, at + length));
  return digits?.[1] === undefined ? 0 : Number.parseInt(digits[1], 8);
}

function textIn(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

/** `25 path=usr/share/...\n` records. */
function paxRecords(bytes: Buffer): Extra {
  const extra: Extra = {};
  for (let at = 0; at < bytes.length;) {
    const head = /^(\d{1,6}) ([A-Za-z0-9.]+)=/.exec(bytes.toString('latin1', at, at + 64));
    const length = Number(head?.[1]);
    if (head === null || !(length > head[0].length) || at + length > bytes.length) return extra;
    const value = bytes.toString('utf8', at + head[0].length, at + length - 1);
    if (head[2] === 'path') extra.path = value;
    if (head[2] === 'linkpath') extra.target = value;
    if (head[2] === 'size' && /^\d{1,15}$/.test(value)) extra.bytes = Number(value);
    at += length;
  }
  return extra;
}

const KINDS: Readonly<Record<string, NodeKind>> = { '2': 'symlink', '3': 'device', '4': 'device', '5': 'folder', '6': 'other' };

function add(root: Place, header: Buffer, type: string, extra: Extra & { bytes: number }, offset: number): void {
  const prefix = header.toString('latin1', 257, 262) === 'ustar' && header[262] === 0 ? textIn(header, 345, 155) : '';
  const own = textIn(header, 0, 100);
  const path = extra.path ?? (prefix === '' ? own : `${prefix}/${own}`);
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const name = names.pop();
  if (names.includes('..') || name === '..' || names.length > mostDepth) return; // tar refuses to unpack such names, too
  const link = extra.target ?? textIn(header, 157, 100);
  const kind = KINDS[type] ?? (path.endsWith('/') ? 'folder' : 'file');
  const node: ImageNode = {
    kind,
    mode: numberIn(header, 100, 8) & 0o7777,
    uid: numberIn(header, 108, 8),
    bytes: kind === 'file' && type !== '1' ? extra.bytes : 0,
    target: kind === 'symlink' ? link : null,
  };
  if (name === undefined) {
    if (kind === 'folder') root.node = node;
    return;
  }
  let into = root;
  for (const one of names) {
    const next = into.names.get(one) ?? folder();
    // Below a link the archive would go on where the link leads; no tool that packs a file system writes that.
    if (next.node.kind !== 'folder') next.strange = true;
    into.names.set(one, next);
    into = next;
  }
  const before = into.names.get(name);
  const made = place(node, offset);
  if (type === '1') made.linkedTo = link;
  made.strange = type === 'S' || type === 'M' || type === 'V';
  if (kind === 'folder' && before?.node.kind === 'folder') before.node = node;
  else into.names.set(name, made);
}

export class TarBackend implements Backend<Place> {
  readonly root: Place;
  readonly #source: ByteSource;

  constructor(source: ByteSource, root: Place) {
    this.#source = source;
    this.root = root;
  }

  node(at: Place): Promise<ImageNode | Unreadable> {
    const real = this.#real(at);
    return Promise.resolve(isUnreadable(real) ? real : real.node);
  }

  children(at: Place): Promise<Children<Place> | Unreadable> {
    const names = new Map([...at.names].map(([name, child]) => [name, { at: child, kind: child.node.kind }]));
    return Promise.resolve({ names, whole: !at.strange });
  }

  async content(at: Place, mostBytes: number): Promise<{ bytes: Uint8Array; cut: boolean } | Unreadable> {
    const real = this.#real(at);
    if (isUnreadable(real)) return real;
    if (real.strange) return unreadable('the archive keeps it in pieces (a sparse file)');
    const length = Math.min(real.node.bytes, mostBytes);
    const bytes = await this.#source.read(real.offset, length);
    return isUnreadable(bytes) ? bytes : { bytes, cut: real.node.bytes > length };
  }

  /** A hard link names another entry, which is no link. */
  #real(at: Place): Place | Unreadable {
    if (at.linkedTo === null) return at;
    let real: Place | undefined = this.root;
    for (const name of at.linkedTo.split('/')) if (name !== '' && name !== '.') real = real?.names.get(name);
    return real === undefined || real.linkedTo !== null || real.node.kind !== 'file' ? unreadable('a hard link leads nowhere') : real;
  }
}
