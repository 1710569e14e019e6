/**
 * ext4 images without root and without mounting: made by mke2fs and filled by a debugfs script.
 *
 * Why not `mke2fs -d`: e2fsprogs 1.47.0 copies owner and change time of the source files and takes them in the order of the host's directory
 * hash, so two builds differ and an ordinary user needs fakeroot. A debugfs script writes what the plan says: owner 0, one fixed time
 * (E2FSPROGS_FAKE_TIME, read when a file system is opened), our order. The price: no device nodes from a tree, which devtmpfs makes anyway.
 */
import { open, readFile, truncate, writeFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFailure, exec, execOk, succeeded } from '../tools/exec.ts';
import type { ExecOptions } from '../tools/exec.ts';
import { ensureFolder } from '../tools/files.ts';
import { EXT_MAGIC_OFFSET, MAGIC_BYTES, kindOf, looks } from '@linstock/core';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

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

const TOOL_TIMEOUT_MS = 120_000;
const BLOCK_BYTES = 4096;
const MIB = 1024 * 1024;

/** Our own mke2fs.conf: distributions ship different defaults (Debian 13 adds orphan_file), and the digest must not depend on them. */
const MKE2FS_CONF = `[defaults]
base_features = sparse_super,large_file,filetype,dir_index,ext_attr
blocksize = ${BLOCK_BYTES}
inode_size = 256
inode_ratio = 8192
[fs_types]
ext4 = {
features = extent,huge_file,flex_bg,uninit_bg,dir_nlink,extra_isize,64bit
inode_size = 256
}
`;

/** Room for the content, the tables and some MB for the guest to write in, `bytes`: at least 8 MiB, whole 4 MiB. */
export function imageBytesFor(entries: readonly TreeEntry[]): number {
  const content = entries.reduce(
    (sum, entry) => sum + (entry.kind === 'file' ? Math.ceil(entry.data.length / BLOCK_BYTES) * BLOCK_BYTES : BLOCK_BYTES / 8),
    0,
  );
  return Math.max(8 * MIB, Math.ceil((content * 1.25 + 3 * MIB) / (4 * MIB)) * 4 * MIB);
}

