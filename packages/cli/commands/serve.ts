import { writeFile } from 'node:fs/promises';
import { command, exitCodes, UsageError, type Command } from '../command.ts';
import { loadDaemon, type DaemonFace } from '../daemon-face.ts';

/** Loopback: the API has no door to the world unless somebody opens one. Port 0 takes a free one; serving.json names it. */
const USUAL_LISTEN = { host: '127.0.0.1', port: 0 };

export function serveCommand(load: () => Promise<DaemonFace>): Command {
  return command({
    path: ['serve'],
    summary: 'Run the controller in the foreground',
    args: {},
    options: {
      host: { kind: 'text', flag: '--host <address>', doc: 'address to listen on (127.0.0.1)' },
      port: { kind: 'number', flag: '--port <n>', doc: 'port to listen on (a free one)' },
      errorsTo: {
        kind: 'text',
        flag: '--errors-to <file>',
        doc: 'where to leave the sentence of a failure, for whoever started this in the background',
      },
    },
    async run({ options }, { signal, stateFolder, environment }) {
      const port = options.port ?? USUAL_LISTEN.port;
      if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) throw new UsageError(`--port ${port}: a number from 0 to 65535`);
      try {
        const daemon = await load();
        await daemon.serve({
          stateFolder,
          environment: environment.variables,
          listen: { host: options.host ?? USUAL_LISTEN.host, port },
          signal,
        });
      } catch (error) {
        if (signal.aborted && error === signal.reason) return exitCodes.done; // the signal is how a controller is asked to end
        if (options.errorsTo !== undefined)
          await writeFile(options.errorsTo, `${error instanceof Error ? error.message : String(error)}\n`);
        throw error;
      }
      return exitCodes.done;
    },
  });
}

export const serve = serveCommand(loadDaemon);
