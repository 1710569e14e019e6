/**
 * What each network authority of an image does to the address and the default route that `ip=` set. Pure.
 *
 * systemd-networkd, when it takes an interface, drops what it did not configure itself: address and default route are gone, without a word.
 * KeepConfiguration=static keeps the address and loses the default route; KeepConfiguration=yes keeps both. An address of its own stays
 * when it is the leased one. (All seen on guests with systemd 252.)
 *
 * NetworkManager makes no claim: it takes an interface that has an address for configured by somebody else and leaves it alone, whatever its
 * profiles say (seen with 1.42, with none, with a DHCP and with a static profile).
 */
import type { LintContext, IpLease } from '../context.ts';
import type { DhcpClient, NetworkFacts } from './network.ts';
import type { NetworkFile } from './networkd.ts';
import { optionOf } from './ifupdown.ts';

export type Outcome = 'address-lost' | 'route-lost' | 'second-address' | 'kept' | 'unknown';

export type Claim = {
  by: string;
  path: string;
  line: number | null;
  /** false: it may not take this interface */
  sure: boolean;
  dhcp: boolean;
  addresses: readonly string[];
  outcome: Outcome;
  /** its service fails, because what it would set is there already */
  collides: boolean;
};

export function claimsOf(network: NetworkFacts, context: LintContext): Claim[] {
  const { networkd, ifupdown, others } = network;
  return [
    ...networkdClaims(networkd.files, context),
    ...(ifupdown.runs ? ifupdownClaims(ifupdown, context) : []),
    ...others.map(({ by, path, line, client, sure }): Claim => {
      const outcome = context.lease === null ? 'kept' : clientOutcome(client);
      return { by, path, line, sure, dhcp: client !== null, addresses: [], outcome, collides: false };
    }),
  ];
}

const plainAddress = (address: string): string => address.split('/')[0] ?? address;

/** Files that may match come first, and a sure one last: its outcome is sure when all others have the same. */
function networkdClaims(files: readonly NetworkFile[], { lease }: LintContext): Claim[] {
  const outcomes = new Map(files.map((file) => [file, lease === null ? ('kept' as const) : networkdOutcome(file, lease)]));
  const agreed = new Set(outcomes.values()).size === 1;
  return files.flatMap((file): Claim[] => {
    if (file.unmanaged || file.from === 'network-generator') return [];
    return [
      {
        by: file.from === 'netplan' ? 'systemd-networkd, by netplan' : 'systemd-networkd',
        path: file.path,
        line: file.line,
        sure: file.matches === 'yes' && agreed,
        dhcp: file.dhcp,
        addresses: file.addresses,
        outcome: outcomes.get(file) ?? 'unknown',
        collides: false,
      },
    ];
  });
}

function networkdOutcome(file: NetworkFile, lease: IpLease): Outcome {
  if (file.unmanaged) return 'kept';
  // A lease that is not known yet differs between guests, and what stands in an image does not.
  const leased = lease.address !== null && file.addresses.some((address) => plainAddress(address) === lease.address);
  const hasOther = file.addresses.length > 0 && !leased;
  if (file.keeps === 'all') return hasOther ? 'second-address' : 'kept';
  if (file.keeps === 'static') return hasOther ? 'second-address' : file.gateway === null ? 'route-lost' : 'kept';
  if (!leased) return 'address-lost';
  return file.gateway === null ? 'route-lost' : 'kept';
}

function ifupdownClaims({ auto, stanzas, client }: NetworkFacts['ifupdown'], { lease, interfaceName }: LintContext): Claim[] {
  return stanzas
    .filter((stanza) => stanza.name === interfaceName && auto.some(({ name }) => name === interfaceName))
    .filter(({ method }) => method === 'dhcp' || method === 'static')
    .map((stanza) => {
      const address = optionOf(stanza, 'address');
      const dhcp = stanza.method === 'dhcp';
      const same = address !== null && plainAddress(address) === lease?.address;
      return {
        by: dhcp && client !== null ? `ifupdown, with ${client}` : 'ifupdown',
        path: stanza.path,
        line: stanza.line,
        sure: true,
        dhcp,
        addresses: address === null ? [] : [address],
        outcome: lease === null ? 'kept' : dhcp ? clientOutcome(client) : same ? 'kept' : 'second-address',
        // ip(8) says "File exists" to the address or the default route that ip= has set, and ifup gives up.
        collides: lease !== null && !dhcp && (same || optionOf(stanza, 'gateway') !== null),
      } as const;
    });
}

/** udhcpc's script begins by taking every address away (`deconfig`); dhclient touches none before it has a lease. */
function clientOutcome(client: DhcpClient | null): Outcome {
  switch (client) {
    case 'udhcpc':
      return 'address-lost';
    case 'dhclient':
      return 'kept';
    case 'dhcpcd':
      return 'route-lost';
    case null:
      return 'unknown';
  }
}
