import type { ExecFrame, GoldenManifest, HostFacts } from '@linstock/contract';
import type { BootRecord, Vm } from '@linstock/core';
import type { BootDetails } from './views.ts';

export type ExecOrder = { argv: readonly string[]; timeoutMs: number; cwd?: string | undefined; env?: Record<string, string> | undefined };

/** What the API may ask a host for directly: looks and talk, never a change of what is there. */
export interface HostReads {
  readonly mark: string;
  facts(): Promise<HostFacts>;
  bootDetails(record: BootRecord): Promise<BootDetails>;
  /** The kept part of a console from a byte offset on; follows until the signal fires when asked to. */
  console(boot: string, options: { from: number | null; follow: boolean; signal: AbortSignal }): AsyncIterable<Uint8Array>;
  /** Frames of an exec through the guest agent; a fault `agent-absent` is thrown before the first frame. */
  exec(vm: Vm, order: ExecOrder, signal: AbortSignal): Promise<AsyncIterable<ExecFrame>>;
  goldens(): Promise<readonly GoldenManifest[]>;
}
