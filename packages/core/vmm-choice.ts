import { FaultError, type Network, type VmmFacts } from '@linstock/contract';
import type { VmSettings } from './vm.ts';

/** What a VM is to run on. `version` null: the newest of the host, at each boot. */
export type VmmChoice = { name: VmSettings['vmm']; version: string | null };

/** `firecracker` or `firecracker@1.9.1`, as the contract's schema let it through. */
export function vmmChoiceOf(text: string): VmmChoice {
  const [name, version] = text.split('@');
  return { name: name as VmmChoice['name'], version: version ?? null };
}

/**
 * Which of a host's VMMs a VM runs on; throws `vmm-unable` when none can. Asked when a VM is made and when it is started, so that what cannot
 * work is refused at once, and by the host that launches it, which has the last word.
 */
export function chooseVmm(there: readonly VmmFacts[], choice: VmmChoice, network: Pick<Network, 'kind' | 'name'>): VmmFacts {
  const called = choice.version === null ? titles[choice.name] : `${titles[choice.name]} ${choice.version}`;
  const unable = (why: string): FaultError => new FaultError('vmm-unable', { vmm: called, what: 'run this VM', why });
  const named = there.filter(({ name, version }) => name === choice.name && (choice.version === null || version === choice.version));
  const usable = named.find((one) => one.usable);
  if (usable === undefined) {
    const [first] = named;
    if (first !== undefined) throw unable(first.why);
    const known = there.map(({ name, version }) => `${titles[name]} ${version}`).join(', ') || 'none';
    throw unable(`this host has no such VMM, it has: ${known}`);
  }
  if (choice.name === 'firecracker' && network.kind === 'user') {
    throw unable(`it has no network of kind "user", which ${network.name} is: it needs a bridge network, which needs root`);
  }
  return usable;
}

const titles: Record<VmmChoice['name'], string> = { qemu: 'QEMU', firecracker: 'Firecracker', stub: 'The stub' };
