/**
 * The rules of one network, rendered whole and loaded in one transaction. Pure; golden-tested in `golden/`.
 *
 * Every port name, MAC and address is arithmetic on the slot, so the rules for all slots are written when the network is made and
 * nothing of nft runs when a VM starts. A port that no set names (a slot beyond the subnet) may send nothing: the rules fail closed.
 *
 * Two tables bear our mark and only judge our own ports and our own bridge; all else passes them untouched:
 * - `table bridge` stands between each guest and the bridge: who may speak, and who may hear;
 * - `table ip` stands between the bridge and the host: what guests may reach of the host and beyond it.
 *
 * br_netfilter: where `net.bridge.bridge-nf-call-iptables` is 1 (the default, also in a fresh namespace) frames from
 * port to port pass the `ip` hooks as well, with our bridge as both `iifname` and `oifname`. The per-bridge option cannot turn that off
 * (net/bridge/br_netfilter_hooks.c asks for global *or* bridge), so `beyond` judges such packets exactly as the bridge table does.
 */
import { formatAddress, macOf, parseAddress, parseSubnet, slotName, slotsOf } from '@linstock/core';
import type { Network } from '@linstock/contract';
import { bridgeName } from '@linstock/core';

/** Both tables have the same name; a slot's name has one number more, so the two cannot be confused. */
export function tableName(mark: string, index: number): string {
  return `ls${mark}-${index}`;
}

/** The inverse of tableName; null for a table that is not ours. */
export function parseTableName(mark: string, name: string): number | null {
  const match = /^ls([0-9a-f]+)-(\d{1,2})$/.exec(name);
  return match?.[1] === mark ? Number(match[2]) : null;
}

/** Why a frame or packet was dropped: a named counter each, readable while the VM runs. */
export const bridgeCounters = [
  'spoofed_mac',
  'spoofed_address',
  'spoofed_arp',
  'no_address_yet',
  'other_protocol',
  'to_neighbour',
  'not_for_port',
] as const;
export const hostCounters = ['to_host', 'to_neighbour', 'to_link_local', 'no_egress', 'from_outside'] as const;
export type Counter = (typeof bridgeCounters)[number] | (typeof hostCounters)[number];

export function renderRules(mark: string, network: Network): string {
  const subnet = parseSubnet(network.subnet);
  if (subnet === null) throw new Error(`network ${network.name} has no usable subnet: ${network.subnet}`);
  const slots = Array.from({ length: slotsOf(network) }, (_, slot) => {
    const address = subnet.base + 2 + slot;
    return { port: slotName(mark, network.index, slot), mac: macOf(address), address: formatAddress(address) };
  });
  const table = tableName(mark, network.index);
  return [
    // "add, delete, define" in one transaction replaces the tables whether they were there or not (there is no `destroy` before nft 1.0.7)
    ...(['bridge', 'ip'] as const).flatMap((family) => [`add table ${family} ${table}`, `delete table ${family} ${table}`]),
    '',
    ...bridgeTable(table, network, slots),
    '',
    ...hostTable(table, bridgeName(mark, network.index), network),
    '',
  ].join('\n');
}

export function renderNoRules(mark: string, indexes: readonly number[]): string {
  return indexes
    .flatMap((index) =>
      (['bridge', 'ip'] as const).flatMap((family) => [
        `add table ${family} ${tableName(mark, index)}`,
        `delete table ${family} ${tableName(mark, index)}`,
      ]),
    )
    .concat('')
    .join('\n');
}

type SlotRule = { port: string; mac: string; address: string };

