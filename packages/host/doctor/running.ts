/** The Firecracker processes that run now, whoever started them: whether they are behind the walls they should be behind. */
import {
  bad,
  isForbidden,
  notApplicable,
  ok,
  onlyRoot,
  some,
  textOf,
  unknown,
  valueOf,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings, Reading, RootSight, RunningVmm } from './readings.ts';

/** The jailer sets 2,048 (docs/jailer.md); more than twice that is nobody's intention. */
const MOST_FILES = 4_096;

/** What one process shows: a sentence of what is wrong with it, `null` for nothing, or what could not be read of it. */
type Sight = { wrong: string | null } | { unreadable: Reading | RootSight };

export const runningChecks: readonly Check[] = [
  {
    id: 'vms.seccomp',
    grade: 'must',
    expected: 'Seccomp: 2 (a filter) in the status of every thread',
    why: 'It is the second wall when a guest breaks out; it is missing where somebody passed --no-seccomp.',
    fix: 'Start them without --no-seccomp',
    look: (host) =>
      ofEach(host, ({ threads }) => {
        const bare = threads.filter((one) => one.is === 'text' && valueOf(one.text, 'Seccomp') !== '2').length;
        return { wrong: bare === 0 ? null : `${bare} of ${threads.length} threads without a filter` };
      }),
  },
  {
    id: 'vms.jailed',
    grade: 'must',
    expected: "a user of its own, not root, and another root folder than the host's",
    why: 'A guest that broke out is then nobody on the host, sees only its own files, and cannot touch those of other VMs.',
    fix: 'Start them through the jailer, with a uid and gid of their own each',
    look: (host) => {
      const users = new Map<string, number>();
      for (const vmm of host.running) {
        const uid = userOf(vmm);
        if (uid !== null) users.set(uid, (users.get(uid) ?? 0) + 1);
      }
      return ofEach(host, (vmm) => {
        const uid = userOf(vmm);
        if (uid === '0') return { wrong: 'runs as root' };
        if (uid !== null && (users.get(uid) ?? 0) > 1) return { wrong: `shares the user ${uid}` };
        if (vmm.root.is === 'shared') return { wrong: 'sees the whole file system' };
        if (uid === null) return { unreadable: vmm.threads[0] ?? { is: 'absent' } };
        return vmm.root.is === 'own' ? { wrong: null } : { unreadable: vmm.root };
      });
    },
  },
  {
    id: 'vms.capabilities',
    grade: 'must',
    expected: 'CapEff 0 in the status of every thread',
    why: 'A capability of a VMM is one of the guest that breaks out of it.',
    fix: 'Start them through the jailer with a user that is not root',
    look: (host) =>
      ofEach(host, ({ threads }) => {
        const able = threads.map((one) => (one.is === 'text' ? valueOf(one.text, 'CapEff') : '0')).find((one) => !/^0+$/.test(one ?? ''));
        return { wrong: able === undefined ? null : `CapEff ${able ?? 'is not told'}` };
      }),
  },
  {
    id: 'vms.limits',
    grade: 'must',
    expected: 'memory.max and pids.max set in the cgroup of each',
    why: 'Without them one guest that took over its VMM can use up the memory and the processes of the whole host. A host with one tenant may ignore it.',
    fix: "Start them through the jailer with --cgroup memory.max=… (the guest's memory and some 100 MiB) and --cgroup pids.max=…",
    look: (host) => ofEach(host, (vmm) => limitedBy(vmm, ['memory.max', vmm.control.memory], ['pids.max', vmm.control.pids])),
  },
  {
    id: 'vms.cpu-limit',
    grade: 'should',
    expected: 'cpu.max set in the cgroup of each',
    why: 'In cgroups of their own guests share the processors fairly when all want them; with a limit a guest is also as fast tomorrow as it is today.',
    fix: 'Start them through the jailer with --cgroup cpu.max=…',
    look: (host) => ofEach(host, (vmm) => limitedBy(vmm, ['cpu.max', vmm.control.cpu])),
  },
  {
    id: 'vms.files',
    grade: 'must',
    expected: `at most ${MOST_FILES} open files`,
    why: 'A VMM that a guest has taken over can else use up the open files of the whole host.',
    fix: 'Start them through the jailer, which sets 2048, or with --resource-limit no-file=2048',
    look: (host) =>
      ofEach(host, ({ limits }) => {
        if (limits.is !== 'text') return { unreadable: limits };
        const soft = /^Max open files\s+(\S{1,20})/m.exec(limits.text)?.[1] ?? 'is not told';
        const most = wholeNumber(soft);
        return { wrong: most !== null && most <= MOST_FILES ? null : `Max open files ${soft}` };
      }),
  },
  {
    id: 'vms.timer-threads',
    grade: 'should',
    expected: 'no kvm-pit thread in the root cgroup',
    why: "The kernel runs a timer thread for each VM; outside of the VM's cgroup its work is nobody's, and a guest escapes its CPU limit with it.",
    fix: 'Start VMMs in their cgroup from the beginning, as the jailer does; or move the threads kvm-pit/PID there',
    look: (host) => {
      const { pits } = host;
      if (pits.length === 0) return noneSeen(host, 'there is no kvm-pit thread');
      const loose = pits.filter((one) => one.is === 'text' && /^0::\/$/m.test(one.text)).length;
      if (loose > 0) return bad(`${loose} of ${pits.length} kvm-pit threads are in the root cgroup`);
      const unseen = pits.filter((one) => one.is === 'denied').length;
      return unseen === 0
        ? ok(`${pits.length} kvm-pit threads, none in the root cgroup`)
        : unknown(`the cgroup of ${unseen} kvm-pit threads cannot be read`, 'Look at it by hand.');
    },
  },
];

