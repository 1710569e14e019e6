import { command, exitCodes, type Command } from '../command.ts';
import { loadDaemon, type DaemonFace } from '../daemon-face.ts';
import { doctorPage } from '../doctor-page.ts';
import { lookAtHost } from '../host-install.ts';
import { commandForAdministrator, missingPackages } from '../host-packages.ts';

export function doctorCommand(load: () => Promise<DaemonFace>): Command {
  return command({
    path: ['doctor'],
    summary: 'Check whether this host is fit for production; needs no controller and changes nothing',
    args: {},
    options: {
      noProbe: { kind: 'flag', flag: '--no-probe', doc: 'start no guests to see whether KVM and QEMU work; those checks are then unknown' },
    },
    async run({ options }, { out, signal, stateFolder, environment, self }) {
      out.progress({ name: 'looking at this host' });
      const daemon = await load();
      const look = await lookAtHost(environment.programFolders, process.getuid?.() === 0, daemon.isStaticElf);
      // whoever asks: in production root runs it
      const missing = [...new Set([...missingPackages(look), ...missingPackages({ ...look, root: true })])];
      const named = (needed: boolean): string[] => missing.filter((one) => one.indispensable === needed).map((one) => one.package);
      const report = await daemon.doctor({
        stateFolder,
        environment: environment.variables,
        programFolders: environment.programFolders,
        packages: { needed: named(true), useful: named(false), install: commandForAdministrator(missing) },
        probe: !options.noProbe,
        signal,
        progress: (step) => out.progress(step),
      });
      out.quiet();
      await out.answer(report, () => doctorPage(report, out.style, self));
      return report.summary.badMusts > 0 ? exitCodes.fault : exitCodes.done;
    },
  });
}

export const doctor = doctorCommand(loadDaemon);
