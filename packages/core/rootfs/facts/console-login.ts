/** Whether somebody can log in on the serial console of a guest. Pure. */
import { argOf } from '../context.ts';
import type { LintContext } from '../context.ts';
import { isThere } from '../view.ts';
import type { ImageView } from '../view.ts';
import type { Init } from './init.ts';
import type { Boot } from './started.ts';
import type { UnitFiles } from './unit-files.ts';

export type ConsoleLogin =
  | { is: 'there' }
  /** an init of its own kind, or no serial console asked for */
  | { is: 'unknown' }
  | { is: 'none'; path: string; why: string }
  /** systemd starts a getty when udev announces the terminal, and nothing does */
  | { is: 'waits'; path: string };

const GENERATORS = ['/usr/lib/systemd/system-generators/systemd-getty-generator', '/lib/systemd/system-generators/systemd-getty-generator'];

export function consoleLoginOf(
  view: ImageView,
  context: LintContext,
  init: Init,
  systemd: { files: UnitFiles; boot: Boot } | null,
): ConsoleLogin {
  const terminal = /^(ttyS\d+|hvc\d+)/.exec(argOf(context, 'console') ?? '')?.[1];
  if (terminal === undefined) return { is: 'unknown' };
  if (systemd !== null) return underSystemd(view, terminal, systemd.files, systemd.boot);
  if (init.kind === 'script' || init.kind === 'other') return { is: 'unknown' };
  // Without an inittab busybox offers a shell on the console.
  if (init.inittab === null) return init.kind === 'busybox' ? { is: 'there' } : { is: 'unknown' };
  if (init.services.includes(`agetty.${terminal}`)) return { is: 'there' };
  const there = init.inittab.some(
    ({ id, action, process }) =>
      /^(?:respawn|askfirst|sysinit)/.test(action) &&
      /getty|login|sh\b/.test(process) &&
      (process.includes(terminal) ||
        process.includes('console') ||
        id === terminal ||
        id === 'console' ||
        (id === '' && init.kind === 'busybox' && action !== 'sysinit')),
  );
  return there ? { is: 'there' } : { is: 'none', path: '/etc/inittab', why: `no line starts a getty on ${terminal}` };
}

function underSystemd(view: ImageView, terminal: string, files: UnitFiles, boot: Boot): ConsoleLogin {
  const name = `serial-getty@${terminal}.service`;
  const unit = files.unit(name);
  if (boot.started.has(`console-getty.service`)) return { is: 'there' };
  if (unit === null) return { is: 'none', path: `/usr/lib/systemd/system/serial-getty@.service`, why: 'there is no such unit' };
  if (unit.masked) return { is: 'none', path: unit.path, why: `${name} is masked` };
  if (!GENERATORS.some((path) => isThere(view, path)) && !boot.started.has(name))
    return { is: 'none', path: unit.path, why: `nothing starts ${name}: systemd-getty-generator is not there` };
  if (!boot.started.has('getty.target') && !boot.started.has(name))
    return { is: 'none', path: 'getty.target', why: 'getty.target is not started' };
  if (!['/sbin/agetty', '/usr/sbin/agetty'].some((path) => isThere(view, path)))
    return { is: 'none', path: '/sbin/agetty', why: 'there is no agetty, which the unit runs' };
  return boot.started.has('systemd-udevd.service') ? { is: 'there' } : { is: 'waits', path: unit.path };
}
