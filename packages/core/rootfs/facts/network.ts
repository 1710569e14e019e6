/**
 * Who in the image configures the guest's interface, and what becomes of the address and the default route that the kernel's `ip=` set. Pure.
 * No DHCP server answers on Linstock's network. What each does was tried with Debian 12 (systemd 252, ifupdown 0.8.41, dhclient 4.4) and
 * Debian 13 (systemd 257), with an address set by `ip=` before user space.
 */
import type { LintContext } from '../context.ts';
import { isThere, namesIn } from '../view.ts';
import type { ImageView } from '../view.ts';
import { cloudInitOf } from './cloud-init.ts';
import type { CloudInit } from './cloud-init.ts';
import { dhcpcdOf } from './dhcpcd.ts';
import { ifupdownOf } from './ifupdown.ts';
import type { Ifupdown } from './ifupdown.ts';
import type { Init } from './init.ts';
import type { Netplan } from './netplan.ts';
import { networkManagerOf } from './network-manager.ts';
import type { NetworkManager } from './network-manager.ts';
import { networkFilesFor } from './networkd.ts';
import type { NetworkFile } from './networkd.ts';
import type { Speech } from './listeners.ts';
import type { Boot } from './started.ts';

export type NetworkFacts = {
  /** .network files that systemd-networkd will take, or may; empty when it does not run */
  networkd: { runs: boolean; files: readonly NetworkFile[] };
  ifupdown: Ifupdown & { runs: boolean; client: DhcpClient | null };
  networkManager: NetworkManager & { runs: boolean };
  cloudInit: CloudInit & { runs: boolean };
  /** DHCP clients that run by themselves, and scripts that set addresses */
  others: readonly OtherAuthority[];
  /** /etc/resolv.conf is a link that leads nowhere at run time */
  resolvTarget: string | null;
};

export type DhcpClient = 'dhclient' | 'udhcpc' | 'dhcpcd';
/** `sure`: a service that takes every interface; a script may do it or not. */
export type OtherAuthority = { by: string; path: string; line: number | null; client: DhcpClient | null; sure: boolean };

/** What was found before, and bears on the network. */
type Known = { init: Init; boot: Boot | null; netplan: Netplan; speeches: readonly Speech[] };

export function networkOf(view: ImageView, context: LintContext, { init, boot, netplan, speeches }: Known): NetworkFacts {
  const runs = (unit: string): boolean => boot?.started.has(unit) === true;
  const networkdRuns = runs('systemd-networkd.service');
  const generated = [
    ...(netplan.present && netplan.renderer === 'networkd' ? netplan.files : []),
    ...fromCommandLine(view, context, runs('systemd-network-generator.service')),
  ];
  return {
    networkd: { runs: networkdRuns, files: networkdRuns ? networkFilesFor(view, context, generated) : [] },
    ifupdown: { ...ifupdownOf(view), runs: ifupRuns(init, boot, speeches), client: clientOf(view) },
    networkManager: { ...networkManagerOf(view, context), runs: runs('NetworkManager.service') },
    cloudInit: cloudInitFacts(view, boot),
    others: othersOf(boot, speeches, dhcpcdOf(view, context)),
    resolvTarget: danglingResolv(view, runs),
  };
}

/**
 * systemd-network-generator makes a .network file from ip=, with the leased address. Its name decides whether it comes before those of the image:
 * 90-… up to systemd 254, 70-… since 255 (systemd pull request 29827; seen with 252 and 257).
 */
function fromCommandLine(view: ImageView, { lease, interfaceName }: LintContext, runs: boolean): NetworkFile[] {
  if (!runs || lease === null) return [];
  const version = systemdVersion(view);
  const file = (prefix: number, matches: 'yes' | 'maybe'): NetworkFile => ({
    name: `${prefix}-${interfaceName}.network`,
    path: `/run/systemd/network/${prefix}-${interfaceName}.network`,
    line: null,
    from: 'network-generator',
    matches,
    dhcp: false,
    addresses: lease.address === null ? [] : [lease.address],
    gateway: lease.gateway,
    keeps: 'all',
    unmanaged: false,
    requiredForOnline: true,
  });
  if (version === null) return [file(70, 'maybe'), file(90, 'yes')];
  return [file(version >= 255 ? 70 : 90, 'yes')];
}

const LIBRARIES = [
  '/usr/lib/x86_64-linux-gnu/systemd',
  '/usr/lib/systemd',
  '/usr/lib64/systemd',
  '/lib/x86_64-linux-gnu/systemd',
  '/lib/systemd',
];

