/** A folder of this host as a tree: never followed out of it, no device or pipe opened, nothing changed. */
import { constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import type { Dirent, Stats } from 'node:fs';
import { join } from 'node:path';
import type { ImageNode, NodeKind, Unreadable } from '@linstock/core';
import { isUnreadable, unreadable } from './tree.ts';
import type { Backend, Children } from './tree.ts';

const mostNames = 250_000;

export class FolderBackend implements Backend<string> {
  readonly root: string;

  constructor(folder: string) {
    this.root = folder;
  }

  node(at: string): Promise<ImageNode | Unreadable> {
    return orUnreadable(async () => {
      const stats = await lstat(at);
      const kind = kindOf(stats);
      return { kind, mode: stats.mode & 0o7777, uid: stats.uid, bytes: stats.size, target: kind === 'symlink' ? await readlink(at) : null };
    });
  }

  children(at: string): Promise<Children<string> | Unreadable> {
    return orUnreadable(async () => {
      const entries = await readdir(at, { withFileTypes: true });
      if (entries.length > mostNames) return unreadable(`a folder has ${entries.length} names`);
      return { names: new Map(entries.map((entry) => [entry.name, { at: join(at, entry.name), kind: kindOf(entry) }])), whole: true };
    });
  }

  content(at: string, mostBytes: number): Promise<{ bytes: Uint8Array; cut: boolean } | Unreadable> {
    return orUnreadable(async () => {
      // NONBLOCK: what was a file a moment ago may be a pipe now, and opening a pipe waits.
      const file = await open(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        const stats = await file.stat();
        if (!stats.isFile()) return unreadable('it is no ordinary file');
        const buffer = Buffer.alloc(Math.min(stats.size, mostBytes));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
        return { bytes: buffer.subarray(0, bytesRead), cut: stats.size > bytesRead };
      } finally {
        await file.close();
      }
    });
  }
}

function kindOf(of: Stats | Dirent): NodeKind {
  if (of.isFile()) return 'file';
  if (of.isDirectory()) return 'folder';
  if (of.isSymbolicLink()) return 'symlink';
  return of.isBlockDevice() || of.isCharacterDevice() ? 'device' : 'other';
}

/** A system error is an answer here: the folder is somebody's, and may change while it is looked at. */
async function orUnreadable<T>(look: () => Promise<T | Unreadable>): Promise<T | Unreadable> {
  try {
    const seen = await look();
    return typeof seen === 'object' && seen !== null && isUnreadable(seen) ? unreadable(seen.why) : seen;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    return unreadable(code === 'EACCES' || code === 'EPERM' ? 'this user may not read it' : `the host says ${code}`);
  }
}
