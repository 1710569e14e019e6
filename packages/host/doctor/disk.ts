/** The state folder's disk, and the limits that many VMs run into. */
import {
  bad,
  byFile,
  isForbidden,
  memoryBytes,
  notANumber,
  notApplicable,
  ok,
  onlyRoot,
  size,
  textOf,
  unknown,
  unread,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings } from './readings.ts';
import { mostPorts } from '@linstock/core';

/** A golden image with what building it takes is a few hundred MB; a host with less than this is about to be full. */
const LEAST_BYTES = 2 * 1024 ** 3;
/** The smallest guest that is of use, for how many could be at once. */
const SMALL_GUEST_BYTES = 128 * 1024 ** 2;
/** A VMM with one vCPU: main, API and vCPU thread, its keeper, one to spare. */
const THREADS_PER_GUEST = 5;
const OTHER_THREADS = 4_096;
/** What the controller holds open for a guest: agent, console, QMP, watches. */
const FILES_PER_GUEST = 8;
const OTHER_FILES = 1_024;

export const diskChecks: readonly Check[] = [
  {
    id: 'disk.space',
    grade: 'must',
    expected: `at least ${size(LEAST_BYTES)} free where the state folder is`,
    why: 'Images, disks and consoles of VMs are there. On a full disk nothing can be recorded, and nothing is started.',
    fix: 'Make room, or set LINSTOCK_STATE to a folder on a larger disk',
    look: ({ state }) => {
      if (state.freeBytes === null)
        return unknown(`how much is free in ${state.nearest} cannot be read`, `Look at it by hand: df ${state.nearest}`);
      return (state.freeBytes >= LEAST_BYTES ? ok : bad)(`${size(state.freeBytes)} free in ${state.nearest}`);
    },
  },
  {
    id: 'disk.snapshots',
    grade: 'should',
    expected: 'as much free disk as the host has memory',
    why: 'A snapshot is as large as the memory of its guest, and disks of guests grow into what they were promised. Linstock takes no snapshots yet.',
    fix: 'Set LINSTOCK_STATE to a folder on a larger disk',
    look: (host) => {
      const { freeBytes, nearest } = host.state;
      const memory = memoryBytes(host);
      if (freeBytes === null || memory === null)
        return unknown(`free disk or memory of the host cannot be read`, `Look at it by hand: df ${nearest}; free`);
      const read = `${size(freeBytes)} free in ${nearest}, ${size(memory)} of memory`;
      return (freeBytes >= memory ? ok : bad)(read);
    },
  },
  {
    id: 'disk.mount',
    grade: 'must',
    expected: 'the state folder is on a file system without noexec, nodev and ro',
    why: 'A helper that starts VMMs runs from there, and a jail has devices in it.',
    fix: 'Mount it without them, or set LINSTOCK_STATE to a folder elsewhere',
    look: mountOptions,
  },
  {
    id: 'disk.reflink',
    grade: 'may',
    expected: 'a copy may share blocks with its original',
    why: 'The copy of a disk is then made in a millisecond, whatever its size, and takes room only for what is changed.',
    fix: 'Put the state folder on XFS (mkfs.xfs -m reflink=1, the default) or btrfs',
    look: ({ state: { sharesBlocks, nearest }, uid }) => {
      if (sharesBlocks === 'yes') return ok(`tried in ${nearest}: it may`);
      if (sharesBlocks === 'no') return bad(`tried in ${nearest}: it may not`);
      const read = `${nearest} may not be written, so it could not be tried (${sharesBlocks.errno})`;
      return uid !== 0 && isForbidden(sharesBlocks.errno) ? onlyRoot(read) : unknown(read, `Look at it by hand: df -T ${nearest}`);
    },
  },
  {
    id: 'disk.private',
    grade: 'should',
    expected: 'the state folder is open to its owner only (0700)',
    why: 'The token of the API, disks and consoles of guests, and the sockets of VMMs are in it.',
    fix: 'chmod 0700 on the state folder',
    look: (host) => {
      const { own, path } = host.state;
      if (own.is === 'absent') return notApplicable(`${path} is not there yet; Linstock makes it 0700`);
      if (own.is === 'denied') return unread(host, path, own.errno);
      return ((own.mode & 0o077) === 0 ? ok : bad)(`mode ${(own.mode & 0o7777).toString(8).padStart(4, '0')}, of user ${own.uid}: ${path}`);
    },
  },
  {
    id: 'limits.processes',
    grade: 'should',
    expected: `room for the guests that fit into memory, ${THREADS_PER_GUEST} threads each`,
    why: 'Where the host may have no more threads, a VM ends in the middle of its start, and so does everything else.',
    fix: 'sysctl -w kernel.pid_max=4194304 kernel.threads-max=…, and for good in /etc/sysctl.d',
    look: threads,
  },
  {
    id: 'limits.open-files',
    grade: 'should',
    expected: `room for the guests that fit into memory, ${FILES_PER_GUEST} open files each`,
    why: 'The controller holds some files open for each VM; at its limit it can start none, and cannot look after those that run.',
    fix: 'LimitNOFILE=1048576 in the unit of linstock serve, or ulimit -n before it is started',
    look: openFiles,
  },
];

