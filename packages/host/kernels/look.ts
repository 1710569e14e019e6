/** The three questions about kernel files, whole: what is in one, does it fit, how do two differ. */
import type { KernelCheck, KernelDiff, KernelReport } from '@linstock/contract';
import { askable, checkedOptions, checkKernel, diffKernels } from '@linstock/core/kernel';
import type { CheckTarget, Transport } from '@linstock/core/kernel';
import { parseVersion } from '@linstock/core';
import { faultOfRefusal } from '../images/refusal.ts';
import { has, newest, refusalOfVersion } from '../vmm/firecracker/versions.ts';
import { inspectKernel, reportOf } from './inspect.ts';
import type { Inspected, InspectRequest } from './inspect.ts';

async function inspected(request: InspectRequest): Promise<Inspected> {
  const outcome = await inspectKernel(request);
  if (!outcome.ok) throw faultOfRefusal(outcome, request.path);
  return outcome;
}

/** `known`: the options that Linstock knows. `all`: also all that the kernel's configuration names. */
export async function lookIntoKernel(request: InspectRequest, options: readonly string[] | 'known' | 'all'): Promise<KernelReport> {
  return reportOf(await inspected(request), options);
}

export async function lookWhetherKernelFits(request: InspectRequest, target: CheckTarget): Promise<KernelCheck> {
  return checkKernel(reportOf(await inspected(request), [...checkedOptions, ...(target.golden?.requires ?? [])]), target);
}

export async function lookAtTwoKernels(left: InspectRequest, right: InspectRequest): Promise<KernelDiff> {
  const [a, b] = [await inspected(left), await inspected(right)];
  // An option that one configuration names is looked for in both.
  const names = [...new Set([a, b].flatMap((one) => reportOf(one, 'all').options.map(({ option }) => option)))].toSorted();
  return diffKernels(reportOf(a, names), reportOf(b, names));
}

export type TargetWords = { for: string; transport: string | undefined; needs: readonly string[] };

/** What a check is for, from words; a sentence when it cannot be meant. */
export function checkTargetOf(words: TargetWords): { ok: true; target: CheckTarget } | { ok: false; say: string } {
  const wrong = (say: string): { ok: false; say: string } => ({ ok: false, say });
  const transport = transportOf(words.transport ?? 'mmio');
  if (transport === null) return wrong(`the transport cannot be ${words.transport}: it is mmio or pci`);
  const stranger = words.needs.find((need) => !Object.hasOwn(askable, need));
  if (stranger !== undefined) return wrong(`nothing called ${stranger} can be asked for: it is one of ${Object.keys(askable).join(', ')}`);
  if (words.for === 'qemu') {
    return transport === 'pci'
      ? wrong('Linstock runs QEMU microvm with virtio-mmio only')
      : { ok: true, target: { vmm: 'qemu', version: null, transport, needs: words.needs } };
  }
  const asked = words.for === 'firecracker' ? newest : (/^firecracker@(.+)$/.exec(words.for)?.[1] ?? '');
  const version = parseVersion(asked);
  if (version === null) return wrong(`it can be for qemu, firecracker or an exact version as in firecracker@1.9.1, not for ${words.for}`);
  const refused = refusalOfVersion(version);
  if (refused !== null) return wrong(refused);
  if (transport === 'pci' && !has(version, 'pci')) return wrong(`Firecracker ${version.text} has no PCI: it came with 1.13.0`);
  return { ok: true, target: { vmm: 'firecracker', version, transport, needs: words.needs } };
}

function transportOf(word: string): Transport | null {
  return word === 'mmio' || word === 'pci' ? word : null;
}
