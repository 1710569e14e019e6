/** A root file system that somebody named, whatever it is kept in: a folder, a tar, or an ext2, ext3 or ext4 image. Nothing is mounted. */
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { kindOf, looks, MAGIC_BYTES, type FileSystemFacts } from '@linstock/core';
import { unreadable as refusalOf } from '../images/read-whole.ts';
import { refusal } from '../images/refusal.ts';
import type { ImageRefusal } from '../images/refusal.ts';
import { FileSource } from './byte-source.ts';
import type { ByteSource } from './byte-source.ts';
import { openExt4 } from './ext4-backend.ts';
import { FolderBackend } from './folder-backend.ts';
import { openTar } from './tar-backend.ts';
import { BackedTree } from './tree.ts';
import type { Tree } from './tree.ts';

export type TreeInside = { tree: Tree; keptIn: 'folder' | 'tar' | 'image'; fileSystem: FileSystemFacts | null };
export type OpenedTree = TreeInside & AsyncDisposable & { ok: true };

export async function openTree(path: string): Promise<OpenedTree | ImageRefusal> {
  let file: FileHandle;
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) {
      const tree = new BackedTree(new FolderBackend(path));
      return { ok: true, tree, keptIn: 'folder', fileSystem: null, [Symbol.asyncDispose]: () => Promise.resolve() };
    }
    if (!facts.isFile()) return refusal('file-unreadable', `${path} is not an ordinary file. Copy its content into one first.`);
    file = await open(path, 'r');
  } catch (error) {
    return refusalOf(path, error);
  }
  const inside = await treeIn(path, new FileSource(file, (await file.stat()).size));
  if ('ok' in inside) {
    await file.close();
    return inside;
  }
  return { ok: true, ...inside, [Symbol.asyncDispose]: () => file.close() };
}

async function treeIn(path: string, source: ByteSource): Promise<TreeInside | ImageRefusal> {
  const head = await source.read(0, Math.min(source.bytes, MAGIC_BYTES));
  const kind = Buffer.isBuffer(head) ? kindOf(head) : 'unknown';
  if (kind === 'ext file system') {
    const opened = await openExt4(source);
    if (!opened.ok) return refusal('not-ext4', `${path} cannot be read: ${opened.say}`);
    return { tree: new BackedTree(opened.backend), keptIn: 'image', fileSystem: opened.facts };
  }
  if (kind === 'tar archive') {
    const opened = await openTar(source);
    if (!opened.ok) return refusal('file-unreadable', `${path} cannot be read: ${opened.say}`);
    return { tree: new BackedTree(opened.backend), keptIn: 'tar', fileSystem: null };
  }
  return refusal(
    'not-ext4',
    `${path} holds no root file system that can be read here: it is ${looks[kind]}. Give a raw ext4 image without a partition table, an uncompressed tar, or a folder.`,
  );
}
