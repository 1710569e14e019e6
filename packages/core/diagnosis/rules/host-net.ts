import type { Because } from '@linstock/contract';
import type { Evidence, LinkFact } from '../evidence.ts';
import type { Picture } from '../picture.ts';
import { sameSubnet } from '../read/ipv4.ts';
import { ipArgumentOf } from './guest-net.ts';
import type { Finding, Rule } from './rule.ts';

/** The host's half of the path: TAP, bridge, address, route, filters. */
export const hostNet: Rule = (e, p) => [...port(e, p), ...subnet(e, p), ...owners(e, p), ...filters(e, p), ...leaks(e, p)];

/** A line of `ip link` in full, where a `master` would stand. */
const isFull = (l: LinkFact): boolean => l.mtu !== null && l.flags.length > 0;

function port(e: Evidence, p: Picture): Finding[] {
  const findings: Finding[] = [];
  const { tap } = p;
  const missing = p.findAny(
    /Device "([\w.-]*tap[\w.-]*|fc-[\w.-]+|vm[\w.-]+)" does not exist|Cannot find device "([\w.-]*tap[\w.-]*|fc-[\w.-]+)"/i,
    (l) => l.place !== 'guest',
  );
  // a VM that ran had its TAP: it is gone with it
  const lacks = e.facts.banner === null ? 'host.net.tap-missing' : 'host.vmm-not-attached-to-tap';
  if (missing) findings.push({ code: lacks, confidence: 'likely', because: [p.citeLine(missing)] });
  if (tap) {
    const up = tap.flags.includes('UP');
    const carrier = tap.flags.includes('LOWER_UP');
    const noCarrier = tap.flags.includes('NO-CARRIER');
    const bad = p.reached === null || p.lost;
    if (tap.flags.length > 0 && !up && bad)
      findings.push({
        code: 'host.net.tap-down',
        confidence: 'likely',
        because: [p.citeLine(tap.at)],
        command: ['ip', 'link', 'set', tap.name, 'up'],
      });
    else if (noCarrier && up && bad) {
      findings.push({
        code: 'host.vmm-not-attached-to-tap',
        confidence: 'likely',
        because: [p.citeLine(tap.at), ...(p.vmmGone ? [p.citeLine(p.vmmGone)] : [])],
      });
    }
    const bridgeExists = p.bridgeName !== null && (p.bridge !== null || e.asked.bridge !== null);
    const listed = e.links.some((l) => l.name === tap.name && l.master !== null && l.place !== 'guest');
    const portsShown = e.shown.has('bridge-ports') && e.links.some((l) => l.master !== null && l.place !== 'guest');
    if ((isFull(tap) || portsShown) && !listed && (bridgeExists || e.links.some((l) => l.kind === 'bridge')) && bad && !routed(e, tap)) {
      findings.push({
        code: 'host.net.tap-not-on-bridge',
        confidence: 'likely',
        because: [p.citeLine(tap.at), ...(p.bridge ? [p.citeLine(p.bridge.at)] : [])],
        ...(p.bridgeName ? { command: ['ip', 'link', 'set', tap.name, 'master', p.bridgeName] } : {}),
      });
    } else if (
      tap.master !== null &&
      e.asked.bridge &&
      tap.master !== e.asked.bridge.value &&
      // in a namespace of its own it is on a bridge there, which a pair of links joins to the one that was asked for
      tap.master !== e.asked.others.get('inner_bridge')?.value &&
      bad
    ) {
      findings.push({
        code: 'host.net.tap-not-on-bridge',
        confidence: 'likely',
        because: [p.citeLine(tap.at), p.citeLine(e.asked.bridge.at)],
        title: `The TAP is on ${tap.master}, and should be on ${e.asked.bridge.value}`,
      });
    }
    if (!carrier && !noCarrier && tap.state === 'DOWN' && tap.flags.length === 0 && bad)
      findings.push({ code: 'host.vmm-not-attached-to-tap', confidence: 'possible', because: [p.citeLine(tap.at)] });
  } else if (e.asked.tap && e.shown.has('links') && e.links.some((l) => l.place !== 'guest' && l.kind === 'bridge') && p.reached === null) {
    const list = e.lines.find((l) => l.command !== null && /^(?:sudo )?ip (?:-\w+ )*(?:a|addr|l|link)(?: show)?$/.test(l.command));
    if (list) findings.push({ code: lacks, confidence: 'likely', because: [p.citeLine(e.asked.tap.at)] });
  }
  if (p.bridge && p.bridge.flags.length > 0 && !p.bridge.flags.includes('UP'))
    findings.push({ code: 'host.net.bridge-down', confidence: 'likely', because: [p.citeLine(p.bridge.at)] });
  const noBridge =
    p.bridgeName === null
      ? null
      : p.findAny(
          new RegExp(
            `Device "${p.bridgeName.replaceAll(/[^\w-]/g, '')}" does not exist|bridge ${p.bridgeName.replaceAll(/[^\w-]/g, '')} does not exist`,
          ),
        );
  if (noBridge) findings.push({ code: 'host.net.bridge-missing', confidence: 'likely', because: [p.citeLine(noBridge)] });
  if (
    p.bridge &&
    e.shown.has('addresses-host') &&
    p.bridgeAddresses.length === 0 &&
    p.bridge.flags.includes('UP') &&
    p.reached === null &&
    !routed(e, p.tap)
  ) {
    const blocks = new Set(e.links.filter((l) => l.place !== 'guest' && l.name === p.bridgeName).map((l) => l.at.block));
    const shownWith = e.addresses.some((a) => a.place !== 'guest' && blocks.has(a.at.block));
    if (shownWith) findings.push({ code: 'host.net.bridge-address-missing', confidence: 'likely', because: [p.citeLine(p.bridge.at)] });
  }
  if (!tap) findings.push(...emptyBridge(e, p));
  const orphan =
    e.asked.tap || p.reached || !p.unreached
      ? undefined
      : e.links.find(
          (l) =>
            l.kind === 'tap' &&
            l.place !== 'guest' &&
            isFull(l) &&
            l.flags.includes('LOWER_UP') &&
            !routed(e, l) &&
            !e.links.some((o) => o.name === l.name && o.master !== null),
        );
  if (orphan && e.links.some((l) => l.master !== null) && findings.length === 0) {
    findings.push({
      code: 'host.net.tap-not-on-bridge',
      confidence: 'likely',
      because: [p.citeLine(orphan.at), p.citeLine(p.unreached ?? orphan.at)],
    });
  }
  const away = e.routeGets.find((r) => r.place !== 'guest' && r.to === p.address && r.via !== null);
  if (
    p.bridge &&
    p.bridge.kind === 'bridge' &&
    away &&
    p.bridgeAddresses.length === 0 &&
    e.shown.has('addresses-host') &&
    !findings.some((f) => f.code === 'host.net.bridge-address-missing')
  ) {
    findings.push({
      code: 'host.net.bridge-address-missing',
      confidence: 'likely',
      because: [p.citeLine(p.bridge.at), p.citeLine(away.at)],
    });
  }
  const isolated = e.links.filter((l) => l.isolated === true);
  if (isolated.length >= 2 && e.probes.some((x) => x.place === 'guest' && x.answer !== 'ok'))
    findings.push({ code: 'host.net.port-isolated', confidence: 'likely', because: isolated.slice(0, 2).map((l) => p.citeLine(l.at)) });
  return findings;
}