/** Of the last mount on the longest path that leads to the folder (proc_pid_mountinfo(5)). */
function mountOptions(host: HostReadings): Finding {
  const { nearest } = host.state;
  return byFile(host, '/proc/self/mountinfo', unknown('there is no /proc/self/mountinfo', 'Mount /proc.'), (text) => {
    let best: { point: string; options: string[] } | null = null;
    for (const line of text.split('\n')) {
      const [, , , , escaped, options] = line.split(' ');
      if (escaped === undefined || options === undefined) continue;
      const point = escaped.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
      const leads = point === '/' || nearest === point || nearest.startsWith(`${point}/`);
      if (leads && (best === null || point.length >= best.point.length)) best = { point, options: options.split(',') };
    }
    if (best === null) return unknown(`no mount leads to ${nearest}`, `Look at it by hand: findmnt -T ${nearest}`);
    const wrong = best.options.filter((option) => option === 'noexec' || option === 'nodev' || option === 'ro');
    return wrong.length === 0
      ? ok(`${best.options.join(',')}: the mount ${best.point}`)
      : bad(`${best.point} is mounted ${wrong.join(', ')}`);
  });
}

/** How many guests this host could have at once: as many as fit into memory, and as a bridge carries. */
function guestsAtOnce(host: HostReadings): number {
  const memory = memoryBytes(host);
  return memory === null ? mostPorts : Math.min(mostPorts, Math.floor(memory / SMALL_GUEST_BYTES));
}

function threads(host: HostReadings): Finding {
  const guests = guestsAtOnce(host);
  const wanted = guests * THREADS_PER_GUEST + OTHER_THREADS;
  const limits = (['pid_max', 'threads-max'] as const).map((name) => ({ name, text: textOf(host.files[`/proc/sys/kernel/${name}`]) }));
  const values = limits.map(({ name, text }) => ({ name, value: wholeNumber(text ?? '') }));
  const read = `${values.map(({ name, value }) => `${name} ${value ?? 'cannot be read'}`).join(', ')}, in /proc/sys/kernel`;
  const expected = `at least ${wanted}: ${guests} guests with ${THREADS_PER_GUEST} threads each, and ${OTHER_THREADS} others`;
  if (values.some(({ value }) => value !== null && value < wanted)) return bad(read, { expected });
  return values.some(({ value }) => value === null)
    ? unknown(read, 'Look at it by hand: sysctl kernel.pid_max kernel.threads-max')
    : ok(read);
}

function openFiles(host: HostReadings): Finding {
  const path = '/proc/self/limits';
  return byFile(host, path, unknown(`there is no ${path}`, 'Look at it by hand: ulimit -n'), (text) => {
    const soft = /^Max open files\s+(\S{1,20})/m.exec(text)?.[1] ?? '';
    const guests = guestsAtOnce(host);
    const wanted = guests * FILES_PER_GUEST + OTHER_FILES;
    const most = soft === 'unlimited' ? Number.POSITIVE_INFINITY : wholeNumber(soft);
    if (most === null) return notANumber(path, soft);
    const expected = `at least ${wanted}: ${guests} guests with ${FILES_PER_GUEST} each, and ${OTHER_FILES} others`;
    return most >= wanted ? ok(`${soft} open files by ${path}`) : bad(`${soft} open files by ${path}`, { expected });
  });
}
