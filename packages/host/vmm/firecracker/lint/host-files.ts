/** What the paths of a configuration lead to on this machine, judged. Pure. See host-judge.ts. */
import { dirname } from 'node:path';
import { kindOf, looks, type FileKind, type Version } from '@linstock/core';
import { has, refusalOfKernel } from '../versions.ts';
import { rootOf } from './boot.ts';
import type { Say, Section } from './finding.ts';
import type { FileSight, HostSight } from './host-sight.ts';
import type { NamedPath } from './paths.ts';

const jailed = 'In a jail paths begin at its folder: --no-host leaves these looks out.';
const names: Readonly<Record<NamedPath['use'], string>> = {
  kernel: 'kernel',
  initrd: 'initrd',
  drive: 'image',
  pmem: 'image',
  template: 'CPU template',
  log: 'file',
  listen: 'socket',
  connect: 'socket of the vhost-user backend',
};

type About = { config: Section; version: Version; isRoot: boolean };

export function judgePath(named: NamedPath, seen: FileSight, about: About, say: Say): void {
  const { at, path, use } = named;
  if (seen.is === 'closed') {
    const denied = seen.code === 'EACCES' || seen.code === 'EPERM';
    return say(
      'error',
      at,
      denied ? `A folder on the way to ${path} may not be entered by this user.` : `${path} cannot be looked at (${seen.code}).`,
      'Neither can Firecracker open it, started by this user.',
      denied ? 'Change its mode, or run as its owner.' : 'Check the path.',
    );
  }
  if (use === 'listen') return judgeListen(named, seen, say);
  if (seen.is === 'absent') {
    if (use === 'log' && has(about.version, 'createsLogFiles')) return judgeFolder(named, seen, say);
    if (use === 'log')
      return say(
        'error',
        at,
        `There is no file ${path}.`,
        `Firecracker ${about.version.text} does not make it and ends with an error; 1.14.0 and newer do.`,
        `Make it before: touch ${path}`,
      );
    return say(
      'error',
      at,
      `There is no ${names[use]} ${path}.`,
      'Firecracker ends with "No such file or directory".',
      `Check the path. ${jailed}`,
    );
  }
  if (seen.kind === 'folder' && use !== 'connect')
    return say('error', at, `${path} is a folder.`, `Firecracker needs the ${names[use]} itself.`, 'Name the file in it.');
  if (use === 'connect') {
    if (seen.kind !== 'socket')
      say(
        'error',
        at,
        `${path} is no socket.`,
        'A vhost-user backend listens on one.',
        'Start the backend, or use path_on_host for a file.',
      );
    else if (seen.listening === false)
      say(
        'error',
        at,
        `Nobody listens on ${path}.`,
        'Firecracker connects at once, and ends when it is refused.',
        'Start the backend first.',
      );
    return;
  }
  const lacks = !seen.readable && use !== 'log' ? 'read' : named.writes && !seen.writable ? 'written' : null;
  if (lacks !== null)
    say(
      'error',
      at,
      `${path} may not be ${lacks} by this user.`,
      'Firecracker, started by this user, ends with "Permission denied".',
      lacks === 'written' && use === 'drive' ? 'Change its mode or owner, or set is_read_only.' : 'Change its mode or owner.',
    );
  if (use === 'kernel') judgeKernel(named, seen.head, say);
  if ((use === 'initrd' || use === 'pmem') && seen.bytes === 0)
    say('error', at, `${path} is empty.`, 'Firecracker refuses an image of no bytes.', 'Make it again.');
  if (use === 'drive') judgeDrive(named, seen, about, say);
}

function judgeKernel({ at, path }: NamedPath, head: Uint8Array | null, say: Say): void {
  if (head === null) return;
  const kind = kindOf(head);
  if (refusalOfKernel(head) === null) return;
  if (kind === 'bzImage')
    say(
      'error',
      at,
      `${path} is a bzImage.`,
      'Firecracker up to 1.16.1 starts an uncompressed ELF vmlinux only, and says so when the VM is started (Invalid Elf magic number).',
      'Take the vmlinux out of it: scripts/extract-vmlinux of the kernel’s sources does.',
    );
  else
    say(
      'error',
      at,
      `${path} is no ELF file: it is ${looks[kind]}.`,
      'Firecracker starts an uncompressed ELF vmlinux only, and says so when the VM is started (Invalid Elf magic number).',
      'Give the vmlinux of a kernel build.',
    );
}