/** A bridge without a port beside interfaces that VMMs hold. */
function emptyBridge(e: Evidence, p: Picture): Finding[] {
  if (!e.shown.has('bridge-ports') || p.reached !== null || p.unreached === null) return [];
  const bridge = e.links.find((l) => l.kind === 'bridge' && l.place !== 'guest');
  if (!bridge || e.links.some((l) => l.master !== null)) return [];
  const held = e.links.filter(
    (l) =>
      l.place !== 'guest' && l.flags.includes('LOWER_UP') && l.kind !== 'bridge' && !/^(?:lo$|eth|en|wl|veth|docker|up|bond)/.test(l.name),
  );
  return held.length === 0
    ? []
    : [
        {
          code: 'host.net.tap-not-on-bridge',
          confidence: 'likely',
          because: [p.citeLine(bridge.at), ...held.slice(0, 2).map((l) => p.citeLine(l.at))],
        },
      ];
}

/** A TAP with an address of its own needs no bridge. */
const routed = (e: Evidence, tap: LinkFact | null): boolean =>
  tap !== null && e.addresses.some((a) => a.link === tap.name && a.place !== 'guest');

function subnet(e: Evidence, p: Picture): Finding[] {
  if (p.address === null) return [];
  const address = p.address;
  const own = p.bridgeAddresses.filter((a) => a.prefix !== null);
  const inside = own.some((a) => sameSubnet(a.address, address, a.prefix ?? 32));
  const argument = ipArgumentOf(e);
  const effective = argument !== null && /^\d/.test(argument.address) ? argument.address : address;
  const outsideEffective = own.length > 0 && !own.some((a) => sameSubnet(a.address, effective, a.prefix ?? 32));
  const get = e.routeGets.find((r) => r.place !== 'guest' && (r.to === address || r.to === effective));
  const askedAt = e.asked.addresses.find((a) => a.value === address)?.at ?? e.commandLine?.at ?? null;
  if (own.length > 0 && (!inside || outsideEffective)) {
    const because: Because[] = [
      ...(askedAt ? [p.citeLine(askedAt)] : []),
      ...(own[0] ? [p.citeLine(own[0].at)] : []),
      ...(get ? [p.citeLine(get.at)] : []),
    ];
    return [{ code: 'host.net.vm-address-outside-bridge-subnet', confidence: 'likely', because }];
  }
  const pool = p.findAny(/\bpool\b.{0,60}\d+\.\d+\.\d+\.\d+/i);
  if (own.length === 0 && get?.via && p.reached === null && (pool || p.bridgeName !== null)) {
    return [
      {
        code: 'host.net.vm-address-outside-bridge-subnet',
        confidence: pool ? 'likely' : 'possible',
        because: [p.citeLine(get.at), ...(pool ? [p.citeLine(pool)] : [])],
      },
    ];
  }
  const twins = e.addresses.filter(
    (a) => a.place !== 'guest' && a.link !== 'lo' && a.prefix !== null && a.prefix < 32 && sameSubnet(a.address, address, a.prefix),
  );
  // the longest prefix wins: a wider subnet elsewhere takes nothing away
  const widest = Math.max(0, ...own.map((a) => a.prefix ?? 0));
  const rivals = twins.filter((a) => (a.prefix ?? 32) >= widest);
  const links = new Set(rivals.map((a) => a.link));
  if (links.size > 1 && (p.reached === null || (get && get.dev !== p.bridgeName))) {
    const other = rivals.find((a) => a.link !== p.bridgeName);
    return [
      {
        code: 'host.net.same-subnet-on-two-interfaces',
        confidence: 'likely',
        because: [...rivals.slice(0, 3).map((a) => p.citeLine(a.at)), ...(get ? [p.citeLine(get.at)] : [])],
        ...(other ? { command: ['ip', 'addr', 'del', `${other.address}/${other.prefix}`, 'dev', other.link] } : {}),
      },
    ];
  }
  const covering = e.routes.filter((r) => r.place !== 'guest' && r.to.includes('/') && covers(r.to, address));
  const twin = covering.find((r) => covering.some((o) => o.to === r.to && o.dev !== r.dev));
  if (twin && p.reached === null) {
    return [
      {
        code: 'host.net.same-subnet-on-two-interfaces',
        confidence: 'likely',
        because: covering.filter((r) => r.to === twin.to).map((r) => p.citeLine(r.at)),
      },
    ];
  }
  if (get && p.bridgeName !== null && get.dev !== p.bridgeName && get.dev !== p.tap?.name && p.reached === null) {
    return [
      {
        code: 'host.net.route-diverted',
        confidence: 'likely',
        because: [p.citeLine(get.at)],
        title: `The host's route to ${address} leaves by ${get.dev}, not by ${p.bridgeName}`,
      },
    ];
  }
  return [];
}

