/** A tree from tar archives, entry by entry. */
import { open } from 'node:fs/promises';
import { imageFault } from '../refusal.ts';
import { soundEntries } from './tar-read.ts';
import type { SoundEntry } from './tar-read.ts';
import { Tree } from './tree.ts';
import type { Owned, TreeNode } from './tree.ts';

export async function treeFromTar(file: string, what: string, signal?: AbortSignal): Promise<Tree> {
  const tree = new Tree();
  const handle = await open(file, 'r');
  try {
    const source = { handle, file, at: 0, bytes: (await handle.stat()).size };
    for await (const entry of soundEntries(source, what, signal)) addEntry(tree, entry, what);
  } finally {
    await handle.close();
  }
  return tree;
}

export function addEntry(tree: Tree, entry: SoundEntry, what: string): void {
  if (entry.kind !== 'hardlink') return tree.put(entry.path, nodeOf(entry));
  if (!tree.link(entry.path, entry.link))
    throw imageFault(
      `${what} cannot be read: ${JSON.stringify(entry.path)} is a second name of ${JSON.stringify(entry.link)}, which is no file before it.`,
    );
}

function nodeOf(entry: SoundEntry): TreeNode {
  const { mode, uid, gid, mtime, xattrs } = entry;
  const owned: Owned = { mode, uid, gid, mtime, xattrs };
  switch (entry.kind) {
    case 'folder':
      return { ...owned, kind: 'folder', children: new Map() };
    case 'symlink':
      return { ...owned, kind: 'symlink', target: entry.link };
    case 'char':
    case 'block':
      return { ...owned, kind: entry.kind, major: entry.major, minor: entry.minor };
    case 'fifo':
      return { ...owned, kind: 'fifo' };
    case 'file':
    case 'hardlink':
      return { ...owned, kind: 'file', data: entry.data };
  }
}
