/** Tar archives as an image is built from them: nothing in one is passed over. What cannot be in an image is refused, with a sentence that names it. */
import type { FileHandle } from 'node:fs/promises';
import { FileSource } from '../../rootfs/byte-source.ts';
import { readTar } from '../../tar/read.ts';
import type { TarEntry, TarKind } from '../../tar/read.ts';
import { imageFault } from '../refusal.ts';
import type { FileData } from './tree.ts';

export type SoundEntry = Omit<TarEntry, 'is' | 'name' | 'type' | 'at' | 'bytes'> & {
  path: string;
  kind: TarKind;
  link: string;
  data: Extract<FileData, { file: string }>;
};

/** A tar archive: a file, or a part of one. */
export type TarSource = { handle: FileHandle; file: string; at: number; bytes: number };

/** `what` names the archive in faults. */
export async function* soundEntries(from: TarSource, what: string, signal?: AbortSignal): AsyncGenerator<SoundEntry> {
  const wrong = (say: string): Error => imageFault(`${what} cannot be read: ${say}`);
  const source = new FileSource(from.handle, from.bytes, { at: from.at, allowance: 'all' });
  for await (const entry of readTar(source, signal)) {
    // builders of container images leave the mark at the end out
    if (entry.is === 'end') return;
    if (entry.is === 'damaged') throw wrong(entry.say);
    const { name, path, kind, type, link, at, bytes, mode, uid, gid, mtime, major, minor, xattrs } = entry;
    if (kind === 'unknown')
      throw wrong(`it has an entry of a kind that is not known here (${type === 'S' ? 'a sparse file' : JSON.stringify(type)}).`);
    if (path === null)
      throw wrong(`the name ${JSON.stringify(name?.slice(0, 200) ?? '(no UTF-8)')} is none that a file in an image can have.`);
    if (path === '' && kind !== 'folder') throw wrong('a file in it has no name.');
    if (link === null) throw wrong(`the link ${JSON.stringify(path)} leads to a name that no file in an image can have.`);
    const data = { file: from.file, at: from.at + at, bytes };
    yield { path, kind, mode, uid, gid, mtime, link, major, minor, xattrs, data };
  }
}
