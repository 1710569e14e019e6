import type * as daemon from '@linstock/daemon';

/** What `up`, `down` and `serve` use of the controller's package; loaded only by them, so that other commands start fast. */
export type DaemonFace = Pick<typeof daemon, 'prepare' | 'startInBackground' | 'serve' | 'stop' | 'purge' | 'exec'>;
export type Prepared = Awaited<ReturnType<DaemonFace['prepare']>>;
export type Started = Awaited<ReturnType<DaemonFace['startInBackground']>>;
export type Ran = Awaited<ReturnType<DaemonFace['exec']>>;

export function loadDaemon(): Promise<DaemonFace> {
  return import('@linstock/daemon');
}

/** What `rootfs lint` uses of it: it needs no controller, only code that reads images. */
export type LintFace = Pick<typeof daemon, 'lintRootfs' | 'faultOfRefusal'>;

export function loadLint(): Promise<LintFace> {
  return import('@linstock/daemon');
}
