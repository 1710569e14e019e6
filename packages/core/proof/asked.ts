import type { GoldenManifest, Network, PromisedPort } from '@linstock/contract';
import { argsExpected, type ArgsAsked } from '../cmdline-compare.ts';
import { lastValue, type BootToken } from '../cmdline.ts';
import type { Wiring } from '../wiring.ts';

/** Everything that was asked of one boot: what a sight is compared with. */
export type Asked = {
  golden: GoldenManifest;
  memoryMiB: number;
  vcpus: number;
  ports: readonly PromisedPort[];
  wiring: Wiring;
  /** of the launch plan */
  commandLine: ArgsAsked;
  network: Pick<Network, 'kind' | 'bridge'>;
  /** whether a way beyond the host is to be proved; only then is net.egress listed */
  egress?: boolean;
  accelerator: string;
};

/** Whether the launch plan is there: without it nothing is known about what was asked of the kernel. */
export function knowsCommandLine({ commandLine }: Asked): boolean {
  return commandLine.given.length + commandLine.addedForVmm.length + commandLine.appendedByVmm.length > 0;
}

/** Kernel parameters asked for, whoever puts them on the line. */
export function tokensAsked(asked: Asked): readonly BootToken[] {
  return argsExpected(asked.commandLine).tokens;
}

export function askedValue(asked: Asked, key: string): string | null {
  return lastValue(tokensAsked(asked), key);
}

/** All conditions of this boot, in the order in which a boot reaches them. */
export function conditionIds(asked: Asked): readonly string[] {
  return [
    'vmm.started',
    'kernel.started',
    'cmdline.effective',
    'cmdline.understood',
    'kernel.config',
    'memory.size',
    'cpu.count',
    'root.mounted',
    'init.finished',
    'agent.ready',
    'net.address',
    'net.layer2',
    'net.path',
    ...(asked.egress ? ['net.egress'] : []),
    ...asked.ports.map((p) => `port.${p.port}`),
    'clock.offset',
    'random.seeded',
  ];
}

/** Conditions that only the agent can show. */
const byAgentOnly = new Set(['agent.ready', 'net.egress', 'clock.offset', 'random.seeded']);
/** Conditions that the host cannot look at in a user-mode network: the guest is behind a NAT inside the VMM. */
const notInUserNetwork = new Set(['net.layer2', 'net.path']);

/**
 * The conditions that `verified` counts. What this kind of network, or an image without agent, can never show is listed as unknown and not
 * asked for; otherwise such a boot could never be verified and the word would mean nothing.
 */
export function askedConditions(asked: Asked): readonly string[] {
  const user = asked.network.kind === 'user';
  const agent = asked.golden.agent;
  return conditionIds(asked).filter((id) => {
    if (user && notInUserNetwork.has(id)) return false;
    if (!agent && byAgentOnly.has(id)) return false;
    // behind a NAT nobody but the agent sees the guest's address
    return !(id === 'net.address' && user && !agent);
  });
}
