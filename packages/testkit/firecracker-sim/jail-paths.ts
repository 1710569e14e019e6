/**
 * A simulated process is not really in a chroot, since node and these files lie outside of it. It stands in the root of the jail instead,
 * and takes every path that it is given from there: `/run/firecracker.socket` is `run/firecracker.socket`, which also keeps names of
 * sockets as short as they would be inside (jailer/src).
 */
import { posix } from 'node:path';

let jailed = false;

/** Once, at the start, by a process whose working folder is the root of a jail. */
export function enterJail(): void {
  jailed = true;
}

/** Where a path that a client or an argument names really lies. `..` does not lead out. */
export function at(path: string): string {
  if (!jailed) return path;
  const inside = posix.normalize(`/${path}`).slice(1);
  return inside === '' ? '.' : inside;
}
