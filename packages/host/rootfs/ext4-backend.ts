/**
 * Reads ext2, ext3 and ext4 images without mounting them and without a process per question. Why not debugfs: each run opens the image anew
 * and answers in prose that has to be taken apart, and it is a C program that would read hostile bytes with our rights. Here the bytes are
 * read within bounds, and what cannot be is a value.
 *
 * Not done: the journal is not replayed (a finding says when there is something in it), checksums are not compared, encrypted inodes are refused.
 */
import type { FileSystemFacts, ImageNode, NodeKind, Unreadable } from '@linstock/core';
import { isUnreadable, unreadable } from './tree.ts';
import type { Backend, Children } from './tree.ts';
import type { ByteSource } from './byte-source.ts';
import { runsOf } from './ext4-blocks.ts';
import { readDirectoryBlock, readInode } from './ext4-inode.ts';
import type { DirectoryEntry, Inode } from './ext4-inode.ts';
import { descriptorPlace, readSuper, SUPER_BYTES, SUPER_OFFSET } from './ext4-super.ts';
import type { Super } from './ext4-super.ts';

const ROOT_INODE = 2;
/** A folder of 100,000 names has about 4 MiB. */
const mostFolderBytes = 16 * 1024 * 1024;
/** PATH_MAX */
const mostTargetBytes = 4096;

export type Ext4Opened = { ok: true; backend: Ext4Backend; facts: FileSystemFacts } | { ok: false; say: string };

export async function openExt4(source: ByteSource): Promise<Ext4Opened> {
  const bytes = await source.read(SUPER_OFFSET, SUPER_BYTES);
  if (isUnreadable(bytes)) return { ok: false, say: 'It is too short to hold a file system.' };
  const look = readSuper(bytes, source.bytes);
  return look.ok ? { ok: true, backend: new Ext4Backend(source, look.super), facts: look.super.facts } : look;
}

export class Ext4Backend implements Backend<number> {
  readonly root = ROOT_INODE;
  readonly #source: ByteSource;
  readonly #super: Super;

  constructor(source: ByteSource, of: Super) {
    this.#source = source;
    this.#super = of;
  }

  async node(at: number): Promise<ImageNode | Unreadable> {
    const inode = await this.#inode(at);
    if (isUnreadable(inode)) return inode;
    const { kind, mode, uid, bytes } = inode;
    if (kind !== 'symlink') return { kind, mode, uid, bytes, target: null };
    const target = await this.#bytesOf(inode, mostTargetBytes);
    return isUnreadable(target) ? target : { kind, mode, uid, bytes, target: target.toString('utf8') };
  }

  async content(at: number, mostBytes: number): Promise<{ bytes: Uint8Array; cut: boolean } | Unreadable> {
    const inode = await this.#inode(at);
    if (isUnreadable(inode)) return inode;
    const bytes = await this.#bytesOf(inode, mostBytes);
    return isUnreadable(bytes) ? bytes : { bytes, cut: inode.bytes > bytes.length };
  }

  async children(at: number): Promise<Children<number> | Unreadable> {
    const inode = await this.#inode(at);
    if (isUnreadable(inode)) return inode;
    if (inode.kind !== 'folder') return unreadable(`inode ${at} is named as a folder and is a ${inode.kind}`);
    if (inode.bytes > mostFolderBytes) return unreadable(`a folder has ${inode.bytes} bytes of names`);
    const names = new Map<string, { at: number; kind: NodeKind }>();
    let whole = true;
    for await (const block of this.#folderBlocks(inode)) {
      const read = isUnreadable(block) ? { entries: [], whole: false } : readDirectoryBlock(block, this.#super.entryKinds);
      whole &&= read.whole;
      for (const entry of read.entries) {
        const kind = await this.#kindOf(entry);
        if (kind === null) whole = false;
        else if (!names.has(entry.name)) names.set(entry.name, { at: entry.inode, kind });
      }
    }
    return { names, whole };
  }

  /** What its entry says, or else the inode; null when neither does. */
  async #kindOf(entry: DirectoryEntry): Promise<NodeKind | null> {
    if (entry.kind !== null) return entry.kind;
    const inode = await this.#inode(entry.inode);
    return isUnreadable(inode) ? null : inode.kind;
  }

  async *#folderBlocks(inode: Inode): AsyncGenerator<Buffer | Unreadable> {
    if (inode.kept === 'inline') {
      // The first four bytes name the parent; the entries are two small blocks (inlinedata.rst).
      yield inode.root.subarray(4);
      if (inode.inlineRest.length > 0) yield inode.inlineRest;
      return;
    }
    const bytes = await this.#bytesOf(inode, mostFolderBytes);
    if (isUnreadable(bytes)) yield bytes;
    else for (let at = 0; at < bytes.length; at += this.#super.blockBytes) yield bytes.subarray(at, at + this.#super.blockBytes);
  }

  async #inode(number: number): Promise<Inode | Unreadable> {
    const { inodes, inodesPerGroup, inodeBytes, wide } = this.#super;
    if (number < 1 || number > inodes) return unreadable(`inode ${number} does not exist`);
    const place = descriptorPlace(this.#super, Math.floor((number - 1) / inodesPerGroup));
    const descriptor = await this.#source.read(place.block * this.#super.blockBytes + place.offset, this.#super.descriptorBytes);
    if (isUnreadable(descriptor)) return descriptor;
    const table = descriptor.readUInt32LE(0x8) + (wide ? descriptor.readUInt32LE(0x28) * 2 ** 32 : 0);
    const bytes = await this.#source.read(table * this.#super.blockBytes + ((number - 1) % inodesPerGroup) * inodeBytes, inodeBytes);
    if (isUnreadable(bytes)) return bytes;
    return readInode(bytes) ?? unreadable(`inode ${number} is named and empty`);
  }

  async #bytesOf(inode: Inode, mostBytes: number): Promise<Buffer | Unreadable> {
    const length = Math.min(inode.bytes, mostBytes);
    if (inode.kept === 'encrypted') return unreadable('it is encrypted');
    if (inode.kept === 'inline') return Buffer.concat([inode.root, inode.inlineRest]).subarray(0, length);
    if (inode.kind === 'device' || inode.kind === 'other') return Buffer.alloc(0);
    const { blockBytes } = this.#super;
    const blocks = Math.ceil(length / blockBytes);
    const read = (block: number): Promise<Buffer | Unreadable> => this.#source.read(block * blockBytes, blockBytes);
    const runs = await runsOf(inode, blocks, blockBytes, read);
    if (isUnreadable(runs)) return runs;
    const bytes = Buffer.alloc(length);
    for (const run of runs) {
      const from = run.from * blockBytes;
      const part = await this.#source.read(run.at * blockBytes, Math.min(run.count * blockBytes, length - from));
      if (isUnreadable(part)) return part;
      part.copy(bytes, from);
    }
    return bytes;
  }
}