function covers(network: string, address: string): boolean {
  const [base = '', bits = '32'] = network.split('/');
  return sameSubnet(base, address, Number(bits));
}

/** Who answers for the address, and where its MAC is. */
function owners(e: Evidence, p: Picture): Finding[] {
  const twoMacs = e.probes.find((x) => x.kind === 'arp' && x.macs.length > 1 && (x.target === p.address || p.address === null));
  if (twoMacs) return [{ code: 'host.net.address-already-in-use', confidence: 'likely', because: arpLines(e, p, twoMacs.target) }];
  const duplicate = p.findAny(
    /duplicate (?:IP )?address|DAD failed|address already (?:in use|assigned).{0,40}(?:ARP|MAC|network)|IP conflict|arping -D.*(?:exit|rc)\W{0,3}1\b/i,
  );
  const owner = e.probes.find(
    (x) => x.kind === 'arp' && x.answer === 'ok' && x.target === p.address && p.mac !== null && !x.macs.includes(p.mac),
  );
  const neighbour = e.neighbours.find(
    (n) => n.place !== 'guest' && n.address === p.address && n.mac !== null && p.mac !== null && n.mac !== p.mac,
  );
  const macs = e.forwarding.filter((f) => !f.permanent);
  const anywhere = macs.find((f) =>
    macs.some((o) => o.mac === f.mac && o.bridge === f.bridge && o.dev !== f.dev && !o.dev.startsWith('port')),
  );
  if (anywhere && p.mac === null) {
    return [
      {
        code: 'host.net.duplicate-mac',
        confidence: 'likely',
        because: macs
          .filter((f) => f.mac === anywhere.mac)
          .slice(0, 3)
          .map((f) => p.citeLine(f.at)),
      },
    ];
  }
  // a VM in a namespace of its own is behind two bridges, and its MAC is learned on each: at its TAP, and at the port that leads to it
  const ours = p.mac === null ? [] : macs.filter((f) => f.mac === p.mac);
  const ports = [p.tap?.name, e.asked.others.get('bridge_port')?.value].filter((name) => name !== undefined);
  const wrongPort = ports.length === 0 ? undefined : ours.find((f) => !ports.includes(f.dev) && !f.dev.startsWith('port'));
  const twice = [...Map.groupBy(ours, (f) => f.bridge).values()].some((entries) => new Set(entries.map((f) => f.dev)).size > 1);
  const moving = p.findAny(/received packet on \S+ with own address as source address|mac.{0,20}(?:moved|flapping)|duplicate mac/i);
  const sameMac = twinMac(e);
  if (wrongPort || twice || moving || sameMac.length > 1) {
    const because = [
      ...macs
        .filter((f) => f.mac === p.mac)
        .slice(0, 3)
        .map((f) => p.citeLine(f.at)),
      ...(moving ? [p.citeLine(moving)] : []),
      ...sameMac.slice(0, 2).map((l) => p.citeLine(l)),
    ];
    if (because.length > 0) return [{ code: 'host.net.duplicate-mac', confidence: 'likely', because }];
  }
  const remembered = e.neighbours.find(
    (n) =>
      n.place === 'guest' &&
      n.mac !== null &&
      p.bridge?.mac !== null &&
      p.bridge !== null &&
      n.mac !== p.bridge.mac &&
      n.mac !== p.tap?.mac &&
      (p.bridgeAddresses.some((a) => a.address === n.address) || n.address === e.asked.gateway?.value || /\.(?:1|254)$/.test(n.address)),
  );
  const sent = p.bridge?.mac
    ? e.frames.find(
        (f) => (f.what === 'echo-reply' || f.what === 'syn-ack') && f.destinationMac !== null && f.destinationMac !== p.bridge?.mac,
      )
    : undefined;
  if (remembered && p.bridge && (sent || p.reached === null)) {
    return [
      {
        code: 'host.net.neighbour-stale',
        confidence: 'likely',
        because: [p.citeLine(remembered.at), p.citeLine(p.bridge.at), ...(sent ? [p.citeLine(sent.at)] : [])],
      },
    ];
  }
  const arping = e.probes.find(
    (x) => x.kind === 'arp' && x.answer === 'ok' && x.macs.length === 1 && (x.target === p.address || p.address === null),
  );
  const kept =
    arping &&
    e.neighbours.find((n) => n.place !== 'guest' && n.address === arping.target && n.mac !== null && !arping.macs.includes(n.mac));
  if (arping && kept && !macs.some((f) => f.mac === kept.mac)) {
    return [{ code: 'host.net.neighbour-stale', confidence: 'likely', because: [p.citeLine(kept.at), p.citeLine(arping.at)] }];
  }
  if (owner ?? neighbour) {
    const at = owner?.at ?? neighbour?.at;
    const foreign = owner?.macs[0] ?? neighbour?.mac ?? '';
    const present = macs.some((f) => f.mac === foreign) || owner !== undefined;
    if (at && present)
      return [
        {
          code: 'host.net.address-already-in-use',
          confidence: 'likely',
          because: [p.citeLine(at), ...(e.asked.mac ? [p.citeLine(e.asked.mac.at)] : [])],
        },
      ];
    if (at && p.reached === null) return [{ code: 'host.net.neighbour-stale', confidence: 'possible', because: [p.citeLine(at)] }];
  }
  if (duplicate) return [{ code: 'host.net.address-already-in-use', confidence: 'likely', because: [p.citeLine(duplicate)] }];
  return [];
}

