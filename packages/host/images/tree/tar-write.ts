/** Writes a tree as a tar archive: ustar with PAX records where they are needed. Equal trees give equal bytes. */
import { Output } from './output.ts';
import { sizeOf } from './tree.ts';
import type { Tree, TreeNode } from './tree.ts';

const BLOCK = 512;
const TYPES: Readonly<Record<TreeNode['kind'], string>> = {
  file: '0',
  symlink: '2',
  char: '3',
  block: '4',
  folder: '5',
  fifo: '6',
  socket: '',
};
/** What seven octal digits hold, and eleven. */
const MOST_SMALL = 0o7777777;
const MOST_LARGE = 0o77777777777;

/** Sockets are left out: they belong to a process, and tar knows none. */
export async function writeTar(tree: Tree, file: string, signal?: AbortSignal): Promise<void> {
  await Output.into(file, null, signal, async (out) => {
    const names = new Map<TreeNode, string>();
    const add = async (path: string, node: TreeNode): Promise<void> => {
      if (node.kind === 'socket') return;
      const first = names.get(node);
      if (node.kind !== 'folder') names.set(node, first ?? path);
      await out.write(headerOf(path, node, first ?? null));
      if (node.kind !== 'file' || first !== undefined) return;
      await out.copy(node.data);
      await out.pad(BLOCK);
    };
    await add('.', tree.root);
    for (const { path, node } of tree.walk()) await add(path, node);
    await out.write(Buffer.alloc(2 * BLOCK));
  });
}

/** One entry's header blocks; `first`: the name under which this file is in the archive already. */
function headerOf(path: string, node: TreeNode, first: string | null): Buffer {
  const link = first ?? (node.kind === 'symlink' ? node.target : '');
  const size = node.kind === 'file' && first === null ? sizeOf(node.data) : 0;
  const records: [string, Uint8Array][] = [];
  const text = (key: string, value: string): unknown => records.push([key, Buffer.from(value)]);
  if (!fits(path)) text('path', path);
  if (!fits(link)) text('linkpath', link);
  if (size > MOST_LARGE) text('size', String(size));
  for (const key of ['uid', 'gid'] as const) if (node[key] > MOST_SMALL) text(key, String(node[key]));
  for (const [name, value] of [...node.xattrs].toSorted(([a], [b]) => (a < b ? -1 : 1))) records.push([`SCHILY.xattr.${name}`, value]);
  const main = ustar(path, { ...node, size, link, type: first === null ? TYPES[node.kind] : '1', device: deviceOf(node) });
  if (records.length === 0) return main;
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const extension = ustar('pax', { mode: 0o644, uid: 0, gid: 0, mtime: 0, size: body.length, link: '', type: 'x', device: [0, 0] });
  return Buffer.concat([extension, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK), main]);
}

function deviceOf(node: TreeNode): [number, number] {
  return node.kind === 'char' || node.kind === 'block' ? [node.major, node.minor] : [0, 0];
}

type Fields = { mode: number; uid: number; gid: number; mtime: number; size: number; link: string; type: string; device: [number, number] };

function ustar(name: string, f: Fields): Buffer {
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): unknown =>
    head.write(
      Math.min(value, 8 ** (length - 1) - 1)
        .toString(8)
        .padStart(length - 1, '0'),
      at,
      'latin1',
    );
  Buffer.from(name).copy(head, 0, 0, 100);
  octal(f.mode, 100, 8);
  octal(f.uid, 108, 8);
  octal(f.gid, 116, 8);
  octal(f.size, 124, 12);
  octal(f.mtime, 136, 12);
  head.fill(' ', 148, 156);
  head.write(f.type, 156, 'latin1');
  Buffer.from(f.link).copy(head, 157, 0, 100);
  head.write('ustar\u000000', 257, 'latin1');
  octal(f.device[0], 329, 8);
  octal(f.device[1], 337, 8);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return head;
}

/** Whether a name can stand in the header itself: there everything but ASCII is of an unknown character set. */
function fits(name: string): boolean {
  return /^[\x20-\x7e]{0,100}$/.test(name);
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
export function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
