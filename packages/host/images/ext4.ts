/** ext4 images: made from a list of files, and looked at before one is taken. */
import { open } from 'node:fs/promises';
import { MAGIC_BYTES, kindOf, looks } from '@linstock/core';
import { SUPER_BYTES, SUPER_OFFSET, readSuper } from '../rootfs/ext4-super.ts';
import { openTree } from '../rootfs/open-tree.ts';
import { writeExt4 } from './ext4-image/write.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';
import { Tree, fileNode, folderNode, linkNode } from './tree/tree.ts';

export type TreeEntry =
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'file'; path: string; mode: number; data: Uint8Array }
  | { kind: 'symlink'; path: string; target: string };

export type Ext4Plan = {
  label: string;
  uuid: string;
  hashSeed: string;
  /** Seconds since the epoch. */ time: number;
  entries: readonly TreeEntry[];
};

/** For a guest to write in. */
const FREE_BYTES = 4 * 1024 * 1024;

/** Makes the image file. All belongs to root. No journal: the image is small, and nothing in it is worth one. */
export async function makeExt4(plan: Ext4Plan, image: string, signal?: AbortSignal): Promise<{ virtualBytes: number }> {
  const tree = new Tree();
  for (const entry of plan.entries) {
    if (entry.kind === 'folder') tree.put(entry.path, folderNode(entry.mode, { mtime: plan.time }));
    else if (entry.kind === 'file') tree.put(entry.path, fileNode(entry.data, entry.mode, { mtime: plan.time }));
    else tree.put(entry.path, { ...linkNode(entry.target), mtime: plan.time });
  }
  return writeExt4(tree, image, { ...plan, size: { freeBytes: FREE_BYTES }, journal: false }, { signal });
}

/** Whether a file is an ext4 image that is all there; looks at the superblock only. */
export async function lookAtRootfs(path: string): Promise<{ ok: true; bytes: number; virtualBytes: number } | ImageRefusal> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(MAGIC_BYTES);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return judgeSuperblock(path, head.subarray(0, bytesRead), (await file.stat()).size);
  } finally {
    await file.close();
  }
}

/** Pure: the first bytes of a file and its size → is it a whole ext4 image. */
export function judgeSuperblock(
  path: string,
  head: Buffer,
  fileBytes: number,
): { ok: true; bytes: number; virtualBytes: number } | ImageRefusal {
  const kind = kindOf(head);
  if (kind !== 'ext file system') {
    return refusal(
      'not-ext4',
      `${path} is not an ext4 image: it is ${looks[kind]}. Give a raw image that holds an ext4 file system, without a partition table.`,
    );
  }
  const look = readSuper(head.subarray(SUPER_OFFSET, SUPER_OFFSET + SUPER_BYTES), fileBytes);
  if (!look.ok)
    return look.needsBytes === null
      ? refusal('not-ext4', `${path} cannot be used. ${look.say}`)
      : refusal(
          'rootfs-cut-short',
          `${path} is cut short: its file system needs ${look.needsBytes} bytes and the file has ${fileBytes}. Copy it again.`,
        );
  const { facts } = look.super;
  if (facts.kind !== 'ext4')
    return refusal('not-ext4', `${path} holds an ext2 or ext3 file system, not ext4. Make it with "mke2fs -t ext4".`);
  return { ok: true, bytes: fileBytes, virtualBytes: facts.bytes };
}

/** Whether `init` is an executable file in the image, links followed; `program` is where they lead. */
export async function checkInit(image: string, init: string): Promise<{ ok: true; program: string } | ImageRefusal> {
  const remedy = 'Put an init there, or name another with init=.';
  if (!/^\/[\x21\x23-\x7e]*$/.test(init))
    return refusal('no-init', `init=${JSON.stringify(init)} is not an absolute path without spaces. Give one such as /sbin/init.`);
  const opened = await openTree(image);
  if (!opened.ok) return opened;
  await using inside = opened;
  const named = await inside.tree.lstat(init);
  const seen = await inside.tree.stat(init);
  if (seen.is === 'unreadable')
    return refusal('not-ext4', `${init} in ${image} cannot be looked at: ${seen.why}. Check the image with e2fsck, or make it again.`);
  const via = named.is === 'there' && named.node.kind === 'symlink' ? ` (a link to ${seen.path})` : '';
  if (seen.is === 'absent')
    return seen.loop
      ? refusal('no-init', `${init} in ${image} is a link that leads round in circles. ${remedy}`)
      : refusal('no-init', `${image} has no ${init}${via}: no program could be PID 1. ${remedy}`);
  const { kind, mode } = seen.node;
  if (kind !== 'file')
    return refusal(
      'no-init',
      `${init}${via} in ${image} is ${kind === 'other' ? 'a pipe or a socket' : `a ${kind}`}, not a program. ${remedy}`,
    );
  if ((mode & 0o111) === 0) return refusal('no-init', `${init}${via} in ${image} is not executable. Give it mode 755.`);
  return { ok: true, program: seen.path };
}
