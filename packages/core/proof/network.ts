import { cleanText } from '../clean.ts';
import type { Asked } from './asked.ts';
import {
  agentSays,
  allOf,
  consoleSays,
  guestFacts,
  hostSays,
  probeSays,
  proved,
  refuted,
  unknown,
  whyNoAgent,
  type Finding,
  type Part,
} from './condition.ts';
import type { Sight } from './sight.ts';

const sameMac = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
const bridgeWouldShow = 'A network of kind bridge shows it; that needs root (or CAP_NET_ADMIN) on the host.';

/** net.address: the leased address was set and is still there at proof time; who set it last. */
export function netAddress(asked: Asked, sight: Sight): Finding {
  const { address, prefix, mac } = asked.wiring;
  const expected = `${address}/${prefix} on the interface with MAC ${mac}, now`;
  const { ipConfig, ipProblems, networkConfigurators } = sight.console;
  const set = ipConfig
    ? `set to ${ipConfig.address} by ${ipConfig.by === 'kernel' ? 'the kernel' : 'the initrd'} at console line ${ipConfig.line}`
    : 'no line on the console says that it was set';
  /** who may have changed the address after it was set, by the console */
  const later = networkConfigurators.filter((c) => c.line > (ipConfig?.line ?? 0));
  const names = later.map((c) => c.name);
  const after = names.length > 0 ? `, then ${names.join(' and ')} started` : '';
  const setLines = [...(ipConfig ? [consoleSays(ipConfig)] : []), ...later.map(consoleSays), ...ipProblems.map(consoleSays)];

  const facts = guestFacts(sight);
  const shown = facts?.addresses ?? null;
  if (shown) {
    const says = agentSays(sight, shown.map((a) => `${a.link} ${a.address}/${a.prefix}`).join(', ') || 'no addresses');
    const there = shown.find((a) => a.address === address);
    const gone =
      names.length > 0
        ? `The network configuration of the image, which ${names[0] ?? ''} follows: it must keep the address (KeepConfiguration=yes) or leave the interface alone.`
        : ipConfig
          ? 'What in the image configures interfaces: something removed the address after it was set.'
          : 'Whether the kernel or the initrd applied ip=: console lines "IP-Config", "linstock-initrd: ip", "Unknown kernel command line parameters".';
    if (!there) {
      const others = shown.filter((a) => a.link !== 'lo').map((a) => `${a.address}/${a.prefix} on ${a.link}`);
      return refuted(expected, `not there; the guest has ${others.join(', ') || 'none'}; ${set}${after}`, [says, ...setLines], gone);
    }
    if (there.prefix !== prefix)
      return refuted(
        expected,
        `${address}/${there.prefix} on ${there.link}; ${set}${after}`,
        [says, ...setLines],
        'The netmask in ip= and in the network configuration of the image.',
      );
    const link = facts?.links?.find((l) => l.name === there.link) ?? null;
    if (link && !sameMac(link.mac, mac))
      return refuted(
        expected,
        `on ${there.link} with MAC ${link.mac}`,
        [says, agentSays(sight, `${link.name} ${link.mac}`), ...setLines],
        'The MAC in the launch plan; a restored snapshot keeps the old one.',
      );
    return proved(expected, `there, on ${there.link}${link ? ` with MAC ${link.mac}` : ''}; ${set}${after}`, [says, ...setLines]);
  }
  // without the agent: whoever answers ARP for the address has it
  if (sight.arp?.is === 'answered' && sight.arp.macs.some((m) => sameMac(m, mac))) {
    return proved(expected, `the guest's MAC answers ARP for ${address}; ${set}${after}`, [probeSays(sight, sight.arp.text), ...setLines]);
  }
  if (ipConfig && ipConfig.address !== address) {
    return refuted(expected, `${set}${after}`, setLines, 'ip= on the effective command line against the lease.');
  }
  if (sight.arp?.is === 'silent' && asked.network.kind === 'bridge') {
    return unknown(
      expected,
      `nobody answers ARP for ${address}; ${set}${after}`,
      'Which addresses the guest has, through the agent or a capture of its frames by MAC: no answer can also mean that frames do not reach it.',
      [probeSays(sight, sight.arp.text), ...setLines],
    );
  }
  return unknown(
    expected,
    `${set}${after}; whether it is still there was not seen: ${whyNoAgent(sight)}`,
    'The addresses of the guest through the agent.',
    setLines,
  );
}

/** net.layer2: ARP is answered by the leased MAC and by nobody else. */
export function netLayer2(asked: Asked, sight: Sight): Finding {
  const { address, mac } = asked.wiring;
  const expected = `${mac} and nobody else answers ARP for ${address}`;
  if (asked.network.kind === 'user')
    return unknown(expected, "the guest's network is inside the VMM: the host has no ARP with it", bridgeWouldShow);
  const { arp } = sight;
  if (!arp) return unknown(expected, 'ARP was not asked', 'Ask by hand: arping -I BRIDGE ADDRESS.');
  const evidence = [probeSays(sight, arp.text)] as const;
  if (arp.is === 'silent') {
    return refuted(
      expected,
      'nobody answers',
      evidence,
      "Whether the TAP has carrier and the bridge as its master; whether the bridge has learned the guest's MAC; then the guest's addresses.",
    );
  }
  const others = arp.macs.filter((m) => !sameMac(m, mac));
  const leased = arp.macs.length > others.length;
  if (!leased)
    return refuted(
      expected,
      `${others.join(', ') || 'no MAC'} answers instead`,
      evidence,
      'Whose MAC that is: another VM with this address, or the TAP itself when it is not a port of the bridge.',
    );
  if (others.length > 0)
    return refuted(expected, `${mac}, and also ${others.join(', ')}`, evidence, 'Whose MAC that is: two machines have the same address.');
  return proved(expected, `only ${mac} answers`, evidence);
}