/** What certainly is no raw disk that a kernel could mount. */
const noDisk: ReadonlySet<FileKind> = new Set<FileKind>([
  'elf',
  'bzImage',
  'script',
  'gzip',
  'xz',
  'zstd',
  'bzip2',
  'lz4',
  'tar archive',
  'zip archive',
  'Debian package',
  'cpio archive',
  'text',
]);

function judgeDrive({ at, path }: NamedPath, seen: Extract<FileSight, { is: 'there' }>, { config, isRoot }: About, say: Say): void {
  if (seen.bytes === 0) return say('error', at, `${path} is empty.`, 'The guest sees a disk without a sector.', 'Make it again.');
  if (seen.bytes !== null && seen.bytes % 512 !== 0)
    say(
      'warning',
      at,
      `${path} has ${seen.bytes} bytes, which is no multiple of 512.`,
      'The guest does not see what lies behind the last whole sector.',
      `Make it whole: truncate -s %512 ${path}`,
    );
  if (seen.head === null) return;
  const kind = kindOf(seen.head);
  if (kind === 'qcow2 disk')
    return say(
      'error',
      at,
      `${path} is a qcow2 disk.`,
      'Firecracker hands the bytes of the file to the guest, which cannot read that format.',
      `Convert it: qemu-img convert -O raw ${path} FILE`,
    );
  if (!isRoot) return;
  const root = rootOf(config);
  if (noDisk.has(kind))
    say(
      'error',
      at,
      `${path} is ${looks[kind]}.`,
      'The kernel finds no file system on it and panics.',
      'Give a raw image of a file system, or of a disk with partuuid.',
    );
  else if (kind === 'partitioned disk' && root?.argument === 'root=/dev/vda')
    say(
      'error',
      at,
      `${path} has a partition table.`,
      'Firecracker appends root=/dev/vda, which is the whole disk: the kernel finds no file system there.',
      'Give the partition in partuuid, or set is_root_device to false and write root=/dev/vda1.',
    );
}

function judgeListen(named: NamedPath, seen: Exclude<FileSight, { is: 'closed' }>, say: Say): void {
  const { at, path } = named;
  if (seen.is === 'absent') return judgeFolder(named, seen, say);
  say(
    'error',
    at,
    `${path} is there already${seen.listening === true ? ', and somebody listens on it' : seen.listening === false ? ', and nobody listens on it' : ''}.`,
    'Firecracker makes this socket and does not replace one: it ends with "Address already in use".',
    seen.kind !== 'socket' || seen.listening === true ? 'Give each VM a path of its own.' : `It is what an earlier run left: rm ${path}`,
  );
}

function judgeFolder({ at, path }: NamedPath, { folder }: Extract<FileSight, { is: 'absent' }>, say: Say): void {
  if (folder === 'absent')
    say('error', at, `There is no folder ${dirname(path)}.`, 'Firecracker makes the file, and no folder.', `Make it before. ${jailed}`);
  if (folder === 'closed')
    say(
      'error',
      at,
      `The folder ${dirname(path)} may not be written to by this user.`,
      'Firecracker, started by this user, ends with "Permission denied".',
      'Change its mode or owner, or name another place.',
    );
}

/** Two names of one image, when one of them is written to. Equal paths are said without looking (devices.ts). */
export function judgeTwins(paths: readonly NamedPath[], sight: HostSight, say: Say): void {
  const seen = new Map<string, NamedPath>();
  for (const named of paths.filter(({ use }) => use === 'drive' || use === 'pmem')) {
    const file = sight.files.get(named.path);
    if (file?.is !== 'there') continue;
    const other = seen.get(file.id);
    if (other === undefined) seen.set(file.id, named);
    else if ((named.writes || other.writes) && other.path !== named.path)
      say(
        'error',
        named.at,
        `${named.path} and ${other.path} (${other.at}) are the same file, and it is written to.`,
        'Two devices on one filesystem destroy it, and Firecracker locks nothing.',
        'Give each a file of its own.',
      );
  }
}
