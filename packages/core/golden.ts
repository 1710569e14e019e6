import {
  type GoldenManifest,
  sentenceOf,
  type BootId,
  type BootView,
  type Condition,
  type GoldenState,
  type VmId,
} from '@linstock/contract';
import type { Vm } from './vm.ts';

/** What is known of one golden image version, beside its manifest, which never changes. */
export type GoldenRecord = {
  name: string;
  version: number;
  digest: string;
  state: GoldenState;
  /** the throw-away VM of the verification under way */
  vm: VmId | null;
  /** whose proof made it what it is */
  boot: BootId | null;
  why: string | null;
};

export type GoldenDecision =
  /** its VM is not examined yet */
  | { do: 'wait' }
  /** the proof is in: record it, and let the VM go */
  | { do: 'settle'; state: 'active' | 'failed'; boot: BootId | null; why: string | null };

/**
 * What a verification has come to. Pure. `vm` is the throw-away VM as it stands, undefined when the store has forgotten it; `boot` its newest
 * boot. Nothing but a whole proof makes a version active: what is unknown does not.
 */
export function decideGolden(vm: Vm | undefined, boot: Pick<BootView, 'id' | 'proof'> | undefined): GoldenDecision {
  const id = (boot?.id as BootId | undefined) ?? null;
  const failed = (why: string): GoldenDecision => ({ do: 'settle', state: 'failed', boot: id, why });
  if (vm === undefined) return failed('its VM was deleted before it was proved');
  if (vm.fault !== null) return failed(sentenceOf(vm.fault));
  if (vm.wish !== 'running') return failed(`somebody asked for its VM to be ${vm.wish} before it was proved`);
  if (vm.phase !== 'up' || vm.reprove) return { do: 'wait' };
  if (vm.verified === 'proved') return { do: 'settle', state: 'active', boot: id, why: null };
  if (vm.verified === null) return { do: 'wait' };
  const open = boot?.proof?.conditions.filter(({ asked, verdict }) => asked && verdict !== 'proved') ?? [];
  return failed(`its boot is ${vm.verified}: ${open.map(inWords).join('; ') || 'no condition says why'}`);
}

function inWords({ id, verdict, observed }: Condition): string {
  return `${id} is ${verdict} (${observed})`;
}

/** A version without a record, or whose number now belongs to other content, is a draft. */
export function goldenRecordOf(golden: GoldenManifest, records: readonly GoldenRecord[]): GoldenRecord {
  const { name, version, digest } = golden;
  const record = records.find((one) => one.name === name && one.version === version && one.digest === digest);
  return record ?? { name, version, digest, state: 'draft', vm: null, boot: null, why: null };
}

/** The versions that may be used: those whose files are there and whose end nobody asked for. */
export function usableGoldens(goldens: readonly GoldenManifest[], records: readonly GoldenRecord[]): readonly GoldenManifest[] {
  return goldens.filter((golden) => goldenRecordOf(golden, records).state !== 'deleted');
}
