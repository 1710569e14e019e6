/** The root file system of the golden image `tiny`: what is in it, as data. Pure; ext4.ts makes the file. */
import type { Ext4Plan, TreeEntry } from './ext4.ts';

export type TinyParts = {
  busybox: Uint8Array;
  /** What `busybox --list` prints: the applets that get a link. */
  applets: readonly string[];
  init: Uint8Array;
  pages: readonly { name: string; data: Uint8Array }[];
  /** The guest agent's program, or null for an image without. */
  agent: Uint8Array | null;
};

/** Fixed, so that equal content gives an equal file: the seed of directory hashes and of checksums. */
const UUID = '6c696e73-746f-636b-8000-74696e790001';
const HASH_SEED = '6c696e73-746f-636b-8000-74696e790002';
/** 2024-01-01: any fixed time; the guest's clock is never before it. */
const TIME_SECONDS = 1_704_067_200;

/** Applets that must not be found in the path: PID 1 is ours, and busybox's own would be taken for it. */
const NOT_LINKED = new Set(['busybox', 'init', 'linuxrc']);

export function tinyPlan(parts: TinyParts): Ext4Plan {
  const folder = (path: string, mode = 0o755): TreeEntry => ({ kind: 'folder', path, mode });
  const file = (path: string, data: Uint8Array | string, mode = 0o644): TreeEntry => ({
    kind: 'file',
    path,
    mode,
    data: typeof data === 'string' ? Buffer.from(data) : data,
  });
  const applets = parts.applets.filter((name) => /^[a-z0-9_[\]-]+$/i.test(name) && !NOT_LINKED.has(name)).toSorted();
  return {
    label: 'tiny',
    uuid: UUID,
    hashSeed: HASH_SEED,
    time: TIME_SECONDS,
    entries: [
      ...['bin', 'dev', 'etc', 'proc', 'run', 'sbin', 'sys', 'var', 'www'].map((path) => folder(path)),
      folder('root', 0o700),
      folder('tmp', 0o1777),
      { kind: 'symlink', path: 'var/run', target: '/run' },
      file('bin/busybox', parts.busybox, 0o755),
      ...applets.map((name): TreeEntry => ({ kind: 'symlink', path: `bin/${name}`, target: 'busybox' })),
      file('sbin/init', parts.init, 0o755),
      ...(parts.agent === null ? [] : [file('sbin/linstock-agent', parts.agent, 0o755)]),
      file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
      file('etc/group', 'root:x:0:\n'),
      file('etc/hosts', '127.0.0.1 localhost\n'),
      file('etc/os-release', 'ID=linstock-tiny\nNAME="Linstock tiny"\nPRETTY_NAME="Linstock tiny guest"\n'),
      ...parts.pages.map((page) => file(`www/${page.name}`, page.data)),
    ],
  };
}
