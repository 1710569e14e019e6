/** An image in memory, for tests: paths and what stands there. Folders above a path are there by themselves. */
import type { Absent, Content, ImageNode, ImageView, Listing, Look } from '../view.ts';

export type Piece =
  | { text: string; mode: number }
  | { bytes: Uint8Array; mode: number }
  | { target: string }
  | { folder: true }
  | { unreadable: string };
/** A plain text is a file of mode 644; null takes a path away again. */
export type Pieces = Readonly<Record<string, string | Piece | null>>;

export const link = (target: string): Piece => ({ target });
export const folder: Piece = { folder: true };
export const script = (text: string): Piece => ({ text, mode: 0o755 });
export const unreadable: Piece = { unreadable: 'the test says so' };

/** The head of a program; `loader` is its PT_INTERP. */
export function elf(loader: string | null = null, machine = 62): Piece {
  const bytes = new Uint8Array(512);
  const data = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  data.setUint16(16, 2, true);
  data.setUint16(18, machine, true);
  if (loader !== null) {
    data.setBigUint64(32, 64n, true);
    data.setUint16(54, 56, true);
    data.setUint16(56, 1, true);
    data.setUint32(64, 3, true);
    data.setBigUint64(72, 256n, true);
    data.setBigUint64(96, BigInt(loader.length + 1), true);
    bytes.set(new TextEncoder().encode(loader), 256);
  }
  return { bytes, mode: 0o755 };
}

export function imageOf(...layers: readonly Pieces[]): ImageView {
  const pieces = new Map<string, Piece>([['/', folder]]);
  for (const [path, given] of layers.flatMap((layer) => Object.entries(layer))) {
    if (given === null) pieces.delete(path);
    else pieces.set(path, typeof given === 'string' ? { text: given, mode: 0o644 } : given);
    for (let above = path.lastIndexOf('/'); above > 0; above = path.lastIndexOf('/', above - 1)) {
      if (given !== null && !pieces.has(path.slice(0, above))) pieces.set(path.slice(0, above), folder);
    }
  }
  return new MemoryImage(pieces);
}

class MemoryImage implements ImageView {
  readonly #pieces: ReadonlyMap<string, Piece>;
  constructor(pieces: ReadonlyMap<string, Piece>) {
    this.#pieces = pieces;
  }
  stat(path: string): Look {
    return this.#look(path, true, 0);
  }
  lstat(path: string): Look {
    return this.#look(path, false, 0);
  }
  list(path: string): Listing {
    const look = this.stat(path);
    if (look.is !== 'there') return look;
    if (look.node.kind !== 'folder') return absent(look.path);
    const prefix = look.path === '/' ? '/' : `${look.path}/`;
    const names = [...this.#pieces.keys()].filter(
      (one) => one !== '/' && one.startsWith(prefix) && !one.slice(prefix.length).includes('/'),
    );
    const entries = names.map((one) => ({ name: one.slice(prefix.length), kind: nodeOf(this.#pieces.get(one) ?? folder).kind }));
    return { is: 'there', path: look.path, entries: entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  }
  read(path: string, mostBytes: number): Content {
    const look = this.stat(path);
    if (look.is !== 'there') return look;
    if (look.node.kind !== 'file') return absent(look.path);
    const bytes = bytesOf(this.#pieces.get(look.path) ?? folder);
    return { is: 'there', path: look.path, bytes: bytes.subarray(0, mostBytes), cut: bytes.length > mostBytes };
  }

  #look(path: string, followLast: boolean, hops: number): Look {
    if (hops > 40) return { is: 'absent', path, loop: true };
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    let at = '';
    for (const [index, name] of names.entries()) {
      at = name === '..' ? at.slice(0, Math.max(0, at.lastIndexOf('/'))) : `${at}/${name}`;
      const piece = this.#pieces.get(at === '' ? '/' : at);
      if (piece === undefined) return absent(at);
      if ('unreadable' in piece) return { is: 'unreadable', why: piece.unreadable };
      if ('target' in piece && (followLast || index < names.length - 1)) {
        const base = piece.target.startsWith('/') ? '' : at.slice(0, at.lastIndexOf('/'));
        return this.#look([base, piece.target, ...names.slice(index + 1)].join('/'), followLast, hops + 1);
      }
    }
    const path2 = at === '' ? '/' : at;
    return { is: 'there', path: path2, node: nodeOf(this.#pieces.get(path2) ?? folder) };
  }
}

const absent = (path: string): Absent => ({ is: 'absent', path, loop: false });

function bytesOf(piece: Piece): Uint8Array {
  return 'text' in piece ? new TextEncoder().encode(piece.text) : 'bytes' in piece ? piece.bytes : new Uint8Array();
}

function nodeOf(piece: Piece): ImageNode {
  const kind = 'target' in piece ? 'symlink' : 'folder' in piece ? 'folder' : 'file';
  const mode = 'mode' in piece ? piece.mode : kind === 'folder' ? 0o755 : 0o777;
  return { kind, mode, uid: 0, bytes: bytesOf(piece).length, target: 'target' in piece ? piece.target : null };
}
