import { rm } from 'node:fs/promises';
import pino from 'pino';
import { FaultError } from '@linstock/contract';
import { closeInheritedFiles, ensureFolder, Paths, surveyHost, writeDurably } from '@linstock/host';
import { buildApp } from './api/app.ts';
import { clock } from './clock.ts';
import { readConfig, type Config } from './config.ts';
import { openController } from './controller.ts';
import { stumbleOf } from './engine.ts';
import { ids } from './ids.ts';
import { lockFolder } from './lock.ts';

export type ServeOptions = {
  stateFolder: string;
  listen: { host: string; port: number };
  environment: Record<string, string | undefined>;
  signal: AbortSignal;
};

/** Runs the controller in the foreground until the signal fires. Throws a fault when it cannot; rejects on a bug. */
export async function serve(options: ServeOptions): Promise<void> {
  closeInheritedFiles();
  process.umask(0o077); // what a controller writes is for its owner only
  const config: Config = { ...readConfig(options.environment), stateFolder: options.stateFolder };
  const paths = new Paths(config.stateFolder);
  const lock = await starting(() => ensureFolder(config.stateFolder).then(() => lockFolder(paths)));
  await rm(paths.serving, { force: true }); // of one that was killed: nobody serves here yet
  const logFile = pino.destination({ dest: paths.log, sync: false, mkdir: true });
  logFile.on('error', () => {}); // a full disk costs log lines, not the controller; who asks is told by the store
  const log = pino({ base: null }, logFile);
  try {
    const controller = await starting(async () => {
      const { facts } = await surveyHost({ ...config, paths, now: clock.now(), signal: options.signal });
      return openController(config, facts, log);
    });
    const app = buildApp({
      handlers: controller.handlers,
      version: controller.version,
      token: controller.token,
      now: clock.now,
      stopping: options.signal,
      nextRequestId: () => ids.next('evt', clock.now()).replace('evt_', 'req_'),
      log: ({ error, ...entry }) => (error === undefined ? log.info(entry, 'request') : log.error({ ...entry, err: error }, 'bug')),
    });
    try {
      const url = await app.listen({ host: options.listen.host, port: options.listen.port });
      await writeDurably(
        paths.serving,
        `${JSON.stringify({ url, pid: process.pid, token: controller.token, startedAt: clock.now() })}\n`,
        0o600,
      );
      log.info({ url, mark: controller.mark }, 'serving');
      await controller.run(options.signal);
    } finally {
      await app.close();
      await controller.close();
      await rm(paths.serving, { force: true });
    }
  } finally {
    await lock.release();
  }
}

/** A host that lacks something is no bug: a failed tool or system call on the way to the first request gets its name. */
async function starting<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, data } = stumbleOf(error, 'start the controller'); // throws what is a bug
    throw new FaultError(code, data, { cause: error });
  }
}
