/**
 * The launch plan of a Firecracker, pure. A boot is one process that reads one configuration file, with its API socket open (house rule: a
 * launch is one step). golden/*.txt show whole plans to a reviewer. Sources: firecracker/src/main.rs, jailer/src/env.rs.
 *
 * Names are the same in every jail, `/kernel`, `/disk`, `/v.sock`, `tap0`: a snapshot keeps the paths that it was made with, so constant
 * names are what makes it usable for another VM, also on versions without overrides
 * (docs/snapshotting/network-for-clones.md).
 */
import { basename, join } from 'node:path';
import { FaultError, type BootId } from '@linstock/contract';
import { bootFile } from '../../tools/paths.ts';
import type { JailPlan, LaunchOrder, LaunchPlan } from '../vmm.ts';
import { checkConfig } from './checks.ts';
import { commandLineOf, refusalOfLine } from './command-line.ts';
import { configFor, devicesOf, firecrackerFile } from './config.ts';
import type { Version } from '@linstock/core';
import { has, refusalOfVersion } from './versions.ts';

export type JailerHost = {
  /** absolute path of the jailer, of the same version as Firecracker */
  path: string;
  /** where jails are made; on the filesystem of disks, images and boots, because files are linked into them */
  base: string;
  /** user and group ids that are ours to give, one for each slot of each network */
  ids: { first: number; count: number };
  /**
   * Our folder of cgroups, relative to the mount of cgroup v2. Without cgroups there is no jailer: it clears the environment, and with it the
   * only other mark by which a process of ours is found again.
   */
  cgroup: string;
  /** run in a pid namespace of its own */
  pidNamespace: boolean;
};

export type FirecrackerHost = {
  /** absolute and free of links: the jailer names the jail by the file that it finds in the end */
  firecracker: string;
  version: Version;
  /** null: as the user of the controller, on the host's own files; for development only */
  jailer: JailerHost | null;
  /** Firecracker has no network without a TAP; a VM of such a network is refused, or, in tests, gets no interface */
  userNetwork: 'refused' | 'no-interface';
};

/**
 * Firecracker itself takes some 5 MiB, but the page tables of its guest, the page cache of its own files and, for a moment, the jailer and the
 * copy that it makes count as well; docs/prod-host-setup.md asks for a limit and names none.
 */
const memoryBesideGuestMiB = 128;
/** Keeper, unshare, shell and jailer; then its main thread, that of the API, and one for each of at most 32 vCPUs. */
const mostPids = 64;
/** A slot number has its place among those of its network (core/wiring.ts: at most 1,000 ports on a bridge). */
const idsPerNetwork = 1_024;

/**
 * The user and group ids of an installation's jails: a block of 65,536 above all that systemd gives to containers (0x00080000 to 0x6FFFFFFF,
 * systemd docs/UIDS-GIDS.md) and below 2^31. One of 3,000 blocks, by the mark, so that two installations rarely share.
 */
export function idsOf(mark: string): JailerHost['ids'] {
  const count = 65_536;
  return { first: 1_900_000_000 + (Number.parseInt(mark, 16) % 3_000) * count, count };
}

/** Instance ids have no `_`, ours have exactly one. `boot_01j…` ↔ `boot-01j…`. */
export function instanceIdOf(boot: BootId): string {
  return boot.replace('_', '-');
}

export function bootOfInstance(id: string): string {
  return id.replace('-', '_');
}

/** All that the jailer makes for one VM; `root` in it becomes `/` (docs/jailer.md). */
export function jailFolderOf(base: string, binary: string, boot: BootId): string {
  return join(base, binary, instanceIdOf(boot));
}

/** What about a Firecracker can never work, on whichever host; null when nothing. */
export function refusalOfHost(host: Pick<FirecrackerHost, 'firecracker' | 'version'> & { jailed: boolean }): string | null {
  const version = refusalOfVersion(host.version);
  if (version !== null) return version;
  const name = basename(host.firecracker);
  if (host.jailed && !has(host.version, 'anyExecName') && !name.includes('firecracker')) {
    return `The jailer of Firecracker ${host.version.text} runs only a file with "firecracker" in its name, and this one is called ${name}: rename it.`;
  }
  return null;
}

