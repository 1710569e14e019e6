/** What a guest tells through its agent, in the shapes of the tools that would show it inside. Pure; the guest is hostile. */
import type { EvidenceDocument } from '@linstock/contract';
import { Page } from './page.ts';

type Link = { name: string; mac: string; operstate: string; mtu: number; flags: readonly string[] };
type Address = { link: string; address: string; prefixLen: number; family: 'ipv4' | 'ipv6'; scope: string; flags: readonly string[] };
type Route = {
  family: 'ipv4' | 'ipv6';
  destination: string;
  gateway?: string | undefined;
  link?: string | undefined;
  source?: string | undefined;
  metric: number;
  protocol: string;
  scope: string;
};

/** The parts that are absent were not told; `errors` says why. */
export type GuestTold = {
  cmdline?: string | undefined;
  kernel?: { release: string; banner: string } | undefined;
  uptimeMs?: number | undefined;
  memory?: { totalKiB: number; availableKiB: number } | undefined;
  links?: readonly Link[] | undefined;
  addresses?: readonly Address[] | undefined;
  routes?: readonly Route[] | undefined;
  neighbours?: readonly { address: string; mac: string; link: string; complete: boolean }[] | undefined;
  listening?: readonly { address: string; port: number; process?: string | undefined }[] | undefined;
  resolvers?: readonly string[] | undefined;
  mounts?: readonly { device: string; path: string; fsType: string; options: string }[] | undefined;
  init?:
    | {
        pid1: string;
        systemState?: string | undefined;
        failedUnits: readonly string[];
        networkManagers: readonly { name: string; running: boolean; enabled: boolean }[];
      }
    | undefined;
  clock?: { unixMs: number } | undefined;
  random?: { seeded: boolean } | undefined;
  pressure?: { cpu: number; memory: number; io: number } | undefined;
  errors: Readonly<Record<string, string | undefined>>;
};

export type GuestOrder = {
  told: GuestTold;
  /** host time at which it was told, `ms`: the middle of question and answer */
  at: number;
  /** what programs inside printed, or why they could not be run; `output` null = not run */
  programs: readonly { command: string; output: string | null; exit: string }[];
};

const section = 'guest (through its agent)';

export function guestPage({ told, at, programs }: GuestOrder): EvidenceDocument {
  const page = new Page().section(section);
  const { links, addresses, routes, neighbours, listening, init, memory, clock, pressure } = told;
  if (links) page.look('ip addr show', links.flatMap((link, i) => linkLines(link, i + 1, addresses ?? [])).join('\n'));
  if (routes) {
    page.look('ip route', lines(routes, 'ipv4'));
    page.look('ip -6 route', lines(routes, 'ipv6'));
  }
  if (neighbours) {
    const state = (n: { mac: string; complete: boolean }): string => (n.complete ? `lladdr ${n.mac} REACHABLE` : 'INCOMPLETE');
    page.look('ip neigh', neighbours.map((n) => `${n.address} dev ${n.link} ${state(n)}`).join('\n'));
  }
  if (listening) {
    const peer = (address: string): string => (address.includes(':') ? '[::]:*' : '0.0.0.0:*');
    const local = (address: string): string => (address.includes(':') ? `[${address}]` : address);
    const rows = listening.map(
      (l) =>
        `LISTEN   0        0        ${local(l.address)}:${l.port}        ${peer(l.address)}${l.process === undefined ? '' : `        users:(("${l.process}"))`}`,
    );
    page.look('ss -ltnp', ['State    Recv-Q   Send-Q   Local Address:Port   Peer Address:Port   Process', ...rows].join('\n'));
  }
  if (told.resolvers) page.look('cat /etc/resolv.conf', told.resolvers.map((r) => `nameserver ${r}`).join('\n'));
  if (init) {
    page.look('ps -p 1 -o comm=', init.pid1);
    if (init.systemState !== undefined) page.look('systemctl is-system-running', init.systemState);
    if (init.pid1 === 'systemd') page.look('systemctl --failed --plain', failedUnits(init.failedUnits));
    for (const manager of init.networkManagers)
      page.look(`systemctl is-active ${manager.name}`, manager.running ? 'active' : manager.enabled ? 'inactive (enabled)' : 'inactive');
  }
  if (memory) page.look('cat /proc/meminfo', `MemTotal:       ${memory.totalKiB} kB\nMemAvailable:   ${memory.availableKiB} kB`);
  if (pressure)
    for (const [name, percent] of Object.entries(pressure)) page.look(`cat /proc/pressure/${name}`, `some avg10=${percent.toFixed(2)}`);
  if (told.cmdline !== undefined) page.look('cat /proc/cmdline', told.cmdline);
  if (told.kernel) page.look('cat /proc/version', told.kernel.banner);
  if (told.mounts) page.look('mount', told.mounts.map((m) => `${m.device} on ${m.path} type ${m.fsType} (${m.options})`).join('\n'));
  if (told.uptimeMs !== undefined) page.look('cat /proc/uptime', (told.uptimeMs / 1000).toFixed(2));
  if (clock) page.look('date +%s.%3N', `${(clock.unixMs / 1000).toFixed(3)}\nclock_offset_ms=${Math.round(clock.unixMs - at)}`);
  if (told.random) page.line(`random_seeded=${told.random.seeded ? 'yes' : 'no'}`);
  for (const { command, output, exit } of programs) page.look(command, output ?? '', exit);
  for (const [part, why] of Object.entries(told.errors)) if (why !== undefined) page.line(`not told: ${part}: ${why}`);
  return page.document('guest', 'guest');
}

