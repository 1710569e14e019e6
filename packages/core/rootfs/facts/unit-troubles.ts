/** Units that the boot starts and that cannot start: their program, its interpreter or their environment file is not in the image. Pure. */
import type { ImageView } from '../view.ts';
import { lastOf, valuesOf } from './ini.ts';
import { obstacle, programAt } from './program.ts';
import { plainWords } from './shell-words.ts';
import type { Boot } from './started.ts';
import { specified } from './unit-files.ts';
import type { Unit } from './unit-files.ts';

export type UnitTrouble = { unit: string; path: string; line: number; what: string; kind: 'program' | 'environment' };

const SEARCHED = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Below these nothing of the image is seen at run time. */
const MADE_LATER = /^\/(?:run|proc|sys|dev|tmp|var\/run)\//;

export function unitTroubles(view: ImageView, boot: Boot): UnitTrouble[] {
  // Where a condition may keep a unit from starting, nothing is said of it.
  const certain = [...boot.started.values()].filter(({ open }) => !open);
  return certain.flatMap(({ unit }) => [...programs(view, unit), ...environments(view, unit)]);
}

function programs(view: ImageView, unit: Unit): UnitTrouble[] {
  const elsewhere = ['RootDirectory', 'RootImage'].some((key) => lastOf(unit.settings, 'Service', key) !== null);
  if (elsewhere || !unit.name.endsWith('.service')) return [];
  return valuesOf(unit.settings, 'Service', 'ExecStart').flatMap(({ value, path, line }) => {
    const [, prefix = '', rest = ''] = /^([-@:+!|]*)(.*)$/.exec(specified(value, unit.name)) ?? [];
    const program = plainWords(rest)[0] ?? '';
    if (prefix.includes('-') || program === '' || /[%$]/.test(program) || MADE_LATER.test(program)) return [];
    const places = program.startsWith('/') ? [program] : SEARCHED.map((folder) => `${folder}/${program}`);
    const wrong = places.map((place) => obstacle(programAt(view, place)));
    if (wrong.some((one) => one === null)) return [];
    const what = program.startsWith('/') ? (wrong[0]?.what ?? '') : `there is no program ${program}`;
    return [{ unit: unit.name, path, line, what, kind: 'program' as const }];
  });
}

function environments(view: ImageView, unit: Unit): UnitTrouble[] {
  return valuesOf(unit.settings, 'Service', 'EnvironmentFile').flatMap(({ value, path, line }) => {
    if (!value.startsWith('/') || /[%*?[]/.test(value) || MADE_LATER.test(value) || view.stat(value).is !== 'absent') return [];
    return [{ unit: unit.name, path, line, what: `there is no file ${value}`, kind: 'environment' as const }];
  });
}
