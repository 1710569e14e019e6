/**
 * What is wrong with this machine for a configuration, judged over what was read of it (host-look.ts). Pure. It is judged as if Firecracker
 * were started by the user who asks, without a jailer, in the folder that relative paths are looked up from.
 * Sources: vmm_config/*.rs, devices/virtio/{block,net,pmem,vsock}, logger/logging.rs of Firecracker; drivers/net/tun.c of Linux.
 */
import { isAbsolute } from 'node:path';
import type { Version } from '@linstock/core';
import { rootOf } from './boot.ts';
import { gathering, section, type Finding, type Say, type Section } from './finding.ts';
import { judgePath, judgeTwins } from './host-files.ts';
import type { HostSight } from './host-sight.ts';
import { pathsIn, tapsIn } from './paths.ts';

export function judgeHost(config: Section, version: Version, sight: HostSight): readonly Finding[] {
  const { findings, say } = gathering();
  const paths = pathsIn(config);
  const relative = paths.filter(({ path }) => !isAbsolute(path));
  if (relative.length > 0)
    say(
      'note',
      relative[0]?.at ?? '',
      `${relative.length === 1 ? 'One path is' : `${relative.length} paths are`} relative, and looked up from ${sight.folder}.`,
      'Firecracker looks from the folder that it is started in.',
      'Start it there, or write whole paths.',
    );
  const root = rootOf(config);
  for (const named of paths) {
    const seen = sight.files.get(named.path);
    if (seen !== undefined) judgePath(named, seen, { config, version, isRoot: named.at === `${root?.at}/path_on_host` }, say);
  }
  judgeTwins(paths, sight, say);
  judgeTaps(config, sight, say);
  judgeMemory(config, sight, say);
  return findings;
}

function judgeTaps(config: Section, sight: HostSight, say: Say): void {
  const { taps, user } = sight;
  const root = user.id === 0;
  if (taps === null) {
    const [first] = tapsIn(config);
    if (first !== undefined)
      say(
        'note',
        first.at,
        'The interfaces of this host could not be listed.',
        '`ip` is missing or failed.',
        'Install iproute2 to have TAPs looked at.',
      );
    return;
  }
  for (const { at, name } of tapsIn(config)) {
    const tap = taps.get(name);
    if (tap === undefined) {
      say(
        'error',
        at,
        `There is no interface ${name} here.`,
        root
          ? 'Started by root, Firecracker makes a TAP of this name without a word: it is down, leads nowhere, and goes when the VM ends.'
          : 'Firecracker, started by this user, may not make it and ends with "Operation not permitted".',
        `Make it before: ip tuntap add dev ${name} mode tap. One in another network namespace is not seen: --no-host leaves these looks out.`,
      );
      continue;
    }
    if (!tap.tap) {
      say(
        'error',
        at,
        `${name} is no TAP.`,
        'Firecracker opens TAPs only: it ends with "Invalid argument".',
        'Name a TAP, made with mode tap.',
      );
      continue;
    }
    if (tap.multiQueue)
      say(
        'error',
        at,
        `${name} was made with multi_queue.`,
        'Firecracker opens a single queue: it ends with "Invalid argument".',
        'Make it again without multi_queue.',
      );
    if (tap.busy || tap.holder !== null)
      say(
        'error',
        at,
        `${name} is in use${tap.holder === null ? '' : ` by process ${tap.holder.pid} (${tap.holder.command})`}.`,
        'A TAP has one reader: Firecracker ends with "Resource busy".',
        'End the other one, or give this VM a TAP of its own.',
      );
    if (!tap.up)
      say(
        'warning',
        at,
        `${name} is down.`,
        'Firecracker does not bring it up: the VM boots, and no frame comes through.',
        `Bring it up: ip link set ${name} up`,
      );
    // tun_not_capable(), drivers/net/tun.c: a TAP of nobody may be opened by everybody
    const wrong = (tap.owner !== null && tap.owner !== user.id) || (tap.group !== null && !user.groups.includes(tap.group));
    if (wrong && !root)
      say(
        'error',
        at,
        `${name} belongs to ${tap.owner === null ? '' : `user ${tap.owner}`}${tap.owner !== null && tap.group !== null ? ', ' : ''}${tap.group === null ? '' : `group ${tap.group}`}, and this is user ${user.id}.`,
        'Firecracker, started by this user, ends with "Operation not permitted".',
        `Make it for this user: ip tuntap add dev ${name} mode tap user ${user.id}`,
      );
  }
}

function judgeMemory(config: Section, sight: HostSight, say: Say): void {
  const machine = section(config, 'machine-config');
  const memory = machine['mem_size_mib'];
  if (typeof memory !== 'number') return;
  if (memory > sight.memoryMiB)
    say(
      'warning',
      '/machine-config/mem_size_mib',
      `The guest may have ${memory} MiB, and this host has ${sight.memoryMiB}.`,
      'Firecracker starts: memory is taken as the guest touches it, until the host kills somebody.',
      'Give it less.',
    );
  const free = sight.freeHugePages ?? 0;
  if (machine['huge_pages'] === '2M' && free * 2 < memory)
    say(
      'warning',
      '/machine-config/huge_pages',
      `The guest needs ${Math.ceil(memory / 2)} pages of 2 MiB, and ${free} are free.`,
      'Firecracker does not reserve them: the guest runs until one is missing, and then the VMM ends with SIGBUS (exit code 149).',
      'Raise /proc/sys/vm/nr_hugepages.',
    );
}
