import { command, type Command } from '../command.ts';
import { loadDaemon, type DaemonFace } from '../daemon-face.ts';

export function downCommand(load: () => Promise<DaemonFace>): Command {
  return command({
    path: ['down'],
    summary: 'Stop the controller; VMs go on unless --purge',
    args: {},
    options: {
      purge: {
        kind: 'flag',
        flag: '--purge',
        doc: 'end every VM and remove all that was made: networks, cgroups, processes, the state folder',
      },
    },
    async run({ options }, { out, signal, stateFolder, self }) {
      const daemon = await load();
      out.progress({ name: 'stopping the controller' });
      const { stopped } = await daemon.stop({ stateFolder, signal });
      const removed = options.purge ? (await daemon.purge({ stateFolder, signal, progress: (step) => out.progress(step) })).removed : [];
      out.quiet();
      await out.answer({ stopped, purged: options.purge, removed }, () => [
        stopped ? 'The controller is stopped.' : 'No controller was running.',
        ...(options.purge
          ? [removed.length === 0 ? 'Nothing was left to remove.' : 'Removed:', ...removed.map((one) => `  ${one}`)]
          : [`VMs that run go on, and the next \`${self} up\` takes them over. \`${self} down --purge\` ends and removes everything.`]),
      ]);
    },
  });
}

export const down = downCommand(loadDaemon);
