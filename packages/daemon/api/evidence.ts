import { anySignal, type BootView, type Diagnosis, type EvidenceBundle } from '@linstock/contract';
import { controllerPage, proofPage, requestedPage, type BootRecord, type Vm } from '@linstock/core';
import { diagnose } from '@linstock/core/diagnosis';
import type { Parts } from './parts.ts';
import { bootView } from './views.ts';

/** All looks together, `ms`; each has a shorter bound of its own. */
const wholeMs = 30_000;
const mostHistory = 200;
/** How many of the newest boots are searched for a good one of the same image. */
const searchedBoots = 500;

const time = (at: number): string => new Date(at).toISOString();

/** What taking evidence needs of the controller. */
export type EvidenceParts = Pick<Parts, 'store' | 'build' | 'now'> & { host: Pick<Parts['host'], 'mark' | 'bootDetails' | 'evidence'> };

/** Why the newest boot of a VM, or the one that is named, is as it is. */
export async function diagnoseVm(parts: EvidenceParts, vm: Vm, signal: AbortSignal, boot?: string): Promise<Diagnosis> {
  const { documents } = await takeEvidence(parts, vm, signal, boot);
  // the proof is a conclusion of ours from the same looks: it says what is to be explained, and must not be cited as its reason
  return diagnose(documents.filter(({ kind }) => kind !== 'proof'));
}

/** One immutable snapshot of a VM's newest boot, or of the one that is named: what the host sees now, what was kept, and what the store knows. */
export async function takeEvidence(parts: EvidenceParts, vm: Vm, signal: AbortSignal, boot?: string): Promise<EvidenceBundle> {
  const { store, host, build, now } = parts;
  const bounded = anySignal([signal, AbortSignal.timeout(wholeMs)]);
  const { record, good, history, networks } = await store.read(async (tx) => {
    const asked = boot ?? vm.claim?.id;
    const newest = asked === undefined ? (await tx.boots({ vm: vm.id, limit: 1 }))[0] : await tx.boot(asked);
    const others = newest ? await tx.boots({ limit: searchedBoots }) : [];
    return {
      record: newest ?? null,
      good: others.find((one) => one.id !== newest?.id && isGood(one, vm)) ?? null,
      history: await tx.history(vm.id, mostHistory),
      networks: await tx.networks(),
    };
  });
  const viewOf = async (one: BootRecord | null): Promise<BootView | null> =>
    one &&
    bootView(
      one,
      await host.bootDetails(
        one,
        networks.find((n) => n.index === one.networkIndex),
      ),
    );
  const documents = record
    ? await host.evidence(vm, record, bounded)
    : [requestedPage({ vm, boot: null, mark: host.mark, wiring: null, plan: null })];
  const current = (await build.onDisk()) === build.running;
  const at = now();
  return {
    format: 'linstock-evidence-1',
    at,
    madeBy: build.version,
    subject: `vm ${vm.name} (${vm.id}), ${record ? `boot ${record.id}` : 'which was never started'}`,
    documents: [
      ...documents,
      controllerPage({
        now: at,
        vm,
        boot: await viewOf(record),
        good: await viewOf(good),
        history,
        build: { ...build, current },
        time,
      }),
      ...(record ? [proofPage(record.proof, time)] : []),
    ],
  };
}

function isGood(boot: BootRecord, vm: Vm): boolean {
  return boot.golden.digest === vm.settings.golden.digest && boot.proof?.verified === 'proved';
}