/** The debugfs script that fills the image. `fileOf` names the scratch file that holds an entry's data. Pure. */
export function debugfsScript(plan: Ext4Plan, fileOf: (index: number) => string): string {
  const lines: string[] = [];
  const quoted = (path: string): string => {
    // debugfs words know double quotes and no escapes.
    if (/["\n\r]/.test(path)) throw new RangeError(`a path in an image may not hold quotes or line breaks: ${JSON.stringify(path)}`);
    return `"${path}"`;
  };
  const own = (path: string, mode: number | undefined): void => {
    const at = quoted(`/${path}`);
    if (mode !== undefined) lines.push(`sif ${at} mode 0${mode.toString(8)}`);
    for (const field of ['uid', 'gid']) lines.push(`sif ${at} ${field} 0`);
    for (const field of ['atime', 'ctime', 'mtime', 'crtime']) lines.push(`sif ${at} ${field} @${plan.time}`);
    for (const field of ['atime_extra', 'ctime_extra', 'mtime_extra', 'crtime_extra']) lines.push(`sif ${at} ${field} 0`);
    // debugfs gives each file a random NFS generation.
    lines.push(`sif ${at} generation 0`);
  };
  plan.entries.forEach((entry, index) => {
    const at = quoted(`/${entry.path}`);
    if (entry.kind === 'folder') lines.push(`mkdir ${at}`);
    else if (entry.kind === 'file') lines.push(`write ${quoted(fileOf(index))} ${at}`);
    else lines.push(`symlink ${at} ${quoted(entry.target)}`);
    own(entry.path, entry.kind === 'folder' ? 0o040000 | entry.mode : entry.kind === 'file' ? 0o100000 | entry.mode : undefined);
  });
  for (const folder of ['', 'lost+found']) own(folder, undefined);
  return `${lines.join('\n')}\n`;
}

/** Makes the image file; `scratch` is an empty folder that belongs to this call. Throws ToolFailure when a tool is missing or fails. */
export async function makeExt4(plan: Ext4Plan, image: string, scratch: string, signal?: AbortSignal): Promise<{ virtualBytes: number }> {
  const virtualBytes = imageBytesFor(plan.entries);
  const conf = join(scratch, 'mke2fs.conf');
  await ensureFolder(scratch);
  await writeFile(conf, MKE2FS_CONF);
  const opts: ExecOptions = {
    timeoutMs: TOOL_TIMEOUT_MS,
    env: { MKE2FS_CONFIG: conf, E2FSPROGS_FAKE_TIME: String(plan.time), SOURCE_DATE_EPOCH: String(plan.time) },
    signal,
  };
  await writeFile(image, '', { flag: 'wx' });
  await truncate(image, virtualBytes);
  // No journal: the image is small and a VM's disk is an overlay that is thrown away. nodiscard: holes stay as truncate made them.
  await execOk(
    [
      'mke2fs',
      '-q',
      '-F',
      '-t',
      'ext4',
      '-O',
      '^has_journal,^resize_inode',
      '-m',
      '0',
      '-L',
      plan.label,
      '-U',
      plan.uuid,
      '-E',
      `hash_seed=${plan.hashSeed},root_owner=0:0,lazy_itable_init=0,nodiscard`,
      image,
    ],
    opts,
  );
  const fileOf = (index: number): string => join(scratch, `data-${index}`);
  for (const [index, entry] of plan.entries.entries()) if (entry.kind === 'file') await writeFile(fileOf(index), entry.data);
  const script = join(scratch, 'fill.debugfs');
  await writeFile(script, debugfsScript(plan, fileOf));
  const filled = await execOk(['debugfs', '-w', '-f', script, image], opts);
  // debugfs ends with 0 even when a line of its script failed, so what was written is read back and compared.
  await execOk(['e2fsck', '-f', '-n', image], opts);
  const wrong = await firstDifference(plan.entries, image, join(scratch, 'back'), opts);
  if (wrong !== undefined) throw new Error(`the ext4 image is not what was planned at /${wrong}: ${filled.stderr.slice(-300)}`);
  return { virtualBytes };
}

async function firstDifference(
  entries: readonly TreeEntry[],
  image: string,
  folder: string,
  opts: ExecOptions,
): Promise<string | undefined> {
  await ensureFolder(folder);
  await execOk(['debugfs', '-R', `rdump / "${folder}"`, image], opts);
  const names = new Set(await readdir(folder, { recursive: true }));
  for (const entry of entries) {
    if (!names.has(entry.path)) return entry.path;
    const path = join(folder, entry.path);
    if (entry.kind === 'symlink' && (await readlink(path)) !== entry.target) return entry.path;
    if (entry.kind === 'file' && !(await readFile(path)).equals(entry.data)) return entry.path;
  }
  return undefined;
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
  if (kind !== 'ext file system' || head.length < 0x600) {
    return refusal(
      'not-ext4',
      `${path} is not an ext4 image: it is ${looks[kind]}. Give a raw image that holds an ext4 file system, without a partition table.`,
    );
  }
  const super0 = head.subarray(EXT_MAGIC_OFFSET - 0x38);
  // Offsets: kernel Documentation/filesystems/ext4/super.rst
  const incompatible = super0.readUInt32LE(0x60);
  const blockBytes = 1024 << (super0.readUInt32LE(0x18) & 0xf);
  const has64bit = (incompatible & 0x80) !== 0;
  const blocks = super0.readUInt32LE(0x4) + (has64bit ? super0.readUInt32LE(0x150) * 2 ** 32 : 0);
  // EXTENTS (0x40) is what makes it ext4; every mke2fs -t ext4 sets it.
  if ((incompatible & 0x40) === 0)
    return refusal('not-ext4', `${path} holds an ext2 or ext3 file system, not ext4. Make it with "mke2fs -t ext4".`);
  const virtualBytes = blocks * blockBytes;
  if (virtualBytes > fileBytes)
    return refusal(
      'rootfs-cut-short',
      `${path} is cut short: its file system needs ${virtualBytes} bytes and the file has ${fileBytes}. Copy it again.`,
    );
  return { ok: true, bytes: fileBytes, virtualBytes };
}

/** What `debugfs stat` prints of an inode, as far as it matters here; undefined when there is no such file. Pure. */
export function parseDebugfsStat(text: string): { type: string; mode: number; link: string | null } | undefined {
  const match = /^Inode: \d+\s+Type: (\S.*?)\s+Mode:\s+(\d+)/m.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return { type: match[1], mode: Number.parseInt(match[2], 8), link: /^Fast link dest: "(.*)"$/m.exec(text)?.[1] ?? null };
}

/** Where a link leads, both inside the image. Pure. */
export function linkTarget(from: string, link: string): string {
  const parts = link.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return `/${parts.filter((part) => part !== '').join('/')}`;
}

const MAX_LINKS = 16;

/** Whether `init` is an executable file in the image, links followed; `program` is where they lead. */
export async function checkInit(image: string, init: string, signal?: AbortSignal): Promise<{ ok: true; program: string } | ImageRefusal> {
  const remedy = 'Put an init there, or name another with init=.';
  if (!/^\/[\x21\x23-\x7e]*$/.test(init))
    return refusal('no-init', `init=${JSON.stringify(init)} is not an absolute path without spaces. Give one such as /sbin/init.`);
  let path = init;
  for (let hop = 0; hop <= MAX_LINKS; hop++) {
    const result = await exec(['debugfs', '-R', `stat "${path}"`, image], {
      timeoutMs: TOOL_TIMEOUT_MS,
      signal,
    });
    if (result.aborted) signal?.throwIfAborted();
    if (result.spawnError === 'ENOENT') return refusal('tool-missing', 'debugfs is not installed: install the package e2fsprogs.');
    if (!succeeded(result)) return refusal('tool-failed', describeFailure(result));
    const facts = parseDebugfsStat(result.stdout);
    const via = path === init ? '' : ` (a link to ${path})`;
    if (facts === undefined) return refusal('no-init', `${image} has no ${init}${via}: no program could be PID 1. ${remedy}`);
    if (facts.type === 'symlink' && facts.link !== null) {
      path = linkTarget(path, facts.link);
      continue;
    }
    if (facts.type !== 'regular') return refusal('no-init', `${init}${via} in ${image} is a ${facts.type}, not a program. ${remedy}`);
    if ((facts.mode & 0o111) === 0) return refusal('no-init', `${init}${via} in ${image} is not executable. Give it mode 755.`);
    return { ok: true, program: path };
  }
  return refusal('no-init', `${init} in ${image} is a link that leads round in circles. ${remedy}`);
}
