/**
 * The unit files of systemd in an image, found as systemd finds them: folders in order, aliases, masks, templates, drop-ins. Pure.
 * Source: systemd.unit(5), "Unit File Load Path" and "Description"; src/shared/unit-file.c.
 */
import { baseName, namesIn, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { parseIni } from './ini.ts';
import type { Setting } from './ini.ts';

/** Those of /run do not exist in an image. /lib is a folder of its own where /usr is not merged. */
const UNIT_FOLDERS = [
  '/etc/systemd/system.control',
  '/etc/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
] as const;

export type Unit = {
  name: string;
  /** its file, links followed */
  path: string;
  masked: boolean;
  /** of its file, then of its drop-ins */
  settings: readonly Setting[];
};

const UNIT_NAME = /^[\w:.@\\-]{1,250}\.(service|socket|target|timer|path|mount|automount|swap|slice|device|scope)$/;

export function isUnitName(name: string): boolean {
  return UNIT_NAME.test(name);
}

/** `getty@.service` for `getty@tty1.service`; null for a name without an instance. */
function templateOf(name: string): string | null {
  const match = /^([^@]+@)([^@]+)(\.[a-z]+)$/.exec(name);
  return match === null ? null : `${match[1] ?? ''}${match[3] ?? ''}`;
}

export class UnitFiles {
  readonly #view: ImageView;
  readonly #units = new Map<string, Unit | null>();
  readonly #folders: readonly string[];

  constructor(view: ImageView) {
    this.#view = view;
    // A merged /usr shows the same folder twice.
    const lib = view.stat('/lib/systemd/system');
    this.#folders = UNIT_FOLDERS.filter((folder) => folder !== '/lib/systemd/system' || (lib.is === 'there' && lib.path === folder));
  }

  /** Every unit file there is, by name. */
  names(): readonly string[] {
    return [...new Set(this.#folders.flatMap((folder) => namesIn(this.#view, folder).filter(isUnitName)))].toSorted();
  }

  /** The unit that a name stands for; null when there is none. */
  unit(name: string): Unit | null {
    if (!isUnitName(name)) return null;
    const known = this.#units.get(name);
    if (known !== undefined) return known;
    this.#units.set(name, null); // an alias that leads back here leads nowhere
    const found = this.#find(name, name) ?? this.#find(name, templateOf(name));
    this.#units.set(name, found);
    return found;
  }

  /** The names in the folders `<unit>.wants` and `<unit>.requires`: what somebody enabled. */
  linkedFrom(name: string): { name: string; path: string }[] {
    const template = templateOf(name);
    const owners = [name, ...(template === null ? [] : [template])];
    return this.#folders.flatMap((folder) =>
      owners.flatMap((owner) =>
        ['wants', 'requires'].flatMap((kind) =>
          namesIn(this.#view, `${folder}/${owner}.${kind}`)
            .filter(isUnitName)
            .map((linked) => ({ name: linked, path: `${folder}/${owner}.${kind}/${linked}` })),
        ),
      ),
    );
  }

  #find(name: string, fileName: string | null): Unit | null {
    if (fileName === null) return null;
    for (const folder of this.#folders) {
      const path = `${folder}/${fileName}`;
      const link = this.#view.lstat(path);
      if (link.is !== 'there') continue;
      const target = link.node.target;
      if (target !== null) {
        if (/(?:^|\/)dev\/null$/.test(target)) return { name, path, masked: true, settings: [] };
        const alias = baseName(target);
        if (alias !== fileName && isUnitName(alias)) return this.unit(instanceOf(name, alias));
      }
      const look = this.#view.stat(path);
      if (look.is !== 'there' || look.node.kind !== 'file') return null;
      if (look.node.bytes === 0) return { name, path: look.path, masked: true, settings: [] };
      const own = parseIni(textOf(this.#view, path) ?? '', look.path);
      return { name, path: look.path, masked: false, settings: [...own, ...this.#dropIns(name)] };
    }
    return null;
  }

  #dropIns(name: string): Setting[] {
    const owners = [name, templateOf(name), name.slice(name.lastIndexOf('.') + 1)].filter((owner) => owner !== null);
    const files = new Map<string, string>();
    for (const folder of this.#folders) {
      for (const owner of owners) {
        for (const file of namesIn(this.#view, `${folder}/${owner}.d`)) {
          if (file.endsWith('.conf') && !files.has(file)) files.set(file, `${folder}/${owner}.d/${file}`);
        }
      }
    }
    return [...files.entries()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, path]) => parseIni(textOf(this.#view, path) ?? '', path));
  }
}

/** An alias of a template keeps the instance: `autovt@tty1` → `getty@.service` is `getty@tty1.service`. */
function instanceOf(name: string, alias: string): string {
  const instance = /@([^@]+)\.[a-z]+$/.exec(name)?.[1];
  return instance === undefined || !alias.includes('@.') ? alias : alias.replace('@.', `@${instance}.`);
}

/** `%i` and `%I` of a template, `%%`; other specifiers stay as they are. */
export function specified(text: string, name: string): string {
  const instance = /@([^@]+)\.[a-z]+$/.exec(name)?.[1] ?? '';
  return text.replaceAll(/%([%iInN])/g, (_, letter: string) => {
    if (letter === '%') return '%';
    if (letter === 'n') return name;
    return letter === 'N' ? name.replace(/\.[a-z]+$/, '') : instance;
  });
}