/** net.path: the host's route to the guest leaves by our bridge, the guest's by our gateway; ping both ways. */
export function netPath(asked: Asked, sight: Sight): Finding {
  const { address, gateway } = asked.wiring;
  const bridge = asked.network.bridge;
  const expected = `the host sends to ${address} by ${bridge ?? 'the bridge'}${asked.golden.agent ? `, the guest by ${gateway}` : ''}; ping answers ${asked.golden.agent ? 'both ways' : 'from the host'}`;
  if (asked.network.kind === 'user') {
    return unknown(
      expected,
      "the guest's network is inside the VMM: the host has no route to it and cannot ping it",
      bridgeWouldShow,
      sight.guestPing ? [agentSays(sight, sight.guestPing.text)] : [],
    );
  }
  const parts: Part[] = [];
  if (!sight.route || bridge === null)
    parts.push({ verdict: 'unknown', says: 'route of the host not looked at', evidence: [], next: `ip route get ${address} on the host.` });
  else {
    const right = sight.route.device === bridge;
    parts.push({
      verdict: right ? 'proved' : 'refuted',
      says: `the host sends by ${sight.route.device}`,
      evidence: [hostSays(sight, sight.route.text)],
      next: `Which other link has the subnet of ${address}: ip -4 address on the host.`,
    });
  }
  if (!sight.ping) parts.push({ verdict: 'unknown', says: 'not pinged', evidence: [], next: `ping ${address} on the host.` });
  else
    parts.push({
      verdict: sight.ping.is === 'answered' ? 'proved' : 'refuted',
      says: sight.ping.is === 'answered' ? `ping answers in ${sight.ping.ms} ms` : 'ping is not answered',
      evidence: [probeSays(sight, sight.ping.text)],
      next: 'net.layer2 first; then frames on bridge and TAP during a ping; then a packet filter in the guest.',
    });
  if (asked.golden.agent) parts.push(guestRoute(gateway, sight), guestPing(sight));
  return allOf(expected, parts);
}

function guestRoute(gateway: string, sight: Sight): Part {
  const routes = guestFacts(sight)?.routes ?? null;
  if (!routes)
    return {
      verdict: 'unknown',
      says: `the guest's routes were not seen: ${whyNoAgent(sight)}`,
      evidence: [],
      next: 'ip route in the guest.',
    };
  // an IPv6 default route is another matter
  const gateways = routes
    .filter((r) => ['default', '0.0.0.0/0', '0.0.0.0'].includes(r.destination) && !r.gateway?.includes(':'))
    .map((r) => r.gateway ?? `${r.link} directly`);
  const evidence = [
    agentSays(sight, routes.map((r) => `${r.destination} via ${r.gateway ?? '-'} dev ${r.link}`).join(', ') || 'no routes'),
  ];
  const next = 'The gateway in ip=, and what in the image sets routes (KeepConfiguration=static keeps the address and loses the route).';
  if (gateways.length === 0) return { verdict: 'refuted', says: 'the guest has no default route', evidence, next };
  return {
    verdict: gateways.every((g) => g === gateway) ? 'proved' : 'refuted',
    says: `the guest sends by ${gateways.join(' and ')}`,
    evidence,
    next,
  };
}

function guestPing(sight: Sight): Part {
  const ping = sight.guestPing;
  if (!ping)
    return {
      verdict: 'unknown',
      says: 'the guest was not asked to ping its gateway',
      evidence: [],
      next: 'ping the gateway in the guest, through the agent.',
    };
  const says = {
    answered: 'the gateway answers the guest',
    silent: 'the gateway does not answer the guest',
    unreachable: 'the guest has no way to its gateway',
  }[ping.is];
  return {
    verdict: ping.is === 'answered' ? 'proved' : 'refuted',
    says,
    evidence: [agentSays(sight, ping.text)],
    next: "The guest's addresses and routes; then frames on TAP and bridge during a ping.",
  };
}

/** net.egress: the guest reaches beyond the host. */
export function netEgress(sight: Sight): Finding {
  const expected = 'the guest reaches beyond the host';
  const egress = sight.egress ?? null;
  if (!egress)
    return unknown(
      expected,
      `not tried: ${whyNoAgent(sight)}`,
      'A connection from the guest to an address beyond the host, through the agent.',
    );
  const evidence = [agentSays(sight, egress.text)] as const;
  if (egress.is === 'answered') return proved(expected, cleanText(egress.text, 300), evidence);
  const next = {
    silent:
      "NAT and forwarding for this subnet on the host (nft list ruleset, net.ipv4.ip_forward, bridge-nf-call-iptables), then the host's own way out.",
    refused: 'Whether the target itself is up: something answered and refused.',
    unreachable: 'The default route of the guest, then the route of the host.',
  }[egress.is];
  return refuted(expected, cleanText(egress.text, 300), evidence, next);
}
