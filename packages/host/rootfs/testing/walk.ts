/** Everything in a tree, for comparing one with another. */
import { createHash } from 'node:crypto';
import type { Tree } from '../tree.ts';

export type Seen = { kind: string; mode: number; target: string | null; bytes: number; sum: string };

/** Sizes of links and folders are left out: they are the file system's own affair. */
export async function walk(tree: Tree, mostEntries = 100_000): Promise<Map<string, Seen>> {
  const seen = new Map<string, Seen>();
  const queue = ['/'];
  for (let at = 0; at < queue.length && seen.size < mostEntries; at++) {
    const path = queue[at] ?? '/';
    const look = await tree.lstat(path);
    if (look.is !== 'there') {
      seen.set(path, { kind: look.is, mode: 0, target: null, bytes: 0, sum: '' });
      continue;
    }
    const { kind, mode, target, bytes } = look.node;
    const content = kind === 'file' ? await tree.read(path, 16 * 1024 * 1024) : null;
    const sum = content === null ? '' : content.is === 'there' ? createHash('sha256').update(content.bytes).digest('hex') : content.is;
    seen.set(path, { kind, mode: kind === 'symlink' ? 0 : mode, target, bytes: kind === 'file' ? bytes : 0, sum });
    if (kind !== 'folder') continue;
    const listing = await tree.list(path);
    if (listing.is !== 'there') seen.set(path, { kind: `folder ${listing.is}`, mode, target, bytes: 0, sum: '' });
    else for (const { name } of listing.entries) queue.push(path === '/' ? `/${name}` : `${path}/${name}`);
  }
  return seen;
}
