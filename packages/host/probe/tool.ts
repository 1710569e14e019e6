import { exec } from '../tools/exec.ts';
import type { ExecResult } from '../tools/exec.ts';

export type LookOptions = { signal: AbortSignal; deadlineMs: number };
/** Where to look from: a device of the network, and a network namespace when it is not the host's own. */
export type Vantage = { device?: string | undefined; netns?: string | undefined };

/** An address as a tool takes it: nothing that could be read as an option. */
export function isAddress(text: string): boolean {
  return /^[0-9A-Fa-f.:]{2,45}$/.test(text);
}

export function runTool(argv: readonly string[], from: Vantage, opts: LookOptions): Promise<ExecResult> {
  const whole = from.netns === undefined ? argv : ['ip', 'netns', 'exec', from.netns, ...argv];
  return exec(whole, { signal: opts.signal, timeoutMs: opts.deadlineMs, maxOutputBytes: 64 * 1024 });
}

/** Whole seconds, at least one, so that the tool ends by itself before the bound of `exec`. */
export function secondsWithin(deadlineMs: number): number {
  return Math.max(1, Math.floor((deadlineMs - 200) / 1000));
}