/** Nobody answered, which is a fact by itself. */
export function silentGuestPage(why: string): EvidenceDocument {
  return new Page()
    .section(section)
    .line(`agent: no answer: ${why}`)
    .document('guest', 'guest', `the guest's agent did not answer: ${why}`);
}

function linkLines(link: Link, index: number, addresses: readonly Address[]): string[] {
  const has = (flag: string): boolean => link.flags.includes(flag);
  const words = ['loopback', 'broadcast', 'multicast', 'pointtopoint'].filter(has).map((flag) => flag.toUpperCase());
  const up = has('up') ? ['UP', ...(has('running') ? ['LOWER_UP'] : [])] : [];
  const carrier = has('up') && !has('running') ? ['NO-CARRIER'] : [];
  const state = link.operstate === '' ? 'UNKNOWN' : link.operstate.toUpperCase();
  const mine = addresses.filter((a) => a.link === link.name);
  return [
    `${index}: ${link.name}: <${[...carrier, ...words, ...up].join(',')}> mtu ${link.mtu} state ${state}`,
    ...(link.mac === '' ? [] : [`    link/${has('loopback') ? 'loopback' : 'ether'} ${link.mac}`]),
    ...mine.map((a) => {
      const odd = a.flags.filter((flag) => flag !== 'permanent');
      return `    ${a.family === 'ipv4' ? 'inet' : 'inet6'} ${a.address}/${a.prefixLen} scope ${a.scope} ${[...odd, link.name].join(' ')}`;
    }),
  ];
}

function lines(routes: readonly Route[], family: 'ipv4' | 'ipv6'): string {
  return routes
    .filter((route) => route.family === family)
    .map((route) =>
      [
        route.destination,
        ...(route.gateway === undefined ? [] : ['via', route.gateway]),
        ...(route.link === undefined ? [] : ['dev', route.link]),
        ...(route.protocol === '' ? [] : ['proto', route.protocol]),
        ...(route.scope === 'link' || route.scope === 'host' ? ['scope', route.scope] : []),
        ...(route.source === undefined ? [] : ['src', route.source]),
        ...(route.metric > 0 ? ['metric', String(route.metric)] : []),
      ].join(' '),
    )
    .join('\n');
}

function failedUnits(units: readonly string[]): string {
  return [...units.map((unit) => `${unit} loaded failed failed`), `${units.length} loaded units listed.`].join('\n');
}