const arpLines = (e: Evidence, p: Picture, target: string | null): Because[] =>
  e.lines
    .filter((l) => /reply from/i.test(l.body) && (target === null || l.body.includes(target)))
    .slice(0, 4)
    .map((l) => p.citeLine(l));

/** Two VMs whose configuration has one MAC. */
function twinMac(e: Evidence) {
  const lines = e.lines.filter((l) => /"?guest_mac"?\s*[:=]/.test(l.body));
  const byMac = Map.groupBy(lines, (l) => /([0-9a-f]{2}(?::[0-9a-f]{2}){5})/i.exec(l.body)?.[1]?.toLowerCase() ?? '');
  for (const [mac, twins] of byMac) if (mac !== '' && new Set(twins.map((l) => `${l.source}${l.block}`)).size > 1) return twins;
  return [];
}

function filters(e: Evidence, p: Picture): Finding[] {
  const findings: Finding[] = [];
  const outFailed = e.probes.find(
    (x) =>
      x.answer !== 'ok' &&
      x.answer !== 'no-name' &&
      (x.place === 'guest' ||
        /egress|outbound|internet|from (?:the )?(?:guest|vm)|VM to VM|1\.1\.1\.1|8\.8\.8\.8/i.test(
          `${x.at.section} ${x.at.text} ${x.target ?? ''}`,
        )),
  );
  const outProse = p.findAny(
    /(?:no|cannot|can't|lost) (?:reach )?(?:the )?(?:internet|outbound|egress)|egress-failed|internet (?:access )?(?:does not|doesn't|fails|is dead)|VM.{0,6}to.{0,6}VM.{0,40}(?:0|lost|fail|dead)/i,
  );
  const out = outFailed?.at ?? outProse;
  const gatewayDown = e.routes.some((r) => r.place === 'guest') && !e.routes.some((r) => r.place === 'guest' && r.to === 'default');
  const forward = e.firewall.find((f) => f.place !== 'guest' && f.is === 'policy' && f.hook === 'forward' && f.policy !== 'accept');
  const dropRule = e.firewall.find(
    (f) => f.place !== 'guest' && f.is === 'rule' && f.hook === 'forward' && (f.verdict === 'drop' || f.verdict === 'reject'),
  );
  const accepts = (chain: string | null): boolean =>
    e.firewall.some(
      (f) =>
        f.is === 'rule' &&
        f.hook === 'forward' &&
        f.verdict === 'accept' &&
        (chain === null || f.chain === chain) &&
        p.bridgeName !== null &&
        f.text.includes(p.bridgeName),
    );
  // what one base chain accepts, the policy of another still drops
  const dropping = forward && !accepts(forward.chain) ? forward : dropRule && !accepts(null) ? dropRule : null;
  const nf = e.sysctls.get('net.bridge.bridge-nf-call-iptables');
  const sysctlForward = e.sysctls.get('net.ipv4.ip_forward');
  const offLink = p.find(/IP-Config: Gateway not on directly connected network/) !== null;
  if (out && !offLink) {
    if (dropping) {
      findings.push({
        code: 'host.net.forward-chain-drop',
        confidence: 'likely',
        because: [p.citeLine(dropping.at), ...(nf?.value === '1' ? [p.citeLine(nf.at)] : []), p.citeLine(out)],
        degrades: true,
      });
    } else if (sysctlForward?.value === '0')
      findings.push({
        code: 'host.net.ip-forward-disabled',
        confidence: 'likely',
        because: [p.citeLine(sysctlForward.at), p.citeLine(out)],
        degrades: true,
      });
    else if (
      e.shown.has('firewall-host') &&
      !gatewayDown &&
      !e.firewall.some((f) => f.place !== 'guest' && f.is === 'rule' && f.verdict === 'masquerade' && coversSubnet(f.text, p))
    ) {
      const wrong = e.firewall.find((f) => f.is === 'rule' && f.verdict === 'masquerade');
      const timeout = outFailed === undefined || outFailed.answer === 'timeout';
      if (timeout && (p.reached !== null || p.arp === 'unknown'))
        findings.push({
          code: 'host.net.nat-missing',
          confidence: 'likely',
          because: [p.citeLine(out), ...(wrong ? [p.citeLine(wrong.at)] : [])],
          degrades: true,
        });
    }
  }
  const uplink = e.routes.find((r) => r.place !== 'guest' && r.to === 'default')?.dev ?? null;
  const bare = e.frames.find(
    (f) =>
      f.device !== null &&
      f.device === uplink &&
      f.from !== null &&
      isPrivate(f.from) &&
      f.to !== null &&
      !isPrivate(f.to) &&
      !e.addresses.some((a) => a.address === f.from && a.place !== 'guest'),
  );
  const translated = e.frames.some((f) => f.device === uplink && f.to === bare?.from);
  if (bare && !translated && !findings.some((f) => f.code === 'host.net.nat-missing')) {
    const rule = e.firewall.find((f) => f.is === 'rule' && f.verdict === 'masquerade');
    findings.push({
      code: 'host.net.nat-missing',
      confidence: 'likely',
      because: [p.citeLine(bare.at), ...(rule ? [p.citeLine(rule.at)] : [])],
      degrades: true,
    });
  }
  const rp = [...e.sysctls].filter(([key, v]) => key.endsWith('.rp_filter') && v.value === '1' && v.place !== 'guest').map(([, v]) => v);
  const counters = e.lines.flatMap((line) => {
    const value = /^TcpExtIPReversePathFilter\s+(\d{1,18})/.exec(line.text)?.[1];
    return value === undefined || line.place === 'guest' ? [] : [{ line, value: Number(value) }];
  });
  const [first, last] = [counters[0], counters.at(-1)];
  // looked at twice, it must have grown: what it counted before tells of the past
  const grew = first && last && (counters.length === 1 ? last.value > 0 : last.value > first.value) ? last.line : null;
  const martian =
    grew ??
    p.findAny(
      /martian source|IPReversePathFilter\W{1,4}[1-9]|IPReversePathFilter \d+ -> [1-9]/i,
      (l) => l.place !== 'guest' || /martian/.test(l.body),
    );
  const replies = e.frames.some((f) => (f.what === 'echo-reply' || f.what === 'syn-ack' || f.what === 'rst') && f.from === p.address);
  const notReached = p.reached === null || (p.ping === 'no' && ![...p.ports].some(([, v]) => v.answer === 'ok'));
  if ((martian || (rp.length > 0 && replies && p.ping === 'no')) && notReached) {
    findings.push({
      code: 'host.net.reverse-path-filter-drop',
      confidence: 'likely',
      because: [...(martian ? [p.citeLine(martian)] : []), ...rp.slice(0, 2).map((r) => p.citeLine(r.at))],
    });
  }
  const input = e.firewall.find((f) => f.place !== 'guest' && f.is === 'policy' && f.hook === 'input' && f.policy !== 'accept');
  const inputRule = e.firewall.find(
    (f) =>
      f.place !== 'guest' &&
      f.is === 'rule' &&
      f.hook === 'input' &&
      (f.verdict === 'drop' || f.verdict === 'reject') &&
      (p.bridgeName === null || f.text.includes(p.bridgeName) || !/(?:-i|iifname|--)\s/.test(f.text)),
  );
  const isHosts = (target: string): boolean =>
    target === e.asked.gateway?.value ||
    p.bridgeAddresses.some((a) => a.address === target) ||
    (p.address !== null && target !== p.address && sameSubnet(target, p.address, p.prefix ?? 24));
  const toHost = e.probes.find(
    (x) => x.place === 'guest' && x.answer !== 'ok' && x.answer !== 'refused' && x.target !== null && isHosts(x.target),
  );
  // a chain that lets pings in before it drops the rest drops no ping
  const letsIn =
    toHost?.kind === 'ping' &&
    e.firewall.some(
      (f) => f.place !== 'guest' && f.is === 'rule' && f.chain === inputRule?.chain && f.verdict === 'accept' && /\bicmp\b/.test(f.text),
    );
  const filter = input ?? (letsIn || !p.reached ? undefined : inputRule);
  if (filter && toHost)
    findings.push({
      code: 'host.net.input-chain-drop',
      confidence: 'likely',
      because: [p.citeLine(filter.at), p.citeLine(toHost.at)],
      degrades: true,
    });
  return findings;
}

