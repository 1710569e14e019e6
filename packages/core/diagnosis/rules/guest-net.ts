import type { Because } from '@linstock/contract';
import type { AddressFact, Evidence, FirewallFact } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import { prefixOfMask, sameSubnet } from '../read/ipv4.ts';
import type { Line } from '../text.ts';
import type { Finding, Rule } from './rule.ts';

/** What inside of the guest keeps it from its address. */
export const guestNet: Rule = (e, p) => {
  const lost = p.findAny(/[Mm]odule '?virtio_net'? ?not found/);
  const author = lost ? [] : addressAuthor(e, p);
  return [...kernelAddress(e, p), ...author, ...device(e, p, author), ...arithmetic(e, p), ...firewall(e, p), ...ways(e, p)];
};

export type IpArgument = { address: string; gateway: string | null; mask: string | null; device: string | null; raw: string };

/** The fields of the `ip=` that the guest's kernel was given (Documentation/admin-guide/nfs/nfsroot.rst). */
export function ipArgumentOf(e: Evidence): IpArgument | null {
  const raw =
    e.commandLine?.args.find((a) => a.startsWith('ip='))?.slice(3) ?? / ?\bip=(\S+)/.exec(e.asked.bootArgs?.value ?? '')?.[1] ?? null;
  if (raw === null) return null;
  const fields = raw.split(':');
  const field = (n: number): string | null => (fields[n] === undefined || fields[n] === '' ? null : fields[n]);
  return { address: field(0) ?? '', gateway: field(2), mask: field(3), device: field(5), raw };
}

function kernelAddress(e: Evidence, p: Picture): Finding[] {
  const unknown = e.facts.unknownParameters;
  const ip = unknown?.tokens.find((t) => t.startsWith('ip='));
  // an image that reads it itself makes no kernel with IP_PNP necessary
  const read = e.lines.some((l) => l.kind === 'requested' && /^userspace_args:.*\bip\b/.test(l.text));
  if (unknown && ip && !read && e.facts.ipConfig === null && p.arp !== 'yes') {
    return [{ code: 'guest.net.kernel-lacks-ip-autoconfig', confidence: 'likely', because: p.citeConsole(unknown) }];
  }
  const option = e.kernelOptions.get('IP_PNP');
  if (option && option.value !== 'y' && e.facts.ipConfig === null && ipArgumentOf(e) !== null && p.arp !== 'yes') {
    return [{ code: 'guest.net.kernel-lacks-ip-autoconfig', confidence: 'likely', because: [p.citeLine(option.at)] }];
  }
  const sending = p.find(/^(?:IP-Config: )?(?:Sending|Waiting up to .* for) (?:DHCP|BOOTP|RARP)[\w ,]*(?:requests)?/);
  if (sending && e.facts.ipConfig === null && !p.find(/IP-Config: (?:Complete|Got DHCP answer)|Got DHCP answer/)) {
    return [{ code: 'guest.net.kernel-waits-for-dhcp', confidence: 'likely', because: [p.citeLine(sending.line)] }];
  }
  return [];
}

const networkd = /systemd-networkd(?!\.socket)|Started Network Configuration|Started Network Service|Network Configuration$/;

