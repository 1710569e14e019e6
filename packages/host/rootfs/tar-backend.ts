/**
 * A tar archive as a tree: its headers are read once, its content where it stands. As when it is unpacked, a later entry replaces an earlier
 * one. Unlike an image that is built of an archive, what is strange in it refuses nothing: it is passed over, or cannot be known.
 */
import type { ImageNode, NodeKind, Unreadable } from '@linstock/core';
import { isUnreadable, unreadable } from './tree.ts';
import type { Backend, Children } from './tree.ts';
import { readTar } from '../tar/read.ts';
import type { TarEntry } from '../tar/read.ts';
import type { ByteSource } from './byte-source.ts';

type Place = { node: ImageNode; offset: number; names: Map<string, Place>; linkedTo: string | null; strange: boolean };

const mostDepth = 128;

export type TarOpened = { ok: true; backend: TarBackend } | { ok: false; say: string };

export async function openTar(source: ByteSource): Promise<TarOpened> {
  const root = folder();
  for await (const entry of readTar(source)) {
    if (entry.is === 'damaged') return { ok: false, say: entry.say };
    if (entry.is === 'entry') add(root, entry);
    else if (!entry.marked) return { ok: false, say: 'it is cut short: the end of a tar archive is two empty records. Copy it again.' };
  }
  return { ok: true, backend: new TarBackend(source, root) };
}

function folder(): Place {
  return place({ kind: 'folder', mode: 0o755, uid: 0, bytes: 0, target: null }, 0);
}
function place(node: ImageNode, offset: number): Place {
  return { node, offset, names: new Map(), linkedTo: null, strange: false };
}

const KINDS: Readonly<Record<TarEntry['kind'], NodeKind>> = {
  file: 'file',
  hardlink: 'file',
  unknown: 'file',
  folder: 'folder',
  symlink: 'symlink',
  char: 'device',
  block: 'device',
  fifo: 'other',
};

function add(root: Place, entry: TarEntry): void {
  if (entry.path === null) return; // tar refuses to unpack names that climb, too
  const names = entry.path.split('/');
  const name = names.pop() ?? '';
  if (names.length > mostDepth) return;
  const kind = KINDS[entry.kind];
  const { mode, uid } = entry;
  const node: ImageNode = {
    kind,
    mode,
    uid,
    bytes: kind === 'file' ? entry.bytes : 0,
    target: kind === 'symlink' ? (entry.link ?? '') : null,
  };
  if (name === '') {
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
  const made = place(node, entry.at);
  if (entry.kind === 'hardlink') made.linkedTo = entry.link ?? '';
  made.strange = entry.kind === 'unknown';
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