const isPrivate = (address: string): boolean =>
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(address);

function coversSubnet(rule: string, p: Picture): boolean {
  const source =
    /(?:saddr|-s|source:?)\s+((?:\d{1,3}\.){3}\d{1,3})(?:\/(\d{1,2}))?/.exec(rule) ??
    /\b((?:\d{1,3}\.){3}\d{1,3})\/(\d{1,2})\s+(?:0\.0\.0\.0\/0|anywhere)/.exec(rule);
  if (!source?.[1] || p.address === null) return true;
  return sameSubnet(source[1], p.address, Number(source[2] ?? 32));
}

function leaks(e: Evidence, p: Picture): Finding[] {
  const dead = e.links.filter((l) => l.kind === 'tap' && l.flags.includes('NO-CARRIER') && l.place !== 'guest');
  const names = new Set(dead.map((l) => l.name));
  const counted = [...e.asked.others].find(
    ([key, v]) => key.startsWith('count:') && Number(v.value) >= 5 && /NO-CARRIER|DOWN/.test(v.at.text),
  );
  const left = p.findAny(
    /(\d{2,5}) (?:stale |dead |orphan(?:ed)? |leftover |leaked )(?:TAPs?|tap devices?|sockets?|directories|processes|interfaces|VMs?)/i,
  );
  if (counted) return [{ code: 'host.resources-leaked', confidence: 'likely', because: [p.citeLine(counted[1].at)], degrades: true }];
  if (names.size >= 5)
    return [
      { code: 'host.resources-leaked', confidence: 'likely', because: dead.slice(0, 3).map((l) => p.citeLine(l.at)), degrades: true },
    ];
  return left ? [{ code: 'host.resources-leaked', confidence: 'likely', because: [p.citeLine(left)], degrades: true }] : [];
}
