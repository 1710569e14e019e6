/**
 * A file system in memory: what an image will hold, with the bytes of its files left where they are. Nothing of an image is ever unpacked
 * on the host to get here, so a hostile name or link leads nowhere: it is a name in this tree.
 *
 * Paths have no slash at either end; the root is the empty path. Links in the folders of a path are followed inside the tree, as the guest
 * would follow them. Two names with the same node are hard links of one file.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { imageFault } from '../refusal.ts';

/** The bytes of a file: here, or a part of a file of the host. */
export type FileData = Uint8Array | { file: string; at: number; bytes: number };

export type Owned = {
  /** permission bits with setuid, setgid and sticky */
  mode: number;
  uid: number;
  gid: number;
  /** seconds since the epoch */
  mtime: number;
  /** full names such as `security.capability` */
  xattrs: ReadonlyMap<string, Uint8Array>;
};
export type Folder = Owned & { kind: 'folder'; children: Map<string, TreeNode> };
export type RegularFile = Owned & { kind: 'file'; data: FileData };
export type Symlink = Owned & { kind: 'symlink'; target: string };
export type Special = Owned & ({ kind: 'char' | 'block'; major: number; minor: number } | { kind: 'fifo' | 'socket' });
export type TreeNode = Folder | RegularFile | Symlink | Special;

/** 2024-01-01. The time of everything that has no better one, and the youngest that anything in an image is: its bytes must not tell when it was built. */
export const TREE_TIME = 1_704_067_200;
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
/** As the kernel (include/linux/namei.h, MAXSYMLINKS). */
const MOST_LINKS = 40;
/** As the kernel (include/uapi/linux/limits.h): a longer one cannot be opened in the guest. */
const MOST_NAME_BYTES = 255;
const MOST_PATH_BYTES = 4_095;

export const byRoot = (mode: number): Owned => ({ mode, uid: 0, gid: 0, mtime: TREE_TIME, xattrs: NO_XATTRS });

export function folderNode(mode = 0o755, owned: Partial<Owned> = {}): Folder {
  return { ...byRoot(mode), ...owned, kind: 'folder', children: new Map() };
}
export function fileNode(data: FileData | string, mode = 0o644, owned: Partial<Owned> = {}): RegularFile {
  return { ...byRoot(mode), ...owned, kind: 'file', data: typeof data === 'string' ? Buffer.from(data) : data };
}
export function linkNode(target: string): Symlink {
  return { ...byRoot(0o777), kind: 'symlink', target };
}

export function sizeOf(data: FileData): number {
  return data instanceof Uint8Array ? data.length : data.bytes;
}

/** `/usr//bin/./x/` → `usr/bin/x`. Null for a path that climbs, or that no file can have. */
export function normalPath(path: string): string | null {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.some((part) => part === '..' || part.includes('\0') || Buffer.byteLength(part) > MOST_NAME_BYTES)) return null;
  const normal = parts.join('/');
  return Buffer.byteLength(normal) > MOST_PATH_BYTES ? null : normal;
}

export class Tree {
  readonly root: Folder;
  constructor(root: Folder = folderNode()) {
    this.root = root;
  }

  /** What is at a path, the last name not followed; undefined when there is nothing. */
  at(path: string): TreeNode | undefined {
    return this.#walk(path, false)?.node;
  }

  /** The same with all links followed. */
  seen(path: string): TreeNode | undefined {
    return this.#walk(path, true)?.node;
  }

