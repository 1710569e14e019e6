/**
 * What two root file systems hold, so that they can be compared: packages, the units that systemd starts, and files. Pure.
 * A file of a package whose version changed is told by the package. Contents are compared where people and image builders write
 * (configuration, units, what is local); elsewhere kind, mode, owner and size say that a file changed.
 */
import type { GoldenDiff } from '@linstock/contract';
import { dpkgRecords } from './dpkg-status.ts';
import type { Boot } from './facts/started.ts';
import type { ImageView } from './view.ts';

type Part = GoldenDiff['parts'][number];

export type ImageContents = {
  /** by name (and architecture where dpkg says it): the version */
  packages: ReadonlyMap<string, string>;
  units: ReadonlySet<string>;
  files: ReadonlyMap<string, { is: string; text: string | null; package: string | null }>;
  /** what could not be read: nothing is said of it */
  unread: readonly string[];
};

const readInside = ['/etc/', '/usr/local/', '/usr/lib/systemd/', '/lib/systemd/', '/opt/', '/root/', '/srv/'];
const mostTextBytes = 64 * 1024;
const mostStatusBytes = 16 * 1024 * 1024;
const mostFiles = 50_000;
/** Told by the packages, or made anew by every boot. */
const leftOut = ['/var/lib/dpkg', '/lib/apk/db', '/proc', '/sys', '/dev', '/run', '/tmp', '/lost+found'];

export function contentsOf(view: ImageView, boot: Boot | null): ImageContents {
  const unread: string[] = [];
  const packages = new Map([...dpkgOf(view, unread), ...apkOf(view, unread)]);
  const owners = ownersOf(view);
  const files = new Map<string, { is: string; text: string | null; package: string | null }>();
  const walk = (folder: string): void => {
    const listing = view.list(folder === '' ? '/' : folder);
    if (listing.is === 'unreadable') unread.push(`${folder}/: ${listing.why}`);
    if (listing.is !== 'there') return;
    for (const { name, kind } of listing.entries) {
      const path = `${folder}/${name}`;
      if (leftOut.includes(path)) continue;
      if (files.size >= mostFiles) {
        unread.push(`files behind the first ${mostFiles}`);
        return;
      }
      const look = view.lstat(path);
      if (look.is === 'unreadable') unread.push(`${path}: ${look.why}`);
      if (look.is !== 'there') continue;
      const { mode, uid, bytes, target } = look.node;
      const size = kind === 'file' ? ` of ${bytes} bytes` : kind === 'symlink' ? ` to ${target}` : '';
      const rights = kind === 'symlink' ? '' : ` ${mode.toString(8)} uid ${uid}`;
      files.set(path, {
        is: `${kind}${size}${rights}`,
        text: kind === 'file' ? textAt(view, path, bytes) : null,
        package: owners.get(path) ?? null,
      });
      if (kind === 'folder') walk(path);
    }
  };
  walk('');
  return { packages, units: new Set(boot?.started.keys() ?? []), files, unread: unread.toSorted() };
}

function textAt(view: ImageView, path: string, bytes: number): string | null {
  if (bytes > mostTextBytes || !readInside.some((folder) => path.startsWith(folder))) return null;
  const content = view.read(path, mostTextBytes);
  return content.is === 'there' ? new TextDecoder('latin1').decode(content.bytes) : null;
}

function dpkgOf(view: ImageView, unread: string[]): [string, string][] {
  return dpkgRecords(recordAt(view, '/var/lib/dpkg/status', unread)).flatMap(({ name, version, status }): [string, string][] =>
    status.endsWith(' installed') ? [[name, version]] : [],
  );
}

/** /lib/apk/db/installed: stanzas of `P:name` and `V:version` (apk-tools). */
function apkOf(view: ImageView, unread: string[]): [string, string][] {
  return recordAt(view, '/lib/apk/db/installed', unread)
    .split(/\n\n+/)
    .flatMap((stanza): [string, string][] => {
      const [name, version] = [/^P:(.*)$/m.exec(stanza)?.[1], /^V:(.*)$/m.exec(stanza)?.[1]];
      return name === undefined || version === undefined ? [] : [[name, version]];
    });
}

function recordAt(view: ImageView, path: string, unread: string[]): string {
  const content = view.read(path, mostStatusBytes);
  if (content.is === 'unreadable') unread.push(`${path}: ${content.why}`);
  return content.is === 'there' ? new TextDecoder('latin1').decode(content.bytes) : '';
}

/** dpkg's lists name paths as a package has them, before /bin, /sbin and /lib became links into /usr. */
function ownersOf(view: ImageView): Map<string, string> {
  const owners = new Map<string, string>();
  const info = view.list('/var/lib/dpkg/info');
  for (const { name } of info.is === 'there' ? info.entries : []) {
    if (!name.endsWith('.list')) continue;
    const list = view.read(`/var/lib/dpkg/info/${name}`, mostStatusBytes);
    if (list.is !== 'there') continue;
    const owner = name.slice(0, -'.list'.length).replace(/:.*$/, '');
    for (const path of new TextDecoder('latin1').decode(list.bytes).split('\n')) {
      owners.set(path, owner);
      owners.set(`/usr${path}`, owner);
    }
  }
  return owners;
}

const mostTold = 400;

/** What changed, the packages first. */
export function differencesOf(from: ImageContents, to: ImageContents): Part[] {
  const both = (a: Iterable<string>, b: Iterable<string>): string[] => [...new Set([...a, ...b])].toSorted();
  const packages = both(from.packages.keys(), to.packages.keys()).filter((name) => from.packages.get(name) !== to.packages.get(name));
  const changed = new Set(packages);
  const units = both(from.units, to.units).filter((unit) => from.units.has(unit) !== to.units.has(unit));
  const files = both(from.files.keys(), to.files.keys()).flatMap((path): Part[] => {
    const [a, b] = [from.files.get(path), to.files.get(path)];
    if ([a?.package, b?.package].some((owner) => typeof owner === 'string' && changed.has(owner))) return [];
    if (a?.is === b?.is && a?.text === b?.text) return [];
    const told = a?.is === b?.is ? ', with other content' : '';
    return [
      {
        what: `file ${path}`,
        from: a === undefined ? null : `${a.is}${told && ', as it was'}`,
        to: b === undefined ? null : `${b.is}${told}`,
      },
    ];
  });
  const unread = both(from.unread, to.unread).map((what): Part => {
    const side = (has: boolean): string | null => (has ? 'not read' : null);
    return { what: `not compared: ${what}`, from: side(from.unread.includes(what)), to: side(to.unread.includes(what)) };
  });
  const more = files.length - mostTold;
  return [
    ...packages.map((name): Part => ({
      what: `package ${name}`,
      from: from.packages.get(name) ?? null,
      to: to.packages.get(name) ?? null,
    })),
    ...units.map((unit): Part => ({
      what: `unit ${unit}`,
      from: from.units.has(unit) ? 'started' : null,
      to: to.units.has(unit) ? 'started' : null,
    })),
    ...files.slice(0, mostTold),
    ...(more > 0 ? [{ what: `${more} more files`, from: null, to: null }] : []),
    ...unread,
  ];
}