export function planFirecracker(order: LaunchOrder, host: FirecrackerHost): LaunchPlan {
  const { settings } = order.vm;
  const { boot, folder, wiring } = order;
  const bridged = settings.network.kind === 'bridge';
  if (!bridged && host.userNetwork === 'refused') {
    throw new FaultError('vmm-refused', {
      hint: `Firecracker has no network of kind "user", which ${settings.network.name} is: use a bridge network, or QEMU`,
    });
  }
  const { commandLine, told, rootByVmm } = commandLineOf({
    version: host.version,
    given: order.bootArgs,
    memoryMiB: settings.memoryMiB,
    hasInitrd: order.files.initrd !== null,
    devices: devicesOf(order),
    pci: false,
  });
  const tooLong = refusalOfLine(commandLine);
  if (tooLong !== null) throw new FaultError('boot-args-invalid', { problems: tooLong });

  const { jailer } = host;
  const jail = jailer === null ? null : jailOf(order, host.firecracker, jailer);
  const { kernel, initrd, disk } = order.files;
  const seen =
    jail === null
      ? { kernel, initrd, disk }
      : {
          kernel: `/${firecrackerFile.kernel}`,
          initrd: initrd === null ? null : `/${firecrackerFile.initrd}`,
          disk: `/${firecrackerFile.disk}`,
        };
  const config = configFor(order, { args: told, rootByVmm }, seen);
  const wrong = checkConfig(host.version, config).filter(({ kind }) => kind !== 'deprecated');
  if (wrong.length > 0) throw new FaultError('vmm-refused', { hint: wrong.map(({ says, fix }) => `${says}. ${fix}`).join(' ') });

  const home = jail?.root ?? folder;
  const { mmds } = settings.firecracker ?? {};
  const mode = jail === null ? 0o600 : 0o400;
  const given = (name: string, value: unknown): LaunchPlan['files'][number] => ({
    path: join(home, name),
    text: `${JSON.stringify(value, null, 1)}\n`,
    mode,
  });
  return {
    boot,
    argv:
      jail === null || jailer === null
        ? [host.firecracker, ...ownArgv(boot), ...argvInside(order, '')]
        : jailerArgv(order, host.firecracker, jailer, jail),
    // the jailer enters the namespace itself
    netns: bridged && jail === null ? wiring.netns : null,
    commandLine,
    // The guest's serial port is Firecracker's standard output, and in no version is it a key of a configuration file. Its own log goes to
    // a file from the first line on, because that is told on the command line (main.rs), and its last words go to standard error.
    output: bootFile.console,
    limits: { memoryMaxBytes: (settings.memoryMiB + memoryBesideGuestMiB) * 1024 * 1024, pidsMax: mostPids },
    files: [
      given(firecrackerFile.config, config),
      ...(mmds === undefined ? [] : [given(firecrackerFile.metadata, mmds.data)]),
      // up to 1.13 they must be there; before the start, because it opens them without O_CREAT
      { path: join(folder, firecrackerFile.log), text: '', mode: 0o600 },
      { path: join(folder, firecrackerFile.metrics), text: '', mode: 0o600 },
    ],
    ...(jail === null ? {} : { jail }),
  };
}

function ownArgv(boot: BootId): string[] {
  return ['--id', instanceIdOf(boot)];
}

/** Logger and metrics are named here and not in the file: up to the file everything would go to the console, and metrics are set once. */
// oxfmt-ignore
function argvInside({ vm: { settings } }: LaunchOrder, at: string): string[] {
  return [
    '--api-sock', `${at}${firecrackerFile.api}`,
    '--config-file', `${at}${firecrackerFile.config}`,
    ...(settings.firecracker?.mmds === undefined ? [] : ['--metadata', `${at}${firecrackerFile.metadata}`]),
    '--log-path', `${at}${firecrackerFile.log}`,
    '--level', 'Info',
    '--show-level',
    '--metrics-path', `${at}${firecrackerFile.metrics}`,
  ];
}

function jailOf(order: LaunchOrder, firecracker: string, jailer: JailerHost): JailPlan {
  const root = join(jailFolderOf(jailer.base, basename(firecracker), order.boot), 'root');
  const { ids } = jailer;
  const offset = order.vm.settings.network.index * idsPerNetwork + order.wiring.slot;
  if (order.wiring.slot >= idsPerNetwork || offset >= ids.count) {
    throw new FaultError('host-full', {
      need: `slot ${order.wiring.slot} of network ${order.vm.settings.network.name}`,
      why: `the jailer has ${ids.count} user ids, ${idsPerNetwork} for each network`,
    });
  }
  const id = ids.first + offset;
  const { kernel, initrd, disk } = order.files;
  const inJail = (name: string): string => join(root, name);
  return {
    root,
    owner: { uid: id, gid: id },
    links: [
      { from: kernel, to: inJail(firecrackerFile.kernel), is: 'shared' },
      ...(initrd === null ? [] : [{ from: initrd, to: inJail(firecrackerFile.initrd), is: 'shared' as const }]),
      { from: disk, to: inJail(firecrackerFile.disk), is: 'own' },
      // written inside, kept with the boot when the jail is gone
      { from: join(order.folder, firecrackerFile.log), to: inJail(firecrackerFile.log), is: 'own' },
      { from: join(order.folder, firecrackerFile.metrics), to: inJail(firecrackerFile.metrics), is: 'own' },
    ],
  };
}

/**
 * - The pid namespace is made by `unshare`, not by --new-pid-ns: with that the jailer leaves at once with 0, and how Firecracker ended would
 *   be known to nobody. `unshare --fork` waits for its child, but says 1 when that was killed (util-linux 2.38: signal(SIGKILL) is an error);
 *   so the child is a shell, which is pid 1 there and makes 128 + N of signal N. Firecracker is pid 2, and hears SIGTERM.
 * - Without any --cgroup the jailer moves itself into an existing --parent-cgroup, by default one called like the binary: the unit's own
 *   is named, in which it is already, so that it stays (jailer/src/env.rs). Limits are written into it by who made it.
 * - No fsize limit: it would count the console and the disk as well, and ends the VMM with 151.
 */
// oxfmt-ignore
function jailerArgv(order: LaunchOrder, firecracker: string, jailer: JailerHost, jail: JailPlan): string[] {
  return [
    ...(jailer.pidNamespace ? ['unshare', '--pid', '--fork', '--', '/bin/sh', '-c', '"$@"; exit $?', 'init'] : []),
    jailer.path,
    ...ownArgv(order.boot),
    '--exec-file', firecracker,
    '--uid', String(jail.owner.uid),
    '--gid', String(jail.owner.gid),
    '--chroot-base-dir', jailer.base,
    ...(order.vm.settings.network.kind === 'bridge' ? ['--netns', `/run/netns/${order.wiring.netns}`] : []),
    '--cgroup-version', '2',
    '--parent-cgroup', `${jailer.cgroup}/${order.boot}`,
    '--resource-limit', 'no-file=2048',
    '--',
    ...argvInside(order, '/'),
  ];
}