/** Who wrote the address last. */
function addressAuthor(e: Evidence, p: Picture): Finding[] {
  const acks = e.lines.flatMap((l) => {
    const m = /DHCPACK(?:\(\S+\)| on)? ((?:\d{1,3}\.){3}\d{1,3})(?: to)? ([0-9a-f]{2}(?::[0-9a-f]{2}){5})/i.exec(l.body);
    return m?.[1] && m[2] ? [{ line: l, address: m[1], mac: m[2].toLowerCase() }] : [];
  });
  const shared = acks.find((a) => acks.some((b) => b.address === a.address && b.mac !== a.mac));
  if (shared) {
    const identity = p.findAny(/machine-id/);
    return [
      {
        code: 'guest.net.duplicate-dhcp-identity',
        confidence: 'likely',
        because: [
          ...acks
            .filter((a) => a.address === shared.address)
            .slice(0, 3)
            .map((a) => p.citeLine(a.line)),
          ...(identity ? [p.citeLine(identity)] : []),
        ],
      },
    ];
  }
  const networkdLine =
    e.units.find((u) => u.state !== 'dead' && networkd.test(u.unit))?.at ??
    p.findAny(/systemd-networkd.{0,40}(?:running|active|started|configuring)/);
  const statics = imageAddresses(e).filter((a) => a.address !== p.address);
  const dhcpConfig = p.findAny(
    /Network File: \S*dhcp|degraded \(configuring\)|\bDHCP\s?=\s?["']?(?:yes|ipv4|both|true)|\bdhcp4:\s*(?:true|yes)|\biface \w+ inet dhcp\b|BOOTPROTO="?dhcp/i,
    (l) => !l.console,
  );
  const keeps = p.findAny(/\bKeepConfiguration\s?=\s?(?:yes|true|static)/i);
  const dhcpFrames = e.frames.filter((f) => f.what === 'dhcp-request' && (p.mac === null || f.sourceMac === null || f.sourceMac === p.mac));
  const guestAddresses = e.addresses.filter((a) => a.place === 'guest' && a.link !== 'lo' && !a.address.startsWith('127.'));
  const guestShown = e.shown.has('addresses-guest') || e.links.some((l) => l.place === 'guest' && l.name !== 'lo');
  const otherAddress = otherAnswer(e, p, guestAddresses);
  const configured = e.facts.ipConfig ? p.citeConsole(e.facts.ipConfig) : [];
  const dead = p.arp === 'no' || (p.arp === 'unknown' && p.ping === 'no') || (p.reached === null && otherAddress !== null);
  if (!dead) {
    const late = waitingForNetwork(e, p);
    const over = e.units.find((u) => u.state === 'failed' && /Wait for Network|wait-online/i.test(u.unit));
    const chain = p.findAny(/network-online\.target @\d*(?:min|\d{2,}\.\d+s)|wait-online\.service @.{0,20}\+(?:\d+min|\d{2,}\.)/);
    const queued = p.findAny(/(?:wait-online|network-online)\S* +start +(?:running|waiting)/);
    if (!late || (!over && !chain && !queued)) return [];
    return [
      {
        code: 'guest.net.no-configured-link-blocks-services',
        confidence: 'likely',
        because: [...late, ...(chain ? [p.citeLine(chain)] : [])],
        degrades: true,
      },
    ];
  }

  const networkdBecause = networkdLine ? [p.citeLine(networkdLine)] : [];
  const fileOf = (line: Line): string =>
    /[\w./-]*\/(\d\d-[\w.-]+|[\w.-]+\.(?:network|ya?ml))/.exec(line.text)?.[1] ??
    /^([\w.-]+\.(?:network|ya?ml))/.exec(line.text)?.[1] ??
    '~';
  const firstStatic = statics.toSorted((a, b) => fileOf(a.at).localeCompare(fileOf(b.at)))[0];
  const dhcpFirst = dhcpConfig !== null && firstStatic !== undefined && fileOf(dhcpConfig).localeCompare(fileOf(firstStatic.at)) < 0;
  if (otherAddress) {
    const byDhcp = p.findAny(/DHCPv4 address \S+|DHCPACK|bound to \d|lease of \d\S* obtained|DHCPOFFER/i);
    const code = byDhcp && !firstStatic ? 'guest.net.address-from-dhcp-differs' : 'guest.net.address-replaced-by-image-config';
    return [
      {
        code,
        confidence: 'likely',
        because: [
          ...otherAddress,
          ...configured,
          ...(firstStatic ? [p.citeLine(firstStatic.at)] : byDhcp ? [p.citeLine(byDhcp)] : []),
          ...networkdBecause,
        ],
      },
    ];
  }
  if (firstStatic && !dhcpFirst) {
    return [
      {
        code: 'guest.net.address-replaced-by-image-config',
        confidence: 'likely',
        because: [p.citeLine(firstStatic.at), ...configured, ...networkdBecause],
      },
    ];
  }
  const waits = waitingForNetwork(e, p);
  const set =
    e.facts.ipConfig !== null || p.find(/Finished Setup Network|guest-net.*(?:ok|done|set)|linstock-initrd: ip \S+ .*set/) !== null;
  const noAddress = guestShown && guestAddresses.length === 0;
  if (networkdLine && !keeps && (dhcpConfig || dhcpFrames.length > 0 || (set && noAddress))) {
    const because: Because[] = [...configured, ...networkdBecause];
    if (dhcpConfig) because.push(p.citeLine(dhcpConfig));
    if (dhcpFrames[0]) because.push(p.citeLine(dhcpFrames[0].at));
    if (set || ipArgumentOf(e) !== null) return [{ code: 'guest.net.address-dropped-by-networkd', confidence: 'likely', because }];
    return [{ code: 'guest.net.dhcp-unanswered', confidence: 'likely', because }];
  }
  const client = p.findAny(
    /No DHCPOFFERS received|udhcpc: (?:no lease|sending discover)|dhcpcd.*timed out|No working leases|DHCPv4.*(?:timed out|lost lease)|Failed to (?:raise|bring up) (?:network|eth0)/i,
  );
  if (client || (dhcpFrames.length > 1 && !set)) {
    const frame = dhcpFrames[0];
    return [
      {
        code: 'guest.net.dhcp-unanswered',
        confidence: 'likely',
        because: [...(client ? [p.citeLine(client)] : []), ...(frame ? [p.citeLine(frame.at)] : [])],
      },
    ];
  }
  if (waits) return [{ code: 'guest.net.no-configured-link-blocks-services', confidence: 'likely', because: waits }];
  if (set && networkdLine && !keeps && (e.forwarding.some((f) => f.mac === p.mac) || (p.tap?.flags.includes('LOWER_UP') ?? false))) {
    return [{ code: 'guest.net.address-dropped-by-networkd', confidence: 'possible', because: [...configured, ...networkdBecause] }];
  }
  return [];
}

/** Static addresses that files of the image set: netplan, .network, interfaces. */
function imageAddresses(e: Evidence): { address: string; at: Line }[] {
  const found: { address: string; at: Line }[] = [];
  for (const line of e.lines) {
    if (line.console || found.length > 16) continue;
    const m =
      /\bAddress\s?=\s?((?:\d{1,3}\.){3}\d{1,3})/.exec(line.body) ??
      /\baddresses:\s*\[?\s*["']?((?:\d{1,3}\.){3}\d{1,3})/.exec(line.body) ??
      (/\.ya?ml\b|netplan|addresses|^- /.test(`${line.section} ${line.body}`)
        ? /^-\s*["']?((?:\d{1,3}\.){3}\d{1,3})\/\d{1,2}["']?$/.exec(line.body)
        : null) ??
      (/interfaces|iface/.test(`${line.section} ${line.command ?? ''} ${line.body}`)
        ? /^address\s+((?:\d{1,3}\.){3}\d{1,3})/.exec(line.body)
        : null) ??
      /\bIPADDR=["']?((?:\d{1,3}\.){3}\d{1,3})/.exec(line.body);
    if (m?.[1]) found.push({ address: m[1], at: line });
  }
  return found;
}

/** The guest's MAC answers, or the guest shows itself, at another address. */
function otherAnswer(e: Evidence, p: Picture, guestAddresses: readonly AddressFact[]): Because[] | null {
  if (p.address === null) return null;
  const asked = new Set(e.asked.addresses.map((a) => a.value));
  const arp = e.probes.find(
    (x) =>
      x.kind === 'arp' &&
      x.answer === 'ok' &&
      x.target !== null &&
      !asked.has(x.target) &&
      x.target !== p.address &&
      p.mac !== null &&
      x.macs.includes(p.mac),
  );
  if (arp) return [p.citeLine(arp.at)];
  const own = guestAddresses.find((a) => !a.address.startsWith('169.254.') && !/^(?:docker|br-|cni|veth)/.test(a.link));
  const still = guestAddresses.some((a) => a.address === p.address);
  if (own && !still) return [p.citeLine(own.at)];
  const frame =
    p.mac === null
      ? undefined
      : e.frames.find(
          (f) =>
            f.sourceMac === p.mac &&
            f.from !== null &&
            f.from !== p.address &&
            f.from !== '0.0.0.0' &&
            (f.what === 'arp-request' || f.what === 'arp-reply'),
        );
  if (frame) return [p.citeLine(frame.at)];
  const neighbour =
    p.mac === null ? undefined : e.neighbours.find((n) => n.place !== 'guest' && n.mac === p.mac && n.address !== p.address);
  return neighbour ? [p.citeLine(neighbour.at)] : null;
}

function waitingForNetwork(e: Evidence, p: Picture): Because[] | null {
  const begun = e.units.find((u) => u.state === 'starting' && /Wait for Network|wait-online/i.test(u.unit)) ?? null;
  const ended =
    e.units.find((u) => u.state === 'started' && /Network is Online|network-online|Wait for Network|wait-online/i.test(u.unit)) ?? null;
  const failed = e.units.find((u) => u.state === 'failed' && /Wait for Network|wait-online/i.test(u.unit)) ?? null;
  const job = p.findAny(
    /start job is running for Wait for Network|(?:network-online\.target|wait-online\.service).{0,40}(?:waiting|running|start)/i,
  );
  const at = failed?.at ?? begun?.at ?? job;
  if (!at || (ended && !failed)) return null;
  const ordered = p.findAny(/(?:Wants|After|Requires)=.{0,80}network-online\.target/);
  return [p.citeLine(at), ...(ordered ? [p.citeLine(ordered)] : [])];
}

/** Is there an interface at all? */
function device(e: Evidence, p: Picture, author: readonly Finding[]): Finding[] {
  const named = ipArgumentOf(e)?.device ?? null;
  const asked = e.commandLine?.at ?? e.asked.bootArgs?.at ?? null;
  if (
    named !== null &&
    asked &&
    p.arp === 'no' &&
    e.facts.ipConfig === null &&
    e.facts.banner === null &&
    !/^(?:eth\d+|all|off|on|any|none)$/.test(named)
  ) {
    return [
      {
        code: 'guest.net.interface-name-mismatch',
        confidence: 'likely',
        because: [p.citeLine(asked)],
        title: `ip= names ${named.slice(0, 32)}, and the first interface of a guest is eth0 when its kernel reads ip=`,
      },
    ];
  }
  if (p.arp === 'yes' || e.facts.ipConfig !== null || author.some((f) => f.confidence === 'likely')) return [];
  // the guest itself shows the card, so it has a driver
  if (p.mac !== null && e.links.some((l) => l.place === 'guest' && l.mac === p.mac)) return [];
  const noDriver = p.findAny(/\bid=0x0001 driver=(?:$|\s|\(none\)|driver$|\*)/);
  const absent = p.findAny(
    /(?:Device "?eth\d"? does not exist|Cannot find device "?eth\d"?|can't find device 'eth\d'|eth\d: (?:error fetching interface information: )?(?:No such device|Device not found|unknown interface)|SIOC\w+: No such device)/i,
  );
  const moduleFailed = p.findAny(
    /modprobe: (?:FATAL: Module|ERROR: .*|module) '?virtio_net'? ?not found|[Mm]odule virtio_net not found|\/lib\/modules(?:\/\S*)? ?(?:is )?(?:empty|missing|does not exist|: No such file)|can't change directory to '\/lib\/modules|modules\.dep/,
  );
  const option = e.kernelOptions.get('VIRTIO_NET');
  const renamed = p.find(/^virtio_net \S+ (\w+): renamed from eth\d|: renamed from eth\d/);
  const argument = ipArgumentOf(e);
  const gap = silentGap(e);
  if (
    renamed &&
    (argument?.device === 'eth0' ||
      p.findAny(/\beth0\b\s*:|Name=eth0|iface eth0|ethernets:.{0,20}eth0/, (l) => !l.console) !== null ||
      p.findAny(/\beth0\b.{0,40}(?:not|cannot|fail)/i) ||
      absent)
  ) {
    return [
      {
        code: 'guest.net.interface-name-mismatch',
        confidence: 'likely',
        because: [p.citeLine(renamed.line), ...(absent ? [p.citeLine(absent)] : [])],
      },
    ];
  }
  // an initrd that brought the module shows the device
  const there = p.find(/\beth0\b|^virtio_net /) !== null;
  if ((option?.value === 'm' && !there) || moduleFailed) {
    const because = [
      ...(option ? [p.citeLine(option.at)] : []),
      ...(moduleFailed ? [p.citeLine(moduleFailed)] : []),
      ...(absent ? [p.citeLine(absent)] : []),
    ];
    const trouble = p.arp === 'no' || absent !== null || noDriver !== null;
    if (trouble && e.facts.rootProblem === null) return [{ code: 'guest.net.driver-module-missing', confidence: 'likely', because }];
  }
  if (option?.value === 'n' && e.facts.rootProblem === null)
    return [{ code: 'guest.net.driver-missing-in-kernel', confidence: 'likely', because: [p.citeLine(option.at)] }];
  if (
    gap &&
    argument !== null &&
    e.facts.unknownParameters?.tokens.some((t) => t.startsWith('ip=')) !== true &&
    e.facts.rootProblem === null
  ) {
    // IP-Config waits 12 s for a device that matches (net/ipv4/ipconfig.c CONF_CARRIER_TIMEOUT, wait_for_devices)
    if (argument.device !== null && argument.device !== 'eth0') {
      return [
        {
          code: 'guest.net.interface-name-mismatch',
          confidence: 'likely',
          because: [...(e.commandLine ? [p.citeLine(e.commandLine.at)] : []), p.citeLine(gap)],
          title: `ip= names ${argument.device.slice(0, 32)}, and the kernel calls its only interface eth0`,
        },
      ];
    }
    return [
      {
        code: 'guest.net.driver-missing-in-kernel',
        confidence: 'likely',
        because: [p.citeLine(gap), ...(noDriver ? [p.citeLine(noDriver)] : [])],
      },
    ];
  }
  if (noDriver) return [{ code: 'guest.net.driver-missing-in-kernel', confidence: 'likely', because: [p.citeLine(noDriver)] }];
  if (absent && p.distributionKernel) {
    const pci = p.find(/^pci \S+: \[1af4:1041\]|^virtio-pci/);
    const bound = p.find(/^virtio_net|eth0/);
    return [
      {
        code: bound ? 'guest.net.interface-name-mismatch' : 'guest.net.driver-module-missing',
        confidence: pci && !bound ? 'likely' : 'possible',
        because: [p.citeLine(absent), ...(pci ? [p.citeLine(pci.line)] : [])],
      },
    ];
  }
  if (absent) return [{ code: 'guest.net.driver-missing-in-kernel', confidence: 'possible', because: [p.citeLine(absent)] }];
  const unset = e.links.find((l) => l.place === 'guest' && l.name !== 'lo' && l.flags.length > 0);
  const has = unset && e.addresses.some((a) => a.place === 'guest' && a.link === unset.name);
  if (
    unset &&
    !has &&
    e.shown.has('addresses-guest') &&
    !e.probes.some((x) => x.place === 'guest' && x.answer === 'ok') &&
    e.facts.unknownParameters?.tokens.some((t) => t.startsWith('ip=')) !== true
  ) {
    const down = !unset.flags.includes('UP');
    return [
      {
        code: down && argument === null ? 'guest.net.address-not-set' : down ? 'guest.net.link-down' : 'guest.net.address-not-set',
        confidence: argument === null ? 'likely' : 'possible',
        because: [p.citeLine(unset.at)],
      },
    ];
  }
  return [];
}

/** The line before which the kernel was silent for about the time IP-Config waits. */
function silentGap(e: Evidence): Line | null {
  let before: number | null = null;
  for (const line of e.console) {
    if (line.kernelTime === null) continue;
    if (before !== null && line.kernelTime - before >= 10.5 && line.kernelTime - before < 16 && before < 20) return line;
    before = line.kernelTime;
  }
  return null;
}

/** What address, mask and gateway say about each other and about the bridge. */
function arithmetic(e: Evidence, p: Picture): Finding[] {
  const argument = ipArgumentOf(e);
  const off = p.find(/IP-Config: Gateway not on directly connected network/);
  if (off) {
    const unresolved = argument !== null && /undefined|null|NaN/.test(argument.raw);
    if (unresolved) return [];
    return [
      {
        code: 'guest.net.gateway-not-on-link',
        confidence: 'likely',
        because: [p.citeLine(off.line), ...(e.facts.ipConfig ? p.citeConsole(e.facts.ipConfig) : [])],
        degrades: true,
      },
    ];
  }
  const bridge = p.bridgeAddresses.find((a) => a.prefix !== null && p.address !== null && sameSubnet(a.address, p.address, a.prefix));
  const cited = e.commandLine?.at ?? e.asked.bootArgs?.at ?? null;
  if (argument === null || cited === null) return [];
  const prefix = argument.mask === null ? null : prefixOfMask(argument.mask);
  const findings: Finding[] = [];
  if (bridge && prefix !== null && bridge.prefix !== null && prefix !== bridge.prefix && p.bridgeAddresses.length > 0) {
    const narrower = !sameSubnet(argument.address, bridge.address, prefix);
    if (narrower || p.ping === 'no')
      findings.push({ code: 'guest.net.netmask-wrong', confidence: 'likely', because: [p.citeLine(cited), p.citeLine(bridge.at)] });
  } else if (bridge && argument.gateway !== null && argument.gateway !== bridge.address && /^\d/.test(argument.gateway)) {
    const owner = e.addresses.some((a) => a.address === argument.gateway && a.place !== 'guest');
    if (!owner)
      findings.push({
        code: 'guest.net.gateway-wrong',
        confidence: 'likely',
        because: [p.citeLine(cited), p.citeLine(bridge.at)],
        degrades: true,
      });
  } else if (
    !bridge &&
    p.bridgeAddresses.length === 0 &&
    argument.gateway !== null &&
    prefix !== null &&
    /^\d/.test(argument.gateway) &&
    /^\d/.test(argument.address) &&
    prefix < 31 &&
    !sameSubnet(argument.address, argument.gateway, prefix)
  ) {
    findings.push({ code: 'guest.net.gateway-not-on-link', confidence: 'likely', because: [p.citeLine(cited)], degrades: true });
  }
  return findings;
}

function firewall(e: Evidence, p: Picture): Finding[] {
  const blocked = [...p.ports].filter(([, v]) => v.answer === 'timeout' || v.answer === 'refused' || v.answer === 'no-answer-arp');
  const guest = e.firewall.filter((f) => f.place === 'guest');
  const drops = guest.find((f) =>
    f.is === 'policy'
      ? f.hook === 'input' && f.policy !== 'accept'
      : f.hook === 'input' && (f.verdict === 'drop' || f.verdict === 'reject'),
  );
  const rejects = guest.find((f) => f.is === 'rule' && f.verdict === 'reject' && f.hook !== 'forward');
  for (const [port, { answer, probe }] of blocked) {
    if (accepts(guest, port)) continue;
    const unreachable = e.frames.find((f) => f.what === 'icmp-unreachable' && f.from === p.address);
    const listening = e.listening.some((l) => l.place === 'guest' && l.port === port && !l.address.startsWith('127.'));
    if (answer !== 'timeout' && (rejects || (unreachable && p.ping === 'yes')) && p.arp === 'yes') {
      return [
        {
          code: 'guest.net.firewall-reject',
          confidence: 'likely',
          because: [
            p.citeLine(probe.at),
            ...(rejects ? [p.citeLine(rejects.at)] : []),
            ...(unreachable ? [p.citeLine(unreachable.at)] : []),
          ],
        },
      ];
    }
    if (answer !== 'timeout' || (p.ping !== 'yes' && p.arp !== 'yes')) continue;
    if (drops) return [{ code: 'guest.net.firewall-drop', confidence: 'likely', because: [p.citeLine(drops.at), p.citeLine(probe.at)] }];
    const syn = e.frames.find((f) => f.what === 'syn' && f.to === p.address && f.device !== null && f.device !== p.bridgeName);
    const answered = e.frames.some((f) => (f.what === 'syn-ack' || f.what === 'rst') && f.from === p.address);
    if (p.ping === 'yes' && !answered && (syn || listening) && !hostBlocks(e)) {
      return [
        {
          code: 'guest.net.firewall-drop',
          confidence: listening ? 'likely' : 'possible',
          because: [p.citeLine(probe.at), ...(syn ? [p.citeLine(syn.at)] : [])],
        },
      ];
    }
    if (p.ping === 'yes' && !answered && !hostBlocks(e))
      return [{ code: 'guest.net.firewall-drop', confidence: 'possible', because: [p.citeLine(probe.at)] }];
  }
  return [];
}

const accepts = (rules: readonly FirewallFact[], port: number): boolean =>
  rules.some(
    (f) =>
      f.is === 'rule' &&
      f.verdict === 'accept' &&
      new RegExp(`\\b(?:dport|dpt:|dports|port)\\D{0,4}(?:\\{[^}]*)?\\b${port}\\b|tcp dpt:${port}\\b`).test(f.text),
  );

const hostBlocks = (e: Evidence): boolean =>
  e.firewall.some(
    (f) =>
      f.place !== 'guest' &&
      ((f.is === 'policy' && f.hook === 'output' && f.policy !== 'accept') ||
        (f.is === 'rule' && f.verdict === 'drop' && f.hook === 'output')),
  );

/** From the guest outwards. */
function ways(e: Evidence, p: Picture): Finding[] {
  const findings: Finding[] = [];
  const fromGuest = e.probes.filter((x) => x.place === 'guest');
  const out = fromGuest.filter(
    (x) => x.target === null || (x.target !== p.address && !x.target.startsWith('127.') && x.target !== 'localhost'),
  );
  const unreachable = out.find((x) => x.answer === 'net-unreachable');
  const guestRoutes = e.routes.filter((r) => r.place === 'guest');
  const hasDefault = guestRoutes.some((r) => r.to === 'default' || r.to === '0.0.0.0/0');
  const offLink = p.find(/IP-Config: Gateway not on directly connected network|Unable to set interface netmask/);
  if (!offLink && !hasDefault && (unreachable || (guestRoutes.length > 0 && out.some((x) => x.answer !== 'ok')))) {
    const at = unreachable?.at ?? guestRoutes[0]?.at;
    const keeps = p.findAny(/KeepConfiguration\s?=\s?static/);
    if (at)
      findings.push({
        code: 'guest.net.default-route-missing',
        confidence: guestRoutes.length > 0 || keeps ? 'likely' : 'possible',
        because: [
          p.citeLine(at),
          ...(keeps ? [p.citeLine(keeps)] : []),
          ...(guestRoutes[0] && guestRoutes[0].at !== at ? [p.citeLine(guestRoutes[0].at)] : []),
        ],
        degrades: true,
      });
  } else if (!offLink && !hasDefault && guestRoutes.length > 0 && e.shown.has('routes-guest') && e.asked.gateway) {
    findings.push({
      code: 'guest.net.default-route-missing',
      confidence: 'likely',
      because: [p.citeLine(guestRoutes[0]?.at ?? e.asked.gateway.at)],
      degrades: true,
    });
  }
  const names = e.probes.find((x) => (x.kind === 'dns' || x.answer === 'no-name') && x.place !== 'host') ?? null;
  const nameLine =
    names?.at ??
    p.findAny(
      /Temporary failure in name resolution|Temporary failure resolving|Could not resolve host|bad address '[\w.-]+'|server misbehaving|no servers could be reached|getaddrinfo (?:EAI_AGAIN|ENOTFOUND)|lookup \S+ on \S+: (?:read|dial)/,
    );
  const addressesWork = e.probes.some(
    (x) =>
      x.answer === 'ok' && x.kind === 'ping' && x.target !== null && !/^(?:192\.168|10\.|172\.(?:1[6-9]|2\d|3[01])|127\.)/.test(x.target),
  );
  const resolver = p.findAny(
    /resolv\.conf.{0,60}(?:->|No such file|stub|empty|missing|127\.0\.0\.53)|nameserver 127\.0\.0\.53|resolved.{0,40}(?:inactive|dead|not running|disabled|masked|not-found)/i,
  );
  if (nameLine && (addressesWork || resolver)) {
    findings.push({
      code: 'guest.net.dns-not-working',
      confidence: 'likely',
      because: [p.citeLine(nameLine), ...(resolver ? [p.citeLine(resolver)] : [])],
      degrades: true,
    });
  } else if (nameLine && !unreachable && fromGuest.every((x) => x.answer !== 'timeout' || x.kind === 'dns')) {
    findings.push({ code: 'guest.net.dns-not-working', confidence: 'possible', because: [p.citeLine(nameLine)], degrades: true });
  }
  const six = p.findAny(
    /(?:\[?[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}\]?).{0,60}(?:Network is unreachable|ENETUNREACH|Cannot assign requested address|No route to host)|connect ENETUNREACH (?:[0-9a-f]{1,4}:){2,7}/i,
  );
  if (six) findings.push({ code: 'guest.net.ipv6-without-route', confidence: 'likely', because: [p.citeLine(six)], degrades: true });
  const sized = (answer: 'ok' | 'timeout') =>
    e.probes.flatMap((x) => {
      const size = /-s ?(\d{3,5})/.exec(x.at.command ?? '')?.[1];
      return x.kind === 'ping' && size !== undefined && (answer === 'ok') === (x.answer === 'ok') ? [{ size: Number(size), at: x.at }] : [];
    });
  const [lost, small] = [sized('timeout')[0], sized('ok')[0]];
  if (lost && small && lost.size > small.size) {
    findings.push({
      code: 'guest.net.mtu-too-large',
      confidence: 'likely',
      because: [
        p.citeLine(lost.at),
        p.citeLine(small.at),
        ...e.links
          .filter((l) => l.mtu !== null && l.name !== 'lo')
          .slice(0, 2)
          .map((l) => p.citeLine(l.at)),
      ],
      degrades: true,
    });
    return findings;
  }
  const tooLong = p.findAny(
    /Message too long|Frag(?:mentation)? needed|need to frag|local error: message too long|mtu[ =]\d+.{0,30}(?:hang|stall|too)/i,
  );
  const mtus = new Set(e.links.filter((l) => l.mtu !== null && l.name !== 'lo' && l.flags.includes('UP')).map((l) => l.mtu));
  if (tooLong)
    findings.push({
      code: 'guest.net.mtu-too-large',
      confidence: 'likely',
      because: [
        p.citeLine(tooLong),
        ...e.links
          .filter((l) => l.mtu !== null && l.mtu !== 1500 && l.name !== 'lo')
          .slice(0, 2)
          .map((l) => p.citeLine(l.at)),
      ],
      degrades: true,
    });
  else if (mtus.size > 1) {
    const stall = p.findAny(
      /(?:hangs?|stalls?|stuck|freez|times? out).{0,80}(?:large|big|download|TLS|handshake|apt|git|body)|(?:large|big|TLS|handshake|apt|git).{0,80}(?:hangs?|stalls?|stuck|times? out)/i,
    );
    if (stall) findings.push({ code: 'guest.net.mtu-too-large', confidence: 'possible', because: [p.citeLine(stall)], degrades: true });
  }
  return findings;
}
