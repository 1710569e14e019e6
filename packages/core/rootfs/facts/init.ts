/** Which program becomes PID 1, what kind it is, and what its own configuration starts: inittab, OpenRC, scripts. Pure. */
import type { LintContext } from '../context.ts';
import { argOf } from '../context.ts';
import { baseName, isThere, namesIn, tellingLines, textOf } from '../view.ts';
import type { ImageView } from '../view.ts';
import { programAt } from './program.ts';
import type { Program } from './program.ts';

export type InitKind = 'systemd' | 'busybox' | 'sysvinit' | 'openrc-init' | 'script' | 'other';

export type InittabLine = { id: string; levels: string; action: string; process: string; line: number };

export type Init = {
  /** what the kernel starts */
  path: string;
  /** named by init= on the command line */
  named: boolean;
  program: Program;
  kind: InitKind;
  /** null: there is no inittab */
  inittab: readonly InittabLine[] | null;
  /** scripts of /etc/init.d that the boot starts: of OpenRC's runlevels, of the rc folders of sysvinit, or by their names as in buildroot */
  services: readonly string[];
};

/** The kernel's own list when no init= names one (init/main.c, kernel_init). */
export const FALLBACKS = ['/etc/init', '/bin/init', '/bin/sh'] as const;

export function initOf(view: ImageView, context: LintContext): Init {
  const named = argOf(context, 'init');
  const path = named ?? '/sbin/init';
  const program = programAt(view, path);
  const text = textOf(view, '/etc/inittab');
  return {
    path,
    named: named !== null,
    program,
    kind: kindOf(program, view),
    inittab: text === null ? null : inittabLines(text),
    services: servicesOf(view, text === null ? [] : inittabLines(text)),
  };
}

function kindOf(program: Program, view: ImageView): InitKind {
  if (program.is !== 'there') return 'other';
  const name = baseName(program.path);
  if (name === 'systemd') return 'systemd';
  if (name === 'busybox') return 'busybox';
  if (name === 'openrc-init') return 'openrc-init';
  if (program.form === 'script') return 'script';
  return name === 'init' && isThere(view, '/etc/inittab') && isThere(view, '/etc/init.d') ? 'sysvinit' : 'other';
}

function servicesOf(view: ImageView, inittab: readonly InittabLine[]): string[] {
  const openrc = ['sysinit', 'boot', 'default'].flatMap((runlevel) => namesIn(view, `/etc/runlevels/${runlevel}`));
  const level = inittab.find(({ action }) => action === 'initdefault')?.levels ?? '2';
  const links = ['S', level].flatMap((one) => namesIn(view, `/etc/rc${one}.d`).flatMap((name) => /^S\d\d(.+)$/.exec(name)?.[1] ?? []));
  const named = namesIn(view, '/etc/init.d').filter((name) => /^S\d\d/.test(name));
  return [...new Set([...openrc, ...(openrc.length === 0 ? links : []), ...named])];
}

/** `id:levels:action:process`, inittab(5); busybox reads the id as a terminal. */
function inittabLines(text: string): InittabLine[] {
  return tellingLines(text).flatMap(({ text: row, line }) => {
    const match = /^([^:]*):([^:]*):([^:]*):(.*)$/.exec(row);
    if (match === null) return [];
    const [, id = '', levels = '', action = '', process = ''] = match;
    return [{ id, levels, action, process: process.trim(), line }];
  });
}
