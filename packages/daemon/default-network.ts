import { FaultError, type Network } from '@linstock/contract';
import { bridgeName, type Store } from '@linstock/core';
import type { BridgeNetworks } from '@linstock/host';
import { clock } from './clock.ts';
import type { Config } from './config.ts';
import { ids } from './ids.ts';

const name = 'default';
export const usualSubnet = '192.168.100.0/24';

/**
 * The one network of an installation, as the settings want it. It is looked at before it is written, so that a refusal changes nothing; and it
 * is followed only while no VM was made on it, since a VM's addresses are arithmetic on it.
 */
export async function ensureDefaultNetwork(store: Store, config: Config, mark: string, networks: BridgeNetworks | null): Promise<Network> {
  const [known, vms] = await store.read(async (tx) => [await tx.network(name), await tx.owners()] as const);
  const wanted = planNetwork(config, mark, networks !== null, known);
  const differs = known && (known.subnet !== wanted.subnet || known.kind !== wanted.kind);
  if (differs && vms.length > 0) {
    const has = `network ${name} is ${known.kind} ${known.subnet} and ${vms.length} VMs were made on it`;
    throw new FaultError('setting-invalid', {
      problems: `${wanted.kind} ${wanted.subnet} is asked for, but ${has}; delete them first, or keep the setting`,
    });
  }
  const refused = await networks?.preflight(wanted);
  if (refused) throw new FaultError(refused.code, refused.data);
  if (!known) await store.write('default network', (tx) => tx.addNetwork(wanted));
  else if (differs) await store.write('another default network', (tx) => tx.changeNetwork(wanted));
  return wanted;
}

/** Pure. What is not set stays as it is. */
export function planNetwork(
  config: Pick<Config, 'subnet' | 'network'>,
  mark: string,
  bridged: boolean,
  known: Network | undefined,
): Network {
  const subnet = config.subnet ?? known?.subnet ?? usualSubnet;
  const base = subnet.split('/')[0] ?? '';
  return {
    id: known?.id ?? ids.next('net', clock.now()),
    index: 0,
    name,
    kind: bridged ? 'bridge' : 'user',
    subnet,
    gateway: base.replace(/\d+$/, (last) => String(Number(last) + 1)),
    bridge: bridged ? bridgeName(mark, 0) : null,
    egress: bridged,
    isolated: true,
  };
}
