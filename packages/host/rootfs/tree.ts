/**
 * A root file system as a tree that can be asked for paths, whatever it is kept in. Promises:
 * - links are followed inside the image only; `..` above its root stays at its root;
 * - absence, and not being able to look, are values; nothing throws, whatever the image holds;
 * - every answer has a bound, and so has the sum of all answers of one tree.
 */
import type { Absent, Content, Listed, Listing, Look, ImageNode, NodeKind, Unreadable } from '@linstock/core';

export interface Tree {
  stat(path: string): Promise<Look>;
  lstat(path: string): Promise<Look>;
  list(path: string): Promise<Listing>;
  read(path: string, mostBytes: number): Promise<Content>;
}

/** The names in a folder. `whole: false`: some could not be read, so a name that is missing may be there. */
export type Children<H> = { names: ReadonlyMap<string, { at: H; kind: NodeKind }>; whole: boolean };

/** One way of keeping a tree. `H` says where a node is: an inode number, a path on the host. */
export interface Backend<H> {
  readonly root: H;
  node(at: H): Promise<ImageNode | Unreadable>;
  children(at: H): Promise<Children<H> | Unreadable>;
  content(at: H, mostBytes: number): Promise<{ bytes: Uint8Array; cut: boolean } | Unreadable>;
}

/** The kernel's own (MAXSYMLINKS, include/linux/namei.h; PATH_MAX). */
const mostLinks = 40;
const mostPathLength = 4096;
/** A lint asks some thousand questions of a big image. */
const mostSteps = 400_000;
/** A lint of a full Debian reads 2 MB. */
const mostContentBytes = 32 * 1024 * 1024;
/** Of one file; configuration files have a few KB. */
const mostFileBytes = 16 * 1024 * 1024;
const mostKeptNames = 1_000_000;

type Found<H> = { is: 'found'; at: H; path: string; node: ImageNode } | Absent | Unreadable;

export const unreadable = (why: string): Unreadable => ({ is: 'unreadable', why });
export function isUnreadable(value: object): value is Unreadable {
  return 'is' in value && value.is === 'unreadable';
}

export class BackedTree<H> implements Tree {
  readonly #backend: Backend<H>;
  readonly #folders = new Map<H, Children<H> | Unreadable>();
  #keptNames = 0;
  #steps = 0;
  #contentBytes = 0;

  constructor(backend: Backend<H>) {
    this.#backend = backend;
  }

  async stat(path: string): Promise<Look> {
    return lookOf(await this.#find(path, true));
  }

  async lstat(path: string): Promise<Look> {
    return lookOf(await this.#find(path, false));
  }

  async list(path: string): Promise<Listing> {
    const found = await this.#find(path, true);
    if (found.is !== 'found') return found;
    if (found.node.kind !== 'folder') return absent(found.path);
    const children = await this.#children(found.at);
    if (isUnreadable(children)) return children;
    if (!children.whole) return unreadable(`some of the names in ${found.path} cannot be read`);
    const entries = [...children.names].map(([name, { kind }]): Listed => ({ name, kind }));
    return { is: 'there', path: found.path, entries: entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  async read(path: string, mostBytes: number): Promise<Content> {
    const found = await this.#find(path, true);
    if (found.is !== 'found') return found;
    if (found.node.kind !== 'file') return absent(found.path);
    if (this.#contentBytes >= mostContentBytes) return unreadable('too much of the image was read already');
    const content = await this.#backend.content(found.at, Math.min(mostBytes, mostFileBytes));
    if (isUnreadable(content)) return content;
    this.#contentBytes += content.bytes.length;
    return { is: 'there', path: found.path, ...content };
  }

  /** namei: one name after the other, links taken apart where they stand. */
  async #find(path: string, followLast: boolean): Promise<Found<H>> {
    if (path.length > mostPathLength) return absent(path.slice(0, 100));
    const ahead = namesOf(path).toReversed();
    const way: { at: H; name: string }[] = [];
    const here = (name?: string): string => `/${[...way.map((one) => one.name), ...(name === undefined ? [] : [name])].join('/')}`;
    let links = 0;
    for (;;) {
      if (this.#steps++ >= mostSteps) return unreadable('the image was asked too many questions');
      const name = ahead.pop();
      const at = way.at(-1)?.at ?? this.#backend.root;
      if (name === undefined) {
        const node = await this.#backend.node(at);
        return isUnreadable(node) ? node : { is: 'found', at, path: here(), node };
      }
      if (name === '..') {
        way.pop();
        continue;
      }
      const children = await this.#children(at);
      if (isUnreadable(children)) return children;
      const child = children.names.get(name);
      if (child === undefined) return children.whole ? absent(here(name)) : unreadable(`some of the names in ${here()} cannot be read`);
      const node = child.kind === 'symlink' || ahead.length === 0 ? await this.#backend.node(child.at) : null;
      if (node !== null && isUnreadable(node)) return node;
      if (node?.kind === 'symlink' && (followLast || ahead.length > 0)) {
        if (++links > mostLinks) return { is: 'absent', path: here(name), loop: true };
        const target = node.target ?? '';
        if (target.length > mostPathLength || ahead.length > mostPathLength) return absent(here(name));
        if (target.startsWith('/')) way.length = 0;
        ahead.push(...namesOf(target).toReversed());
        continue;
      }
      if (node !== null && ahead.length === 0) return { is: 'found', at: child.at, path: here(name), node };
      if (child.kind !== 'folder') return absent(here(name));
      way.push({ at: child.at, name });
    }
  }

  async #children(at: H): Promise<Children<H> | Unreadable> {
    const known = this.#folders.get(at);
    if (known !== undefined) return known;
    if (this.#keptNames >= mostKeptNames) return unreadable('too many folders of the image were read already');
    const children = await this.#backend.children(at);
    this.#folders.set(at, children);
    this.#keptNames += isUnreadable(children) ? 1 : children.names.size + 1;
    return children;
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function absent(path: string): Absent {
  return { is: 'absent', path, loop: false };
}

function lookOf<H>(found: Found<H>): Look {
  return found.is === 'found' ? { is: 'there', path: found.path, node: found.node } : found;
}
