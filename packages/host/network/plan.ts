/**
 * What is missing of a network or a slot, as lines for `ip -batch`: a pure comparison of what should be with what was seen. Nothing
 * missing, no lines; nothing there, all lines; so the way from any half-made state is the same function as the way from none.
 *
 *   host namespace                                   namespace ls<mark>-<index>-<slot>
 *   ls<mark>-br<index> ── ls<mark>-<index>-<slot> ═══ up0 ── br0 ── tap0 ── VMM
 *    (gateway address)         (veth, bridge port)
 *
 * The namespace is the mark of a slot: made first, removed last.
 */
import { inside, parseSubnet } from '@linstock/core';
import type { Network } from '@linstock/contract';
import type { Wiring } from '@linstock/core';
import type { Link } from './links.ts';
import { gatewayMac } from './rules.ts';

/** Each option has a reason: no forwarding delay, no spanning tree, no multicast queries or IPv6 chatter of our own on the wire. */
const BRIDGE_OPTIONS = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0';

/** A namespace as its file under /run/netns shows it; `broken` = a file without a namespace (an add cut short, or a reboot with /run on a disk). */
export type NamespaceState = 'absent' | 'broken' | 'there';

export type SlotTarget = {
  bridge: string;
  wiring: Pick<Wiring, 'netns' | 'port'>;
  isolated: boolean;
  /** false where the kernel has no IPv6: the option that silences it would be refused */
  ipv6: boolean;
};
export type SlotLook = { namespace: NamespaceState; port: Link | null; inside: readonly Link[] };
/** `host` runs first, in the host's namespace; `inside` then, in the slot's. */
export type SlotPlan = { host: readonly string[]; inside: readonly string[] };

export const nothingThere: SlotLook = { namespace: 'absent', port: null, inside: [] };

export function planSlot(target: SlotTarget, look: SlotLook): SlotPlan {
  const { netns, port: name } = target.wiring;
  const there = (link: string): Link | undefined => (look.namespace === 'there' ? look.inside.find((l) => l.name === link) : undefined);
  const uplink = there(inside.uplink);
  const port = look.port;
  const paired = port?.kind === 'veth' && uplink !== undefined && port.peerIndex === uplink.index && uplink.peerIndex === port.index;

  const host: string[] = [];
  if (look.namespace === 'broken') host.push(`netns del ${netns}`);
  if (look.namespace !== 'there') host.push(`netns add ${netns}`);
  if (!paired) {
    if (port !== null) host.push(`link del ${name}`);
    // the other end of a port goes with it; an uplink that is left belongs to something else
    if (uplink !== undefined && uplink.peerIndex !== port?.index) host.push(`netns exec ${netns} ip link del ${inside.uplink}`);
    host.push(`link add ${name} type veth peer name ${inside.uplink} netns ${netns}`);
  }
  const oldPort = paired ? port : null;
  host.push(...settingsOf(name, oldPort, target.bridge, target.ipv6));
  // a command of its own: the kernel judges port options by the master the port has *before* the message (rtnetlink.c)
  if ((oldPort?.isolated ?? false) !== target.isolated || oldPort?.master !== target.bridge) {
    host.push(`link set ${name} type bridge_slave isolated ${target.isolated ? 'on' : 'off'}`);
  }

  const within: string[] = [];
  if (there('lo')?.up !== true) within.push('link set lo up');
  let bridge = there(inside.bridge);
  if (bridge !== undefined && bridge.kind !== 'bridge') {
    within.push(`link del ${inside.bridge}`);
    bridge = undefined;
  }
  if (bridge === undefined) within.push(`link add ${inside.bridge} ${BRIDGE_OPTIONS}`);
  within.push(...settingsOf(inside.bridge, bridge ?? null, null, target.ipv6));
  let tap = there(inside.tap);
  if (tap !== undefined && !tap.plainTap) {
    within.push(`link del ${inside.tap}`);
    tap = undefined;
  }
  // vnet_hdr as Firecracker opens it (vmm/src/devices/virtio/net/tap.rs: IFF_VNET_HDR); no multi_queue, which it answers with EINVAL
  if (tap === undefined) within.push(`tuntap add dev ${inside.tap} mode tap vnet_hdr`);
  // a bridge that was just made has no ports yet, whatever they said before
  within.push(...settingsOf(inside.tap, tap ?? null, inside.bridge, target.ipv6, bridge === undefined));
  within.push(...settingsOf(inside.uplink, paired ? uplink : null, inside.bridge, target.ipv6, bridge === undefined));
  return { host, inside: within };
}

/**
 * Only what differs; no line when nothing does. Silence first and in a message of its own: in one message with `up` the kernel raises the
 * link before it reads the option, and the link-local address is there already.
 */
function settingsOf(name: string, link: Link | null, master: string | null, ipv6: boolean, masterIsNew = false): string[] {
  const words = [
    ...(master !== null && (masterIsNew || link?.master !== master) ? [`master ${master}`] : []),
    ...(link?.up === true ? [] : ['up']),
  ];
  return [
    ...(ipv6 && link?.ipv6Addresses !== 'none' ? [`link set ${name} addrgenmode none`] : []),
    ...(words.length === 0 ? [] : [`link set ${name} ${words.join(' ')}`]),
  ];
}

export function planBridge(bridge: string, network: Network, ipv6: boolean, look: Link | null): string[] {
  const mac = gatewayMac(network);
  const prefix = parseSubnet(network.subnet)?.prefix;
  if (prefix === undefined) throw new Error(`network ${network.name} has no usable subnet: ${network.subnet}`);
  const lines: string[] = [];
  let link = look;
  if (link !== null && link.kind !== 'bridge') {
    // it bears our mark, so it is ours to replace
    lines.push(`link del ${bridge}`);
    link = null;
  }
  if (link === null) lines.push(`link add ${bridge} address ${mac} ${BRIDGE_OPTIONS}`);
  // without a fixed MAC a bridge takes the lowest of its ports', and guests would see their gateway change with every VM
  else if (link.mac !== mac) lines.push(`link set ${bridge} address ${mac}`);
  if (ipv6 && link?.ipv6Addresses !== 'none') lines.push(`link set ${bridge} addrgenmode none`);
  const right = (a: { address: string; prefix: number }): boolean => a.address === network.gateway && a.prefix === prefix;
  for (const other of link?.addresses.filter((a) => !right(a)) ?? [])
    lines.push(`address del ${other.address}/${other.prefix} dev ${bridge}`);
  if (link?.addresses.some(right) !== true) lines.push(`address add ${network.gateway}/${prefix} dev ${bridge}`);
  if (link?.up !== true) lines.push(`link set ${bridge} up`);
  return lines;
}
