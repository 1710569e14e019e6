/**
 * Files that a program writes without ever waiting: its standard output, log, metrics, console. What a full pipe does not take is lost and
 * counted, as with the O_NONBLOCK descriptions that Firecracker writes to (vmm/src/logger/logging.rs).
 */
import { closeSync, constants, existsSync, fstatSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { at } from './jail-paths.ts';

export class Output {
  readonly #fd: number;
  readonly #lost: () => void;

  constructor(fd: number, lost: () => void = () => {}) {
    this.#fd = fd;
    this.#lost = lost;
  }

  write(text: string | Buffer): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    for (let done = 0; done < bytes.length;) {
      try {
        done += writeSync(this.#fd, bytes, done);
      } catch {
        this.#lost(); // full, or nobody reads: either way it is gone
        return;
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * A pipe through a description of our own, so that O_NONBLOCK is not set on one that is shared with whoever started us. A file is written
 * as it was given, because its offset is shared, and it never makes one wait.
 */
export function standardOutput(lost?: () => void): Output {
  try {
    if (fstatSync(1).isFIFO()) return new Output(openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK), lost);
  } catch {
    // A pipe whose reader has gone, or one that belongs to another user: then we write it as it is.
  }
  return new Output(1, lost);
}

/** The flags of the real one: read and write, so that a FIFO without a reader can be opened; created from 1.14.0 on (api_server/request). */
export function openForWords(path: string, create: boolean, lost?: () => void): Output {
  const flags = constants.O_RDWR | constants.O_NONBLOCK | (create ? constants.O_CREAT : 0);
  return new Output(openSync(at(path), flags, 0o644), lost);
}

/** What Rust says of a failed system call, in the words of musl, with which the releases are built (`Resource busy`: vmm/src/devices/virtio/net/tap.rs). */
export function osError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const [text, number] = osErrors[code] ?? [String((error as Error).message), 0];
  return `${text} (os error ${number})`;
}
/** libuv says EACCES of a socket whose folder is not there (uv-unix/pipe.c); Rust looks at the length before it asks the kernel. */
export function bindError(path: string, error: unknown): string {
  if (Buffer.byteLength(path) > 107) return 'path must be shorter than SUN_LEN';
  const { code } = error as NodeJS.ErrnoException;
  return osError(code === 'EACCES' && !existsSync(dirname(path)) ? Object.assign(new Error('no folder'), { code: 'ENOENT' }) : error);
}

const osErrors: Readonly<Record<string, readonly [string, number]>> = {
  EPERM: ['Operation not permitted', 1],
  ENOENT: ['No such file or directory', 2],
  EIO: ['I/O error', 5],
  ENXIO: ['No such device or address', 6],
  EACCES: ['Permission denied', 13],
  EBUSY: ['Resource busy', 16],
  EEXIST: ['File exists', 17],
  ENOTDIR: ['Not a directory', 20],
  EISDIR: ['Is a directory', 21],
  EINVAL: ['Invalid argument', 22],
  ENAMETOOLONG: ['Filename too long', 36],
  ELOOP: ['Symbolic link loop', 40],
  EADDRINUSE: ['Address in use', 98],
  ECONNREFUSED: ['Connection refused', 111],
};
