/**
 * What `up`, `down` and `serve` need of @linstock/daemon. To be deleted when that package exports it: then
 * `loadDaemon` is `() => import('@linstock/daemon')`.
 */
import type { Step } from './progress.ts';

export type Listen = { host: string; port: number };
type Whole = { stateFolder: string; environment: Readonly<Record<string, string | undefined>>; signal: AbortSignal };
type Reporting = Whole & { progress(step: Step): void };

export type Prepared = {
  changed: boolean;
  golden: { name: string; version: number };
  accelerator: 'kvm' | 'tcg';
  root: boolean;
  advice: readonly string[];
};
export type Started = { url: string; pid: number; already: boolean };
/** the result of host/tools/exec.ts, as far as the CLI looks at it */
export type Ran = { code: number | null; timedOut: boolean; aborted: boolean; spawnError: string | null; stderr: string };

export type DaemonFace = {
  prepare(o: Reporting): Promise<Prepared>;
  /** port 0: a free one */
  startInBackground(o: Reporting & { port: number }): Promise<Started>;
  serve(o: Whole & { listen: Listen }): Promise<void>;
  stop(o: Whole): Promise<{ stopped: boolean }>;
  purge(o: Reporting): Promise<{ removed: readonly string[] }>;
  /** host/tools/exec.ts: the one place that starts other programs */
  exec(argv: readonly string[], o: { signal: AbortSignal; timeoutMs: number; env?: Readonly<Record<string, string>> }): Promise<Ran>;
};

export async function loadDaemon(): Promise<DaemonFace> {
  const name: string = '@linstock/daemon'; // not a literal: the package has no entry yet, and the compiler must not look
  return (await import(name)) as DaemonFace;
}
