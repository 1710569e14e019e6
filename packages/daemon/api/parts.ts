import type { Id, IdKind, Instant } from '@linstock/contract';
import type { Store } from '@linstock/core';
import type { GoldenBuilds } from '@linstock/host';
import type { HostReads } from './host-reads.ts';

/** What handlers are made of: one object of ports, built in main. */
export type Parts = {
  store: Store;
  host: HostReads;
  /** golden versions without a manifest */
  goldenBuilds: Pick<GoldenBuilds, 'all' | 'forget'>;
  ids: { next<K extends IdKind>(kind: K, now: Instant): Id<K> };
  now(): Instant;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  build: {
    version: string;
    commit: string | null;
    startedAt: Instant;
    pid: number;
    stateFolder: string;
    running: string;
    onDisk(): Promise<string>;
  };
};