function limitedBy({ cgroup }: RunningVmm, ...files: readonly (readonly [name: string, reading: Reading])[]): Sight {
  if (cgroup.is !== 'text') return { unreadable: cgroup };
  const denied = files.find(([, one]) => one.is === 'denied');
  if (denied !== undefined) return { unreadable: denied[1] };
  // `max` is how no limit is written, for CPU `max 100000`; where the controller is not passed down there is no file
  const open = files.filter(([, one]) => /^(?:max\b|$)/.test(textOf(one) ?? '')).map(([name]) => name);
  return { wrong: open.length === 0 ? null : `no ${open.join(', ')}` };
}

function userOf({ threads }: RunningVmm): string | null {
  const text = threads[0]?.is === 'text' ? threads[0].text : '';
  return valueOf(text, 'Uid')?.split(/\s+/)[1] ?? null; // the effective one
}

/** Where /proc hides the processes of others (hidepid, proc(5)), that none is seen means nothing. */
function noneSeen(host: HostReadings, read: string): Finding {
  const hides = /^\S+ \/proc proc \S*\bhidepid=(?!0|off)/m.test(textOf(host.files['/proc/mounts']) ?? '');
  return hides && host.uid !== 0 ? onlyRoot('/proc hides the processes of others (hidepid)') : notApplicable(read);
}

function ofEach(host: HostReadings, look: (vmm: RunningVmm) => Sight): Finding {
  const wrong: string[] = [];
  const denied: string[] = [];
  let seen = 0;
  for (const vmm of host.running) {
    const hidden = vmm.threads.find((one) => one.is === 'denied');
    // one whose threads are gone went away while it was looked at, and says nothing
    if (hidden === undefined && !vmm.threads.some((one) => one.is === 'text')) continue;
    const sight = hidden === undefined ? look(vmm) : { unreadable: hidden };
    seen += 1;
    if ('unreadable' in sight) denied.push(sight.unreadable.is === 'denied' ? sight.unreadable.errno : 'not there');
    else if (sight.wrong !== null) wrong.push(`pid ${vmm.pid}: ${sight.wrong}`);
  }
  if (wrong.length > 0) return bad(some(wrong, 4));
  if (denied.length > 0) {
    const read = `${denied.length} of ${seen} Firecracker processes cannot be looked at (${some([...new Set(denied)])})`;
    return host.uid !== 0 && denied.every(isForbidden) ? onlyRoot(read) : unknown(read, 'Look at /proc/PID by hand.');
  }
  return seen === 0 ? noneSeen(host, 'no Firecracker is seen to run') : ok(`${seen} Firecracker processes, each as it must be`);
}
