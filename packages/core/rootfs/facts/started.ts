/**
 * Which units systemd will start in an image: from its default target along Wants=, Requires= and the links somebody made by enabling. Pure.
 * What a unit's conditions rule out for certain is not started; what they leave open is.
 * Source: systemd.unit(5); systemd.special(7); for first boots machine-id(5) and systemd.preset(5).
 */
import { namesIn, tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { matchesGlob } from './glob.ts';
import { booleanOf, valuesOf, wordsOf } from './ini.ts';
import type { Setting } from './ini.ts';
import type { UnitFiles, Unit } from './unit-files.ts';

export type Started = {
  unit: Unit;
  /** who asks for it: a unit, or what happens at the first boot */
  by: string;
  /** the link or file that makes it so */
  path: string | null;
  /** a socket, timer or path starts it later */
  later: boolean;
  /** whether it starts depends on conditions that cannot be seen in an image */
  open: boolean;
};
/** Somebody asked for a unit that the image has no file of. */
export type Missing = { name: string; path: string };

export type Boot = { started: ReadonlyMap<string, Started>; missing: readonly Missing[]; target: string | null };

const PULLS = ['Wants', 'Requires', 'BindsTo', 'Upholds'] as const;
const mostUnits = 3000;

export type Pulled = { name: string; by: string; path: string | null };

/** `generated`: what generators and presets add before the first unit starts. `target`: `systemd.unit=` of the command line. */
export function bootOf(files: UnitFiles, view: ImageView, target: string | null, generated: readonly Pulled[]): Boot {
  const started = new Map<string, Started>();
  const missing: Missing[] = [];
  const goalName = target ?? 'default.target';
  const goal = files.unit(goalName);
  const queue: (Pulled & { later: boolean })[] = [];
  const pull = (name: string, by: string, path: string | null, later = false): void => void queue.push({ name, by, path, later });
  if (goal !== null) {
    pull(goal.name, 'the boot', goal.path);
    // default.target is another name of the goal, and what is linked to that name is linked to the goal.
    if (goalName !== goal.name) for (const linked of files.linkedFrom(goalName)) pull(linked.name, goal.name, linked.path);
  }
  for (const one of generated) pull(one.name, one.by, one.path);
  for (let at = 0; at < queue.length && started.size < mostUnits; at++) {
    const asked = queue[at];
    if (asked === undefined) break;
    const unit = files.unit(asked.name);
    if (unit === null) {
      // Wants= of a unit that is not there is common and means nothing; a link that somebody made does.
      if (asked.path?.includes('.wants/') === true && asked.path.startsWith('/etc/')) missing.push({ name: asked.name, path: asked.path });
      continue;
    }
    const before = started.get(unit.name);
    if (before !== undefined) {
      if (before.later && !asked.later) started.set(unit.name, { ...before, later: false });
      continue;
    }
    const conditions = conditionsOf(unit, view);
    if (unit.masked || conditions.includes(false)) continue;
    started.set(unit.name, { unit, by: asked.by, path: asked.path, later: asked.later, open: conditions.includes(null) });
    for (const linked of files.linkedFrom(unit.name)) pull(linked.name, unit.name, linked.path, asked.later);
    for (const key of PULLS) for (const name of wordsOf(unit.settings, 'Unit', key)) pull(name, unit.name, unit.path, asked.later);
    for (const name of activatedBy(unit)) pull(name, unit.name, unit.path, true);
  }
  return { started, missing, target: goal?.name ?? null };
}

function activatedBy(unit: Unit): string[] {
  const [, stem = '', kind = ''] = /^(.*)\.([a-z]+)$/.exec(unit.name) ?? [];
  const section = { socket: 'Socket', timer: 'Timer', path: 'Path' }[kind];
  if (section === undefined) return [];
  const named = wordsOf(unit.settings, section, kind === 'socket' ? 'Service' : 'Unit');
  if (named.length > 0) return named;
  return kind === 'socket' && booleanOf(valuesOf(unit.settings, 'Socket', 'Accept').at(-1)?.value ?? '') === true
    ? [`${stem}@.service`]
    : [`${stem}.service`];
}

/** Whether each condition and assertion holds in a VM with this image; null: that is seen only at the boot. */
function conditionsOf(unit: Unit, view: ImageView): (boolean | null)[] {
  return unit.settings.flatMap((setting) => {
    const check = /^(?:Condition|Assert)(\w+)$/.exec(setting.key)?.[1];
    return setting.section === 'Unit' && check !== undefined ? [holds(check, setting, view)] : [];
  });
}

function holds(check: string, { value }: Setting, view: ImageView): boolean | null {
  // `|` makes it one of several of which one must hold.
  if (value === '' || value.startsWith('|')) return null;
  const negated = value.startsWith('!');
  const rest = negated ? value.slice(1) : value;
  const plain = heldPlainly(check, rest, view);
  return plain === null ? null : plain !== negated;
}

function heldPlainly(check: string, value: string, view: ImageView): boolean | null {
  switch (check) {
    case 'PathExists':
    case 'FileIsExecutable':
    case 'PathIsDirectory':
    case 'FileNotEmpty': {
      // What is mounted or made later, or with a specifier, cannot be seen.
      if (!/^\/(?:etc|usr|lib|bin|sbin|opt|srv)\//.test(value) || value.includes('%')) return null;
      const look = view.stat(value);
      if (look.is !== 'there') return look.is === 'absent' ? false : null;
      if (check === 'FileIsExecutable') return look.node.kind === 'file' && (look.node.mode & 0o111) !== 0;
      if (check === 'FileNotEmpty') return look.node.kind === 'file' && look.node.bytes > 0;
      return check === 'PathExists' || look.node.kind === 'folder';
    }
    case 'Virtualization':
      if (value === 'container') return false;
      return value === 'vm' || booleanOf(value) === true ? true : null;
    case 'Capability':
      return true;
    case 'FirstBoot':
      return booleanOf(value) === isFirstBoot(view);
    default:
      return null;
  }
}

/** machine-id(5), "First Boot Semantics": an empty file is none, so that images can be made that way. */
export function isFirstBoot(view: ImageView): boolean {
  const content = view.read('/etc/machine-id', 64);
  if (content.is === 'unreadable') return false;
  return content.is === 'absent' || new TextDecoder().decode(content.bytes).trim() === 'uninitialized';
}

/**
 * What the first boot enables: every unit with an [Install] section for which the first matching line of the presets says `enable`, or that no line
 * names, and what those name in Also= (src/core/manager.c, manager_preset_all; "enable only", as Debian, Ubuntu and Fedora build it). Tried with
 * Debian 12: "Populated /etc with preset unit settings."
 */
export function enabledAtFirstBoot(files: UnitFiles, view: ImageView): Pulled[] {
  if (!isFirstBoot(view)) return [];
  const lines = presetLines(view);
  const pulled = new Map<string, Pulled>();
  const enable = (unit: Unit, because: string, path: string | null): void => {
    const targets = ['WantedBy', 'RequiredBy', 'UpheldBy'].flatMap((key) => wordsOf(unit.settings, 'Install', key));
    const instance = wordsOf(unit.settings, 'Install', 'DefaultInstance')[0];
    const name = unit.name.includes('@.') ? unit.name.replace('@.', `@${instance ?? ''}.`) : unit.name;
    if (unit.masked || pulled.has(name) || name.includes('@.')) return;
    // That its target is started is taken for granted: the common ones nearly always are.
    if (targets.some((target) => COMMON_TARGETS.has(target))) pulled.set(name, { name, by: `the first boot (${because})`, path });
    for (const also of wordsOf(unit.settings, 'Install', 'Also')) {
      const other = files.unit(also);
      if (other !== null && other.name !== unit.name && !pulled.has(also)) enable(other, `${unit.name} names it in Also=`, unit.path);
    }
  };
  for (const name of files.names()) {
    const unit = files.unit(name);
    if (unit === null || unit.name !== name) continue;
    const line = lines.find((one) => matchesGlob(one.pattern, name));
    if (line === undefined) enable(unit, 'no preset forbids it', unit.path);
    else if (line.enable) enable(unit, line.path, line.path);
  }
  return [...pulled.values()];
}

const COMMON_TARGETS: ReadonlySet<string> = new Set([
  'multi-user.target',
  'graphical.target',
  'default.target',
  'basic.target',
  'sysinit.target',
  'local-fs.target',
  'sockets.target',
  'timers.target',
  'getty.target',
  'network.target',
]);

const PRESET_FOLDERS = [
  '/etc/systemd/system-preset',
  '/usr/local/lib/systemd/system-preset',
  '/usr/lib/systemd/system-preset',
  '/lib/systemd/system-preset',
];

function presetLines(view: ImageView): { enable: boolean; pattern: string; path: string }[] {
  const files = new Map<string, string>();
  for (const folder of PRESET_FOLDERS)
    for (const name of namesIn(view, folder)) if (name.endsWith('.preset') && !files.has(name)) files.set(name, `${folder}/${name}`);
  return [...files]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, path]) =>
      tellingLines(textOf(view, path) ?? '', '#;').flatMap(({ text }) => {
        const [verb = '', pattern = ''] = text.split(/\s+/);
        return verb === 'enable' || verb === 'disable' ? [{ enable: verb === 'enable', pattern, path }] : [];
      }),
    );
}
