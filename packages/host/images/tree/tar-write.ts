/** Writes a tree as a tar archive: ustar with PAX records where they are needed. Equal trees give equal bytes. */
import { headerOf, paddingOf, tarBlockBytes } from '../../tar/header.ts';
import { PAX_XATTR, paxRecord } from '../../tar/pax.ts';
import { Output } from './output.ts';
import { sizeOf } from './tree.ts';
import type { Tree, TreeNode } from './tree.ts';

const TYPES: Readonly<Record<TreeNode['kind'], string>> = {
  file: '0',
  symlink: '2',
  char: '3',
  block: '4',
  folder: '5',
  fifo: '6',
  socket: '',
};
/** What seven octal digits hold. */
const MOST_SMALL = 0o7777777;

/** Sockets are left out: they belong to a process, and tar knows none. */
export async function writeTar(tree: Tree, file: string, signal?: AbortSignal): Promise<void> {
  await Output.into(file, null, signal, async (out) => {
    const names = new Map<TreeNode, string>();
    const add = async (path: string, node: TreeNode): Promise<void> => {
      if (node.kind === 'socket') return;
      const first = names.get(node);
      if (node.kind !== 'folder') names.set(node, first ?? path);
      await out.write(blocksOf(path, node, first ?? null));
      if (node.kind !== 'file' || first !== undefined) return;
      await out.copy(node.data);
      await out.pad(tarBlockBytes);
    };
    await add('.', tree.root);
    for (const { path, node } of tree.walk()) await add(path, node);
    await out.write(Buffer.alloc(2 * tarBlockBytes));
  });
}

/** One entry's header blocks; `first`: the name under which this file is in the archive already. */
function blocksOf(path: string, node: TreeNode, first: string | null): Buffer {
  const link = first ?? (node.kind === 'symlink' ? node.target : '');
  const size = node.kind === 'file' && first === null ? sizeOf(node.data) : 0;
  const records: [string, Uint8Array][] = [];
  const text = (key: string, value: string): unknown => records.push([key, Buffer.from(value)]);
  if (!fits(path)) text('path', path);
  if (!fits(link)) text('linkpath', link);
  for (const key of ['uid', 'gid'] as const) if (node[key] > MOST_SMALL) text(key, String(node[key]));
  for (const [name, value] of [...node.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1))) records.push([`${PAX_XATTR}${name}`, value]);
  const main = headerOf(path, size, { ...node, link, type: first === null ? TYPES[node.kind] : '1', device: deviceOf(node) });
  if (records.length === 0) return main;
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  return Buffer.concat([headerOf('pax', body.length, { type: 'x' }), body, paddingOf(body.length), main]);
}

function deviceOf(node: TreeNode): [number, number] {
  return node.kind === 'char' || node.kind === 'block' ? [node.major, node.minor] : [0, 0];
}

/** Whether a name can stand in the header itself: there everything but ASCII is of an unknown character set. */
function fits(name: string): boolean {
  return /^[\x20-\x7e]{0,100}$/.test(name);
}