/** By the name of the library that all its programs share: libsystemd-shared-252.so. */
export function systemdVersion(view: ImageView): number | null {
  for (const folder of LIBRARIES) {
    for (const name of namesIn(view, folder)) {
      const version = /^libsystemd-shared-(\d{3})\b/.exec(name)?.[1];
      if (version !== undefined) return Number(version);
    }
  }
  return null;
}

/** ifupdown's service, or a line of an inittab or start script that calls ifup. */
function ifupRuns(init: Init, boot: Boot | null, speeches: readonly Speech[]): boolean {
  if (boot !== null) return boot.started.has('networking.service') || boot.started.has('ifup@.service');
  return init.services.includes('networking') || speeches.some(({ started, text }) => started && /\bifup\b/.test(text));
}

function clientOf(view: ImageView): DhcpClient | null {
  // The order in which ifupdown looks for them (inet.defn); busybox's ifup knows udhcpc alone.
  const there = (name: string): boolean => ['/sbin', '/usr/sbin', '/bin', '/usr/bin'].some((folder) => isThere(view, `${folder}/${name}`));
  const ifup = ['/sbin/ifup', '/usr/sbin/ifup'].map((path) => view.stat(path)).find((look) => look.is === 'there');
  if (ifup?.is === 'there' && ifup.path.endsWith('busybox')) return 'udhcpc';
  return there('dhclient') ? 'dhclient' : there('udhcpc') ? 'udhcpc' : there('dhcpcd') ? 'dhcpcd' : null;
}

function cloudInitFacts(view: ImageView, boot: Boot | null): CloudInit & { runs: boolean } {
  const facts = cloudInitOf(view);
  // Its generator adds cloud-init.target at each boot, unless a file forbids it; whether a source is found is seen only then.
  return { ...facts, runs: boot !== null && facts.present && !facts.disabled };
}

const CLIENT_UNITS = /^(?:dhcpcd|dhclient|udhcpc|connman|wicked|wickedd|netctl-auto|network)(?:@[^.]*)?\.service$/;
/** Shell commands that give the interface an address, or ask for one. */
const SETS_ADDRESS =
  /\bip\s+(?:-4\s+)?a(?:ddr(?:ess)?)?\s+(?:add|replace|change)\b.*\bdev\s+["']?(?:eth0|\$)|\bifconfig\s+eth0\s+["']?[\d$]|\b(?:dhclient|udhcpc|dhcpcd)\b.*(?:eth0|\$)/;

function othersOf(boot: Boot | null, speeches: readonly Speech[], dhcpcd: 'spares' | 'asks' | 'unknown'): OtherAuthority[] {
  const units = [...(boot?.started.values() ?? [])].map(({ unit }) => unit).filter(({ name }) => CLIENT_UNITS.test(name));
  const services = units.flatMap(({ name, path }): OtherAuthority[] => {
    const isDhcpcd = name.startsWith('dhcpcd');
    if (isDhcpcd && dhcpcd === 'spares') return [];
    const client = isDhcpcd && dhcpcd === 'asks' ? 'dhcpcd' : null;
    return [{ by: name, path, line: null, client, sure: client !== null }];
  });
  const scripts = speeches.flatMap(({ name, path, text, started }): OtherAuthority[] => {
    if (!started || units.some((unit) => unit.name === name)) return [];
    const rows = text.split('\n');
    const at = rows.findIndex((row) => SETS_ADDRESS.test(row) && !row.trim().startsWith('#'));
    const client = (['udhcpc', 'dhclient', 'dhcpcd'] as const).find((one) => rows[at]?.includes(one)) ?? null;
    return at < 0 ? [] : [{ by: name, path, line: path.endsWith('.service') ? null : at + 1, client, sure: false }];
  });
  return [...services, ...scripts];
}

function danglingResolv(view: ImageView, runs: (unit: string) => boolean): string | null {
  const link = view.lstat('/etc/resolv.conf');
  if (link.is !== 'there' || link.node.target === null) return null;
  const { target } = link.node;
  if (/run\/systemd\/resolve\//.test(target)) return runs('systemd-resolved.service') ? null : target;
  const makers: readonly (readonly [RegExp, string])[] = [
    [/run\/NetworkManager\//, 'NetworkManager.service'],
    [/run\/resolvconf\//, 'resolvconf.service'],
    [/run\/connman\//, 'connman.service'],
  ];
  const maker = makers.find(([pattern]) => pattern.test(target));
  if (maker !== undefined) return runs(maker[1]) ? null : target;
  // What lies elsewhere in /run or /proc is made by something nobody here knows.
  return /^(?:\.\.\/)*\/?(?:run|var\/run|proc|tmp)\//.test(target) ? null : view.stat('/etc/resolv.conf').is === 'absent' ? target : null;
}
