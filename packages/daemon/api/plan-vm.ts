import { FaultError, type GoldenManifest, type GoldenTag, type HostFacts, type Network, type VmId, type VmSpec } from '@linstock/contract';
import {
  applyChanges,
  chooseVmm,
  resolveArgs,
  valuesFor,
  vmmChoiceOf,
  wiringOf,
  type BootArgsResult,
  type VmSettings,
} from '@linstock/core';

/**
 * Turns a request into settings that never change, or refuses it with one clear sentence.
 * Pure. The boot arguments are resolved once here on a stand-in lease, so that a mistake is refused before
 * anything starts; the real lease differs only in numbers.
 */
export function planVm(
  spec: VmSpec,
  known: {
    goldens: readonly GoldenManifest[];
    tags: readonly GoldenTag[];
    networks: readonly Network[];
    facts: HostFacts;
    mark: string;
    id: VmId;
  },
): VmSettings {
  const golden = findGolden(known.goldens, spec.golden, known.tags);
  const network = findNetwork(known.networks, spec.network);
  const memoryMiB = spec.memoryMiB ?? golden.machine.memoryMiB;
  if (memoryMiB < golden.machine.leastMemoryMiB) {
    throw new FaultError('guest-too-small', { asked: memoryMiB, golden: golden.name, least: golden.machine.leastMemoryMiB });
  }
  const bootArgs = tokensOf(applyChanges(golden.bootArgs, spec.bootArgs));
  tokensOf(resolveArgs(bootArgs, valuesFor(wiringOf(known.mark, network, 0), known.id)));
  const ports = spec.ports ?? golden.ports;
  const choice = spec.vmm === undefined ? { name: known.facts.usualVmm, version: null } : vmmChoiceOf(spec.vmm);
  chooseVmm(known.facts.vmms, choice, network);
  const { name: vmm, version: vmmVersion } = choice;
  const firecracker = spec.firecracker ?? null;
  if (firecracker !== null && vmm !== 'firecracker') {
    throw new FaultError('request-invalid', {
      problems: `\`firecracker\` has settings that ${vmm} does not have: leave them out, or ask for a VM on Firecracker`,
    });
  }
  return { golden, memoryMiB, vcpus: spec.vcpus ?? golden.machine.vcpus, bootArgs, ports, network, vmm, vmmVersion, firecracker };
}

function tokensOf(result: BootArgsResult): readonly string[] {
  if (result.is === 'ok') return result.tokens;
  throw new FaultError('boot-args-invalid', { problems: result.problems.join(' ') });
}

/** `name` is its newest version, `name@version` that one, `name:tag` where the tag is. */
export function findGolden(goldens: readonly GoldenManifest[], wanted: string, tags: readonly GoldenTag[]): GoldenManifest {
  const [, name = '', mark, rest] = /^([^@:]*)(?:([@:])(.*))?$/.exec(wanted) ?? [];
  const mine = tags.filter(({ golden }) => golden === name);
  const tagged = mark === ':' ? mine.find(({ tag }) => tag === rest) : undefined;
  if (mark === ':' && tagged === undefined && goldens.some((g) => g.name === name))
    throw new FaultError('golden-tag-unknown', { golden: name, tag: rest ?? '', known: mine.map(({ tag }) => tag).join(', ') || 'none' });
  const version = tagged === undefined ? rest : String(tagged.version);
  const found = goldens
    .filter((g) => g.name === name && (version === undefined || String(g.version) === version))
    .toSorted((a, b) => b.version - a.version)[0];
  if (found) return found;
  throw new FaultError('golden-unknown', { golden: wanted, known: goldens.map((g) => `${g.name}@${g.version}`).join(', ') || 'none' });
}

export function findNetwork(networks: readonly Network[], name: string): Network {
  const found = networks.find((n) => n.name === name);
  if (found) return found;
  throw new FaultError('network-unknown', { network: name, known: networks.map((n) => n.name).join(', ') || 'none' });
}
