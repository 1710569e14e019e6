import type { Network } from '@linstock/contract';

/**
 * Every name and address of a slot is arithmetic on its number: nothing to store, nothing to lose.
 * A name starts with the mark of this installation and ends with numbers that can be parsed back.
 */
export type Wiring = {
  slot: number;
  /** network namespace of the boot; inside it the names are always the same */
  netns: string;
  /** host end of the link between bridge and namespace; a port of the bridge */
  port: string;
  mac: string;
  address: string;
  prefix: number;
  netmask: string;
  gateway: string;
  /** forwarded host ports of a user-mode network: guest port → 127.0.0.1 port */
  forwards: readonly { port: number; hostPort: number }[];
};

/** Names inside each namespace. */
export const inside = { bridge: 'br0', tap: 'tap0', uplink: 'up0' } as const;

/** Linux numbers the ports of a bridge from 1 to 1,023 (BR_MAX_PORTS, net/bridge/br_private.h); some are left for the host's own. */
export const mostPorts = 1_000;
/** A larger subnet would promise addresses that its bridge has no ports for. */
export const shortestPrefix = 22;

/** Host ports of user-mode networks: 16 per slot; the mark chooses one of 24 blocks. */
const forwardBase = 20_000;
const forwardsPerSlot = 16;
const forwardBlocks = 24;
/** User-mode VMs share nothing, so only the block of host ports bounds them. */
const userSlots = 100;

export type Subnet = { base: number; prefix: number };

/** `192.168.100.0/24` → numbers; null when it is not an IPv4 network in CIDR form. */
export function parseSubnet(text: string): Subnet | null {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text);
  const base = match?.[1] === undefined ? null : parseAddress(match[1]);
  const prefix = Number(match?.[2]);
  if (base === null || !(prefix >= 8 && prefix <= 30)) return null;
  return base % 2 ** (32 - prefix) === 0 ? { base, prefix } : null;
}

export function parseAddress(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) <= 255)) return null;
  return parts.reduce((sum, p) => sum * 256 + Number(p), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

export function netmaskOf(prefix: number): string {
  return formatAddress(2 ** 32 - 2 ** (32 - prefix));
}

export function overlap(a: Subnet, b: Subnet): boolean {
  const size = (s: Subnet): number => 2 ** (32 - s.prefix);
  return a.base < b.base + size(b) && b.base < a.base + size(a);
}

/** How many VMs a network can carry: all addresses but network, gateway and broadcast, as far as its bridge has ports. */
export function slotsOf(network: Pick<Network, 'kind' | 'subnet'>): number {
  if (network.kind === 'user') return userSlots;
  const subnet = parseSubnet(network.subnet);
  return subnet ? Math.min(2 ** (32 - subnet.prefix) - 3, mostPorts) : 0;
}

export function bridgeName(mark: string, index: number): string {
  return `ls${mark}-br${index}`;
}

/** The name of a slot: of its namespace and of its bridge port. At most 15 characters, the limit of an interface name. */
export function slotName(mark: string, index: number, slot: number): string {
  return `ls${mark}-${index}-${slot}`;
}

/** The inverse of slotName; null for a name that is not ours. */
export function parseSlotName(mark: string, name: string): { index: number; slot: number } | null {
  const match = /^ls([0-9a-f]+)-(\d{1,2})-(\d{1,4})$/.exec(name);
  return match?.[1] === mark ? { index: Number(match[2]), slot: Number(match[3]) } : null;
}

/** Locally administered, `02:fc`, then the address: whoever sees the MAC knows the lease. */
export function macOf(address: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256);
  return ['02', 'fc', ...bytes.map((b) => b.toString(16).padStart(2, '0'))].join(':');
}

export function wiringOf(mark: string, network: Network, slot: number, ports: readonly number[] = []): Wiring {
  const subnet = parseSubnet(network.subnet);
  if (!subnet) throw new Error(`network ${network.name} has no usable subnet: ${network.subnet}`);
  // in a user-mode network each VM is alone behind its own NAT, so all of them bear the first address
  const address = subnet.base + 2 + (network.kind === 'user' ? 0 : slot);
  return {
    slot,
    netns: slotName(mark, network.index, slot),
    port: slotName(mark, network.index, slot),
    mac: macOf(address),
    address: formatAddress(address),
    prefix: subnet.prefix,
    netmask: netmaskOf(subnet.prefix),
    gateway: network.gateway,
    forwards:
      network.kind === 'user'
        ? ports.slice(0, forwardsPerSlot).map((port, i) => ({ port, hostPort: blockOf(mark) + slot * forwardsPerSlot + i }))
        : [],
  };
}

/** Two installations of one user rarely share a block; where they do, QEMU says that the port is taken. */
function blockOf(mark: string): number {
  return forwardBase + (Number.parseInt(mark, 16) % forwardBlocks) * userSlots * forwardsPerSlot;
}

/** Where a promised port answers, seen from the host. */
export function reachOfPort(wiring: Wiring, port: number): { host: string; hostPort: number } {
  const forward = wiring.forwards.find((f) => f.port === port);
  return forward ? { host: '127.0.0.1', hostPort: forward.hostPort } : { host: wiring.address, hostPort: port };
}
