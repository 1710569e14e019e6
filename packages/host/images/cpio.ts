/**
 * Writes a cpio archive in the `newc` format that the kernel unpacks as initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).
 * Pure and reproducible: owner root, fixed times and inode numbers, entries in the order given. No fakeroot, no cpio program.
 */

export type CpioEntry =
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'file'; path: string; mode: number; data: Uint8Array }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'device'; path: string; mode: number; major: number; minor: number };

const TYPE_BITS: Record<CpioEntry['kind'], number> = { folder: 0o040000, file: 0o100000, symlink: 0o120000, device: 0o020000 };
const BLOCK_BYTES = 512;

export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  for (const entry of entries) add(entry, inode++);
  // The archive's own end mark.
  addRaw('TRAILER!!!', 0, 0, Buffer.alloc(0), 1, 0, 0);
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES));
  return Buffer.concat(parts);

  function add(entry: CpioEntry, number: number): void {
    const bits = entry.kind === 'symlink' ? 0o777 : entry.mode & 0o7777;
    const data = entry.kind === 'file' ? Buffer.from(entry.data) : entry.kind === 'symlink' ? Buffer.from(entry.target) : Buffer.alloc(0);
    const [major, minor] = entry.kind === 'device' ? [entry.major, entry.minor] : [0, 0];
    addRaw(entry.path, number, TYPE_BITS[entry.kind] | bits, data, entry.kind === 'folder' ? 2 : 1, major, minor);
  }
  function addRaw(path: string, number: number, mode: number, data: Buffer, links: number, major: number, minor: number): void {
    const name = Buffer.from(`${path}\0`);
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check: 8 hex digits each.
    const fields = [number, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0').toUpperCase()).join('')}`);
    parts.push(padded(Buffer.concat([header, name])), padded(data));
  }
}

function padded(data: Buffer): Buffer {
  const rest = (4 - (data.length % 4)) % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(rest)]);
}
