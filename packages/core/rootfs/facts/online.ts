/**
 * Who waits for network-online.target, and whether it is ever reached. Pure.
 * Source: systemd.special(7); systemd-networkd-wait-online.service(8): it gives up after 120 s, and Wants= then goes on.
 */
import type { LintContext } from '../context.ts';
import type { NetworkFacts } from './network.ts';
import type { Boot } from './started.ts';
import { lastOf, wordsOf } from './ini.ts';

export type Online = {
  /** what keeps the target waiting, and for how long at most */
  stuck: { unit: string; path: string; why: string; seconds: number } | null;
  /** units that start only after it */
  waiting: readonly { unit: string; path: string }[];
};

const TARGET = 'network-online.target';
const NETWORKD_WAIT = 'systemd-networkd-wait-online.service';

export function onlineOf(network: NetworkFacts, { lease }: LintContext, boot: Boot): Online {
  // Where ip= sets no address, the network may have a DHCP server: nothing is known of it.
  if (!boot.started.has(TARGET) || lease === null) return { stuck: null, waiting: [] };
  const waiting = [...boot.started.values()]
    .filter(
      ({ unit, later }) =>
        !later &&
        unit.name.endsWith('.service') &&
        !/wait-online/.test(unit.name) &&
        wordsOf(unit.settings, 'Unit', 'After').includes(TARGET),
    )
    .map(({ unit }) => ({ unit: unit.name, path: unit.path }));
  return { stuck: stuckBy(network, boot), waiting };
}

function stuckBy({ networkd, ifupdown }: NetworkFacts, boot: Boot): Online['stuck'] {
  const wait = boot.started.get(NETWORKD_WAIT)?.unit;
  // It is bound to systemd-networkd: where that does not run, it fails at once and keeps nobody waiting.
  if (wait !== undefined && networkd.runs) {
    const why = whyNeverConfigured(networkd);
    const timeout = /--timeout[= ](\d+)/.exec(lastOf(wait.settings, 'Service', 'ExecStart')?.value ?? '')?.[1];
    if (why !== null) return { unit: wait.name, path: wait.path, why, seconds: Number(timeout ?? 120) };
  }
  const networking = boot.started.get('networking.service')?.unit;
  const asks = ifupdown.stanzas.find(({ name, method }) => method === 'dhcp' && ifupdown.auto.some((auto) => auto.name === name));
  if (networking !== undefined && asks !== undefined && ifupdown.client === 'dhclient') {
    const why = `dhclient asks for ${asks.name} until it gives up, and no DHCP server answers`;
    // About a minute with Debian's dhclient.conf; networking.service itself may take five.
    return { unit: networking.name, path: asks.path, why, seconds: 60 };
  }
  return null;
}

function whyNeverConfigured({ files }: NetworkFacts['networkd']): string | null {
  if (files.some((file) => file.matches === 'maybe')) return null;
  const taken = files[0];
  if (taken === undefined || taken.unmanaged) return 'no .network file takes the interface, so nothing is ever configured';
  if (!taken.requiredForOnline) return null;
  return taken.dhcp && taken.from !== 'network-generator' ? 'the interface waits for DHCP, and no DHCP server answers' : null;
}