function bridgeTable(table: string, network: Network, slots: readonly SlotRule[]): string[] {
  const ports = `"${table}-*"`;
  return [
    `table bridge ${table} {`,
    ...bridgeCounters.map((name) => `\tcounter ${name} { }`),
    '\t# which MAC each port may bear',
    '\tset macs {',
    '\t\ttype ifname . ether_addr',
    `\t\telements = { ${slots.map((s) => `"${s.port}" . ${s.mac}`).join(',\n\t\t\t')} }`,
    '\t}',
    '\t# and with which address',
    '\tset leases {',
    '\t\ttype ifname . ether_addr . ipv4_addr',
    `\t\telements = { ${slots.map((s) => `"${s.port}" . ${s.mac} . ${s.address}`).join(',\n\t\t\t')} }`,
    '\t}',
    '\t# what a guest may send: IPv4 and ARP in its own name, nothing else; before the bridge learns anything from it',
    '\tchain entering {',
    '\t\ttype filter hook prerouting priority -300; policy accept;',
    `\t\tiifname != ${ports} accept`,
    '\t\tiifname . ether saddr != @macs counter name spoofed_mac drop',
    '\t\tether type ip iifname . ether saddr . ip saddr @leases accept',
    '\t\t# a guest that asks for DHCP has lost the address it was booted with: there is no server, but the counter tells',
    '\t\tether type ip ip saddr 0.0.0.0 counter name no_address_yet drop',
    '\t\tether type ip counter name spoofed_address drop',
    '\t\tether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 iifname . arp saddr ether . arp saddr ip @leases accept',
    '\t\t# duplicate address detection (RFC 5227): a probe names no sender address, so nobody can learn a wrong one from it',
    '\t\tether type arp arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether @macs accept',
    '\t\tether type arp counter name spoofed_arp drop',
    "\t\t# IPv6, VLAN tags, spanning tree: not offered by this network. (LLDP and its kin, 01:80:c2:00:00:01 to 0f, end at the slot's inner",
    '\t\t# bridge. Here they would go around this hook, and yet teach the bridge their source: br_handle_local_finish in net/bridge.)',
    '\t\tcounter name other_protocol drop',
    '\t}',
    ...(network.isolated
      ? [
          '\t# guests are kept from each other; the ports are marked isolated too, which outlives `nft flush ruleset`',
          '\tchain between {',
          '\t\ttype filter hook forward priority -300; policy accept;',
          `\t\tiifname ${ports} oifname ${ports} counter name to_neighbour drop`,
          '\t}',
        ]
      : []),
    '\t# the bridge floods what is for a MAC it has forgotten: a port still hears only what is for its own guest, or for all',
    '\tchain leaving {',
    '\t\ttype filter hook postrouting priority -300; policy accept;',
    `\t\toifname ${ports} ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 oifname . ether daddr != @macs counter name not_for_port drop`,
    '\t}',
    '}',
  ];
}

function hostTable(table: string, bridge: string, network: Network): string[] {
  return [
    `table ip ${table} {`,
    ...hostCounters.map((name) => `\tcounter ${name} { }`),
    '\t# the host itself: guests may ping it and answer it, no more, on whichever of its addresses',
    '\tchain to_host {',
    '\t\ttype filter hook input priority 0; policy accept;',
    `\t\tiifname != "${bridge}" accept`,
    '\t\tct state established,related accept',
    '\t\ticmp type echo-request accept',
    '\t\tcounter name to_host drop',
    '\t}',
    '\t# everything beyond the host',
    '\tchain beyond {',
    '\t\ttype filter hook forward priority 0; policy accept;',
    `\t\tiifname != "${bridge}" oifname != "${bridge}" accept`,
    network.isolated
      ? "\t\t# a guest that sends to the gateway's MAC what is for its neighbour would be routed back: the way around the bridge"
      : '\t\t# neighbours may talk',
    `\t\tiifname "${bridge}" oifname "${bridge}" ${network.isolated ? 'counter name to_neighbour drop' : 'accept'}`,
    '\t\tct state established,related accept',
    '\t\t# link-local is never routed (RFC 3927 §7), and 169.254.169.254 would be the metadata service of the *host*: its credentials',
    `\t\tiifname "${bridge}" ip daddr 169.254.0.0/16 counter name to_link_local drop`,
    `\t\tiifname "${bridge}" ${network.egress ? 'accept' : 'counter name no_egress drop'}`,
    '\t\t# only the host opens connections to guests',
    '\t\tcounter name from_outside drop',
    '\t}',
    ...(network.egress
      ? [
          '\tchain out {',
          '\t\ttype nat hook postrouting priority 100; policy accept;',
          `\t\tip saddr ${network.subnet} ip daddr != ${network.subnet} oifname != { "${bridge}", "lo" } masquerade`,
          '\t}',
        ]
      : []),
    '}',
  ];
}

/** Where the fixed MAC of the bridge comes from: the same function of the address as for a VM. */
export function gatewayMac(network: Network): string {
  const address = parseAddress(network.gateway);
  if (address === null) throw new Error(`network ${network.name} has no usable gateway: ${network.gateway}`);
  return macOf(address);
}

/**
 * A listing with everything in it that is only order or layout taken away: two listings of the same rules are equal, and one changed
 * word, rule or element makes them differ.
 */
export function normalListing(text: string): string {
  return text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .sort()
    .join(' ');
}
