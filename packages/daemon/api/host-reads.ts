import type {
  BootId,
  EvidenceDocument,
  ExecFrame,
  GoldenDiff,
  GoldenManifest,
  HostFacts,
  Network,
  RootfsFinding,
} from '@linstock/contract';
import type { BootDetails, BootRecord, ExecOrder, Vm } from '@linstock/core';
import type { LocalHost } from '@linstock/host';

/** What the API may ask a host for directly: looks and talk, never a change of what is there. */
export interface HostReads {
  readonly mark: string;
  facts(): Promise<HostFacts>;
  bootDetails(record: BootRecord, network: Network | undefined): Promise<BootDetails>;
  /** Why the VMM that runs this boot must not be paused; null when it may. */
  whyNoPause(boot: BootId): Promise<{ vmm: string; why: string } | null>;
  /** The kept part of a console from a byte offset on; follows until the signal fires when asked to. */
  console(boot: string, options: { from: number | null; follow: boolean; signal: AbortSignal }): AsyncIterable<Uint8Array>;
  /** Everything that the host can tell of a boot, while it lives and after. */
  evidence(vm: Vm, record: BootRecord, signal: AbortSignal): Promise<EvidenceDocument[]>;
  /** Frames of an exec through the guest agent; a fault `agent-absent` is thrown before the first frame. */
  exec(vm: Vm, order: ExecOrder, signal: AbortSignal): Promise<AsyncIterable<ExecFrame>>;
  /** What a static look at its root file system finds; a fault when it cannot be read. */
  lint(golden: GoldenManifest): Promise<readonly RootfsFinding[]>;
  /** What the root file systems of two versions hold otherwise; a fault when one cannot be read. */
  differences(from: GoldenManifest, to: GoldenManifest): Promise<GoldenDiff['parts']>;
  goldens(): Promise<readonly GoldenManifest[]>;
}

/** The face of a host of this process, with what was found out about it when it was surveyed. */
export function hostReadsOf(host: LocalHost, mark: string, facts: HostFacts): HostReads {
  return {
    mark,
    facts: async () => facts,
    bootDetails: (record, network) => host.bootDetails(record, network),
    whyNoPause: (boot) => host.whyNoPause(boot),
    console: (boot, options) => host.console(boot, options),
    evidence: (vm, record, signal) => host.evidence(vm, record, signal),
    exec: (vm, order, signal) => host.exec(vm, order, signal),
    lint: (golden) => host.lint(golden),
    differences: (from, to) => host.differences(from, to),
    goldens: () => host.goldens(),
  };
}
