import type * as daemon from '@linstock/daemon';

/** What `up`, `down`, `serve` and `doctor` use of the controller's package; loaded only by them, so that other commands start fast. */
export type DaemonFace = Pick<
  typeof daemon,
  'prepare' | 'startInBackground' | 'serve' | 'stop' | 'purge' | 'doctor' | 'exec' | 'isStaticElf'
>;
export type Prepared = Awaited<ReturnType<DaemonFace['prepare']>>;
export type Started = Awaited<ReturnType<DaemonFace['startInBackground']>>;
export type Ran = Awaited<ReturnType<DaemonFace['exec']>>;

export function loadDaemon(): Promise<DaemonFace> {
  return import('@linstock/daemon');
}
