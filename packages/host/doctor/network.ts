/** Network: what bridges, TAPs, namespaces and rules take, and what stands in their way. */
import { bridgeName, parseSubnet } from '@linstock/core';
import { findClash } from '../network/clash.ts';
import { isRecord, parseArrays, textOf as nameOf } from '../network/links.ts';
import {
  bad,
  byAnswer,
  byFile,
  isForbidden,
  notANumber,
  ok,
  onlyRoot,
  some,
  textOf,
  unknown,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings } from './readings.ts';

const forward = '/proc/sys/net/ipv4/ip_forward';
const namespaces = '/proc/sys/user/max_net_namespaces';
const noIp = unknown('there is no program ip', 'Install iproute2.');

export const networkChecks: readonly Check[] = [
  {
    id: 'network.tun',
    grade: 'must',
    expected: '/dev/net/tun is a device and opens for reading and writing',
    why: "A guest's network device ends in a TAP, which is made with it.",
    fix: 'modprobe tun; in a container, pass the device in',
    look: ({ tun, uid }) => {
      if (tun.is === 'absent') return bad('there is no /dev/net/tun');
      if (tun.is === 'opens')
        return tun.character ? ok('/dev/net/tun opens for reading and writing') : bad('/dev/net/tun is no character device');
      if (uid !== 0 && isForbidden(tun.errno)) return onlyRoot(`/dev/net/tun is there and this user may not open it (${tun.errno})`);
      return bad(`/dev/net/tun is there and does not open (${tun.errno})`);
    },
  },
  {
    id: 'network.namespaces',
    grade: 'must',
    expected: 'more than 0 network namespaces may be made',
    why: 'Each VM has a network namespace of its own.',
    fix: `sysctl -w user.max_net_namespaces=100000; without the file, use a kernel with CONFIG_NET_NS`,
    look: (host) =>
      byFile(host, namespaces, bad(`there is no ${namespaces}: this kernel has no network namespaces`), (text) => {
        const most = wholeNumber(text);
        return most === null ? notANumber(namespaces, text) : (most > 0 ? ok : bad)(`${most} in ${namespaces}`);
      }),
  },
  {
    id: 'network.nft',
    grade: 'must',
    expected: 'nft and the kernel take the rules of a network (checked, not loaded)',
    why: 'The rules keep guests apart, hold them to their own addresses, and let them out by NAT; a network is not made without them.',
    fix: 'Install nftables 1.0 or newer, on a kernel with CONFIG_NF_TABLES_BRIDGE',
    look: ({ nftRules }) =>
      byAnswer(nftRules, bad('there is no program nft'), ({ code, how }) =>
        code === 0 ? ok('nft --check takes them') : bad(`nft --check does not take them: ${how}`),
      ),
  },
  {
    id: 'network.forwarding',
    grade: 'must',
    expected: '1, or 0 where Linstock may set it',
    why: 'Guests reach beyond the host only when it forwards; Linstock turns it on with the first network that may go out.',
    fix: 'sysctl -w net.ipv4.ip_forward=1; in a container, have /proc/sys/net mounted read-write',
    look: (host) =>
      byFile(host, forward, bad(`there is no ${forward}`), (text) => {
        if (text === '1') return ok(`1 in ${forward}`);
        if (text !== '0') return notANumber(forward, text);
        if (host.mayForward) return ok(`0 in ${forward}, and Linstock may set it`);
        return host.uid === 0
          ? bad(`0 in ${forward}, and root may not set it`)
          : onlyRoot(`0 in ${forward}; whether root may set it is not seen`);
      }),
  },
  {
    id: 'network.forward-policy',
    grade: 'should',
    expected: 'no chain of others that drops what is forwarded',
    why: 'Docker and firewalls drop forwarded packets by policy, and what one chain has dropped no other lets pass: guests then reach the host and nothing beyond it.',
    fix: "Let guests pass there; with Docker: iptables -I DOCKER-USER -i 'ls+' -j ACCEPT; iptables -I DOCKER-USER -o 'ls+' -j ACCEPT",
    look: forwardPolicy,
  },
  {
    id: 'network.subnet',
    grade: 'must',
    expected: 'no address or route of others in the subnet that the network takes',
    why: 'Two networks with the same addresses cannot both be reached; Linstock refuses to make the second.',
    fix: 'Set LINSTOCK_SUBNET to a free one, such as 10.79.0.0/24',
    look: subnetIsFree,
  },
];

const legacyTables = '/proc/net/ip_tables_names';

function forwardPolicy(host: HostReadings): Finding {
  return byAnswer(host.nftChains, unknown('there is no program nft', 'Install nftables.'), ({ code, stdout, how }) => {
    if (code !== 0) return unknown(`nft cannot list its chains: ${how}`, 'Look at it by hand: nft list chains');
    const all = chainsOf(stdout);
    if (all === null) return unknown('what nft lists cannot be understood', 'Look at it by hand: nft list chains');
    const dropping = all.filter((one) => one['hook'] === 'forward' && one['policy'] === 'drop' && one['family'] !== 'bridge');
    if (dropping.length > 0)
      return bad(
        `dropping by policy: ${some(dropping.map((one) => ['family', 'table', 'name'].map((key) => nameOf(one[key]) ?? '?').join(' ')))}`,
      );
    // tables of the old iptables are not among what nft lists; no file, no such tables
    return byFile(host, legacyTables, ok('nft lists no such chain'), (tables) =>
      tables.split('\n').includes('filter')
        ? unknown('nft lists no such chain, but there are rules of iptables-legacy too', 'Look at it by hand: iptables-legacy -S FORWARD')
        : ok('nft lists no such chain, and iptables-legacy has no filter'),
    );
  });
}

function chainsOf(text: string): readonly Record<string, unknown>[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // not even the version of its format
  }
  if (!isRecord(value) || !Array.isArray(value['nftables'])) return null;
  return value['nftables'].filter(isRecord).flatMap(({ chain }) => (isRecord(chain) ? [chain] : []));
}

function subnetIsFree({ subnet: text, addresses, routes, state }: HostReadings): Finding {
  const subnet = parseSubnet(text);
  if (subnet === null) return bad(`${text} is no subnet`);
  return byAnswer(addresses, noIp, (links) =>
    byAnswer(routes, noIp, (table) => {
      if (links.code !== 0 || table.code !== 0)
        return unknown(`ip cannot tell: ${links.code === 0 ? table.how : links.how}`, 'Look at it by hand: ip route');
      const shown = parseArrays(links.stdout);
      // there is always the loopback device
      if (shown.length === 0) return unknown(`ip tells no address: ${links.how}`, 'Look at it by hand: ip address');
      const mark = /"mark"\s*:\s*"([0-9a-f]{4})"/.exec(textOf(state.installation) ?? '')?.[1];
      const own = mark === undefined ? null : bridgeName(mark, 0);
      // where it stands, its subnet is what it was made with
      if (own !== null && shown.some((link) => link['ifname'] === own)) return ok(`the network of this installation is there: ${own}`);
      const clash = findClash(subnet, own ?? '', shown, parseArrays(table.stdout));
      if (clash === null) return ok(`${text} is free`);
      const read = `${text} overlaps with ${clash.other} on ${clash.device}`;
      // whose bridge it is stands in a file of the state folder
      return state.installation.is === 'denied' && /^ls[0-9a-f]{4}-br0$/.test(clash.device)
        ? onlyRoot(`${read}, which may be this installation's own`)
        : bad(read);
    }),
  );
}
