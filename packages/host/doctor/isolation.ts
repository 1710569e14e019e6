/** What the walls around a VMM are made of: seccomp, cgroups, mounts. */
import { bad, byFile, byReading, notApplicable, ok, onlyRoot, textOf, unknown, type Check, type Finding } from './check.ts';
import type { HostReadings } from './readings.ts';

const actions = '/proc/sys/kernel/seccomp/actions_avail';
const limiting = ['cpu', 'memory', 'pids'] as const;
/** The jailer makes a mount namespace of its own, whose price grows with the mounts that are copied (docs/jailer.md). */
const MANY_MOUNTS = 100;

export const isolationChecks: readonly Check[] = [
  {
    id: 'isolation.seccomp',
    grade: 'must',
    expected: 'kill_process among the actions of seccomp',
    why: 'Each VMM runs under a filter of the system calls it needs, and one that makes another call is ended: the second wall when a guest breaks out.',
    fix: 'Use a kernel with CONFIG_SECCOMP_FILTER, as every distribution has',
    look: (host) =>
      byFile(host, actions, bad(`there is no ${actions}: this kernel has no seccomp filters`), (text) =>
        (text.split(/\s+/).includes('kill_process') ? ok : bad)(`${text} in ${actions}`),
      ),
  },
  {
    id: 'isolation.few-mounts',
    grade: 'may',
    expected: `fewer than ${MANY_MOUNTS} mounts`,
    why: 'The jailer takes a mount namespace for each VM, and the kernel copies every mount into it.',
    fix: 'Unmount what is not needed (findmnt lists them), such as mounts of snaps and of containers that ended',
    look: (host) =>
      byFile(host, '/proc/self/mountinfo', unknown('there is no /proc/self/mountinfo', 'Mount /proc.'), (text) => {
        const mounts = text.split('\n').length;
        return (mounts < MANY_MOUNTS ? ok : bad)(`${mounts} mounts in /proc/self/mountinfo`);
      }),
  },
  {
    id: 'cgroup.v2',
    grade: 'should',
    expected: 'cgroup v2 alone',
    why: 'Limits of a VM are set there. Beside v1 its controllers stay with v1, and snapshots restore many times slower on v1.',
    fix: 'Boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all on the kernel command line',
    look: (host) =>
      byFile(host, '/proc/mounts', unknown('there is no /proc/mounts', 'Mount /proc.'), (text) => {
        const types = text.split('\n').map((line) => line.split(' ')[2]);
        if (!types.includes('cgroup2')) return bad('no cgroup2 in /proc/mounts');
        const old = types.filter((type) => type === 'cgroup').length;
        return old === 0 ? ok('cgroup2 alone in /proc/mounts') : bad(`cgroup2, and ${old} hierarchies of v1 beside it, in /proc/mounts`);
      }),
  },
  {
    id: 'cgroup.writable',
    grade: 'must',
    expected: 'root may make cgroups in cgroup v2',
    why: 'A VM in a cgroup of its own can be limited, and all of it can be ended at once. Without, Linstock finds VMs by a mark in their environment, and they have no limits.',
    fix: 'In a container: mount cgroup v2 read-write and delegate it; on a host: mount -t cgroup2 none /sys/fs/cgroup',
    look: (host) => {
      const { mount, mayWrite } = host.cgroup;
      if (mount === null) return noMount(host);
      if (mayWrite) return ok(`${mount} may be written`);
      return host.uid === 0
        ? bad(`${mount} may not be written`)
        : onlyRoot(`this user may not write ${mount}; whether root may is not seen`);
    },
  },
  {
    id: 'cgroup.controllers',
    grade: 'must',
    expected: `${limiting.join(', ')} among the controllers of cgroup v2, and free to be passed down`,
    why: 'Without limits of CPU, memory and processes one guest can take the host from all others. A host with one tenant may ignore it.',
    fix: 'Take these controllers from v1 (cgroup_no_v1=all on the kernel command line); in a container, have them delegated',
    look: delegation,
  },
  {
    id: 'cgroup.favordynmods',
    grade: 'may',
    expected: 'favordynmods among the mount options of cgroup v2',
    why: 'Without it moving a process into a cgroup waits for all CPUs on kernels from 6.0 on, tens of milliseconds for each VM that is started that way.',
    fix: 'mount -o remount,favordynmods /sys/fs/cgroup, or cgroup_favordynmods=true on the kernel command line',
    look: (host) =>
      byFile(host, '/proc/mounts', unknown('there is no /proc/mounts', 'Mount /proc.'), (text) => {
        const [, point = '', , options = ''] =
          text
            .split('\n')
            .map((line) => line.split(' '))
            .find(([, , type]) => type === 'cgroup2') ?? [];
        if (point === '') return notApplicable('/proc/mounts has no cgroup2');
        return (options.split(',').includes('favordynmods') ? ok : bad)(`${options} for ${point} in /proc/mounts`);
      }),
  },
];

/** Where the mounts could not be read, that none was found means nothing. */
function noMount(host: HostReadings): Finding {
  return byFile(host, '/proc/mounts', unknown('there is no /proc/mounts', 'Mount /proc.'), () => bad('no cgroup v2 is mounted read-write'));
}

function delegation(host: HostReadings): Finding {
  const { mount, controllers, delegated, nested } = host.cgroup;
  if (mount === null) return noMount(host);
  const absent = bad(`there is no ${mount}/cgroup.controllers`);
  return byReading(host, `${mount}/cgroup.controllers`, controllers, absent, (text) => {
    const lacking = (list: string): string[] => limiting.filter((name) => !list.split(/\s+/).includes(name));
    const missing = lacking(text);
    if (missing.length > 0) return bad(`${mount}/cgroup.controllers lacks ${missing.join(', ')}`);
    // in the root of the whole tree root may delegate them at any time; a part of it with processes in it may not (cgroups(7))
    if (!nested) return ok(`${text} in ${mount}/cgroup.controllers`);
    const list = textOf(delegated);
    if (list === null) return unknown(`${mount}/cgroup.subtree_control cannot be read`, 'Look at it by hand.');
    const kept = lacking(list);
    return kept.length === 0
      ? ok(`${list} in ${mount}/cgroup.subtree_control`)
      : bad(`${mount}/cgroup.subtree_control lacks ${kept.join(', ')}`);
  });
}