  /** Where a path really is once the links in its folders are followed; its folders are made where they are missing. */
  place(path: string): { folder: Folder; name: string; path: string } {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    if (name === '') throw imageFault('A file of the image has an empty name.');
    let folders: { name: string; folder: Folder }[] = [];
    let hops = 0;
    const todo = parts.toReversed();
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        folders.pop();
        continue;
      }
      const here = folders.at(-1)?.folder ?? this.root;
      const next = here.children.get(part);
      if (next === undefined) {
        const made = folderNode();
        here.children.set(part, made);
        folders.push({ name: part, folder: made });
      } else if (next.kind === 'folder') folders.push({ name: part, folder: next });
      else if (next.kind === 'symlink') {
        if (++hops > MOST_LINKS) throw imageFault(`The links on the way to ${JSON.stringify(path)} lead round in circles.`);
        if (next.target.startsWith('/')) folders = [];
        todo.push(...next.target.split('/').toReversed());
      } else throw imageFault(`${JSON.stringify(path)} cannot be in the image: ${JSON.stringify(part)} on its way is no folder.`);
    }
    const real = [...folders.map((one) => one.name), name].join('/');
    if (Buffer.byteLength(real) > MOST_PATH_BYTES) throw imageFault('A path in the image is longer than a guest could open (4,095 bytes).');
    return { folder: folders.at(-1)?.folder ?? this.root, name, path: real };
  }

  /** Puts a node there. A folder on a folder keeps what is in it; anything else takes the place of what was there. */
  put(path: string, node: TreeNode): void {
    if (path === '') {
      if (node.kind !== 'folder') throw imageFault('The root of the image is no folder.');
      Object.assign(this.root, ownedBy(node));
      return;
    }
    const { folder, name } = this.place(path);
    const before = folder.children.get(name);
    if (node.kind === 'folder' && before?.kind === 'folder') Object.assign(before, ownedBy(node));
    else folder.children.set(name, node);
  }

  /** A folder that is there stays as it is. */
  ensureFolder(path: string, mode = 0o755): void {
    if (this.seen(path)?.kind !== 'folder') this.put(path, folderNode(mode));
  }

  /** A second name of a file; false when there is no such file, or it is a folder. */
  link(path: string, target: string): boolean {
    const node = this.at(target);
    if (node === undefined || node.kind === 'folder') return false;
    this.put(path, node);
    return true;
  }

  /** Whether something was there. */
  remove(path: string): boolean {
    const found = this.#walk(path, false);
    return found !== null && found.folder !== null && found.folder.children.delete(found.name);
  }

  /** Empties a folder; the folder stays. */
  clear(path: string): void {
    const node = this.seen(path);
    if (node?.kind === 'folder') node.children.clear();
  }

  /** Everything but the root, folders before what is in them, names in the order of their bytes. */
  *walk(): Generator<{ path: string; node: TreeNode }> {
    // not recursive: a generator in a generator costs its depth at each step, and an image may be two thousand folders deep
    const todo = [{ prefix: '', rest: inOrder(this.root).toReversed() }];
    for (let level = todo.at(-1); level !== undefined; level = todo.at(-1)) {
      const next = level.rest.pop();
      if (next === undefined) {
        todo.pop();
        continue;
      }
      const [name, node] = next;
      const path = level.prefix + name;
      yield { path, node };
      if (node.kind === 'folder') todo.push({ prefix: `${path}/`, rest: inOrder(node).toReversed() });
    }
  }

  /** The text of a file, links followed; undefined when there is none or it has more than `most` bytes. */
  async text(path: string, most = 4 * 1024 * 1024): Promise<string | undefined> {
    const node = this.seen(path);
    if (node?.kind !== 'file' || sizeOf(node.data) > most) return undefined;
    return (await bytesOf(node.data)).toString('utf8');
  }

  #walk(path: string, follow: boolean): { folder: Folder | null; name: string; node: TreeNode } | null {
    const folders: Folder[] = [this.root];
    let found: { folder: Folder | null; name: string; node: TreeNode } = { folder: null, name: '', node: this.root };
    let hops = 0;
    const rest = path.split('/').toReversed();
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      if (part === '' || part === '.') continue;
      if (found.node.kind !== 'folder') return null;
      if (part === '..') {
        if (folders.length > 1) folders.pop();
        found = { folder: folders.at(-2) ?? null, name: '', node: folders.at(-1) ?? this.root };
        continue;
      }
      const here = found.node;
      const node = here.children.get(part);
      if (node === undefined) return null;
      if (node.kind === 'symlink' && (follow || rest.some((word) => word !== '' && word !== '.'))) {
        if (++hops > MOST_LINKS) return null;
        if (node.target.startsWith('/')) folders.length = 1;
        found = { folder: null, name: '', node: folders.at(-1) ?? this.root };
        rest.push(...node.target.split('/').toReversed());
        continue;
      }
      if (node.kind === 'folder') folders.push(node);
      found = { folder: here, name: part, node };
    }
    return found;
  }
}

function ownedBy({ mode, uid, gid, mtime, xattrs }: Owned): Owned {
  return { mode, uid, gid, mtime, xattrs };
}

/** By bytes, not by UTF-16 units: the order in which every other tool would sort them in the C locale. */
export function inOrder(folder: Folder): [string, TreeNode][] {
  return [...folder.children].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export async function bytesOf(data: FileData): Promise<Buffer> {
  if (data instanceof Uint8Array) return Buffer.from(data.buffer, data.byteOffset, data.length);
  const file = await open(data.file, 'r');
  try {
    const bytes = Buffer.alloc(data.bytes);
    await readFully(file, bytes, data.at);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Fills the buffer, or throws: a file that became shorter while it was read is no file of ours any more. */
export async function readFully(file: FileHandle, into: Buffer, at: number): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw new Error(`a file of the image ends ${into.length - done} bytes too early`);
    done += bytesRead;
  }
}
