/** What should be of one machine only and is in the image: all guests made from it would share it. Pure. */
import { namesIn } from '../view.ts';
import type { ImageView } from '../view.ts';

export type Identity = {
  /** the file holds an id, and not nothing or `uninitialized` (machine-id(5)) */
  machineIds: readonly string[];
  hostKeys: readonly string[];
  seeds: readonly string[];
};

const MACHINE_IDS = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const SEEDS = ['/var/lib/systemd/random-seed', '/var/lib/urandom/random-seed', '/var/lib/misc/random-seed', '/var/lib/seedrng/seed.credit'];
const KEY_FOLDERS: readonly (readonly [folder: string, name: RegExp])[] = [
  ['/etc/ssh', /^ssh_host_\w+_key$/],
  ['/etc/dropbear', /^dropbear_\w+_host_key$/],
];

export function identityOf(view: ImageView): Identity {
  const hasBytes = (path: string): boolean => {
    const look = view.stat(path);
    return look.is === 'there' && look.node.kind === 'file' && look.node.bytes > 0;
  };
  return {
    // A link to /etc/machine-id is that file.
    machineIds: MACHINE_IDS.filter((path) => view.lstat(path).is === 'there' && !isLink(view, path)).filter((path) => {
      const content = view.read(path, 64);
      return content.is === 'there' && /^[0-9a-f]{32}\s*$/.test(new TextDecoder().decode(content.bytes));
    }),
    hostKeys: KEY_FOLDERS.flatMap(([folder, pattern]) =>
      namesIn(view, folder)
        .filter((name) => pattern.test(name))
        .map((name) => `${folder}/${name}`)
        .filter(hasBytes),
    ),
    seeds: SEEDS.filter(hasBytes),
  };
}

function isLink(view: ImageView, path: string): boolean {
  const look = view.lstat(path);
  return look.is === 'there' && look.node.kind === 'symlink';
}
