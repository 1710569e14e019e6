/** KVM and the processors: whether guests run on them, and what guests can learn from each other through them. */
import {
  bad,
  byFile,
  byReading,
  cpuFlags,
  isForbidden,
  isGuest,
  notANumber,
  notApplicable,
  ok,
  onlyRoot,
  some,
  textOf,
  unknown,
  unread,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings } from './readings.ts';

const vulnerabilities = '/sys/devices/system/cpu/vulnerabilities';
const smt = '/sys/devices/system/cpu/smt/active';
const timerFloor = '/sys/module/kvm/parameters/min_timer_period_us';
const nxHugePages = '/sys/module/kvm/parameters/nx_huge_pages';
/** The kernel's default (arch/x86/kvm/x86.c, min_timer_period_us). */
const USUAL_TIMER_FLOOR_US = 200;

const kvmLoad = 'Enable virtualisation in the firmware; then, as root: modprobe kvm_intel (or kvm_amd)';

export const processorChecks: readonly Check[] = [
  {
    id: 'kvm.device',
    grade: 'must',
    expected: '/dev/kvm is a device and opens for reading and writing',
    why: 'KVM is how guests run on the processor itself. Without it they are emulated, about twenty times slower.',
    fix: `${kvmLoad}; ls -l /dev/kvm shows who may open it`,
    look: ({ kvm, uid }) => {
      if (kvm.is === 'absent') return bad('there is no /dev/kvm');
      if (kvm.is === 'opens') return kvm.character ? ok('/dev/kvm opens for reading and writing') : bad('/dev/kvm is no character device');
      if (uid !== 0 && isForbidden(kvm.errno)) return onlyRoot(`/dev/kvm is there and this user may not open it (${kvm.errno}); root may`);
      return bad(`/dev/kvm is there and does not open (${kvm.errno})`);
    },
  },
  {
    id: 'kvm.runs-guests',
    grade: 'must',
    expected: 'a small guest runs to its end under KVM',
    why: 'Only a guest that ran shows that KVM works: the device can open where virtualisation is off, taken by another hypervisor, or half nested.',
    fix: 'Use a bare-metal host, or one with nested virtualisation; stop other hypervisors (VirtualBox, VMware). On a development host emulation will do',
    look: runsUnderKvm,
  },
  {
    id: 'cpu.virtualisation',
    grade: 'must',
    expected: 'the flag vmx (Intel) or svm (AMD)',
    why: 'KVM runs unmodified guests only on processors with virtualisation that is switched on.',
    fix: 'Enable VT-x or AMD-V in the firmware; in a VM, ask for nested virtualisation',
    look: (host) => {
      const flags = cpuFlags(host);
      if (flags === null) return noFlags(host);
      const flag = flags.find((one) => one === 'vmx' || one === 'svm');
      return flag === undefined ? bad('/proc/cpuinfo has neither vmx nor svm among its flags') : ok(`/proc/cpuinfo has the flag ${flag}`);
    },
  },
  {
    id: 'cpu.smt-off',
    grade: 'must',
    expected: 'SMT off: 0 in smt/active',
    why: 'Guests on two threads of one core share its caches and buffers, through which one can read the other. A host with one tenant, or for development, may ignore it.',
    fix: 'echo off > /sys/devices/system/cpu/smt/control, and for good nosmt=force on the kernel command line; or core scheduling per tenant',
    look: (host) =>
      byFile(host, smt, unknown(`there is no ${smt}`, 'Look at it by hand: lscpu | grep Thread'), (text) => siblings(host, text)),
  },
  {
    id: 'cpu.mitigations',
    grade: 'must',
    expected: `no file in ${vulnerabilities} begins with "Vulnerable"`,
    why: 'A guest may run any instruction: a hole of the processor that is left open lets it read memory of the host and of other guests. A host with one tenant may ignore it.',
    fix: 'Install the newest kernel and microcode (intel-microcode or amd64-microcode), take mitigations=off and the like off the kernel command line, reboot; in a VM, ask whoever runs the hypervisor',
    look: mitigations,
  },
  {
    id: 'cpu.microcode',
    grade: 'must',
    expected: 'microcode that the kernel does not know to be old',
    why: 'Many mitigations work only together with new microcode, and so do fixes of KVM itself. A host with one tenant may ignore it.',
    fix: 'Install intel-microcode or amd64-microcode (Debian: non-free-firmware), reboot',
    look: microcode,
  },
  {
    id: 'cpu.governor',
    grade: 'may',
    expected: 'performance',
    why: 'Other governors raise the clock only after a guest has begun to work, which slows short work such as boots.',
    fix: 'echo performance | tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor',
    look: governors,
  },
  {
    id: 'kvm.timer-floor',
    grade: 'should',
    expected: `at least ${USUAL_TIMER_FLOOR_US} µs`,
    why: 'A guest that asks for very short timers keeps the host busy with interrupts; KVM refuses shorter periods than this.',
    fix: `options kvm min_timer_period_us=${USUAL_TIMER_FLOOR_US} in /etc/modprobe.d/kvm.conf, then load kvm anew`,
    look: (host) =>
      byFile(host, timerFloor, notApplicable(`there is no ${timerFloor}: KVM is not loaded`), (text) => {
        const period = wholeNumber(text);
        if (period === null) return notANumber(timerFloor, text);
        return (period >= USUAL_TIMER_FLOOR_US ? ok : bad)(`${period} in ${timerFloor}`);
      }),
  },
  {
    id: 'kvm.nx-huge-pages',
    grade: 'may',
    expected: 'never, where the processor is not affected by iTLB multihit',
    why: 'Else KVM starts a recovery thread per VM, which stalls the making of VMs on kernels from 6.1 on by tens of milliseconds.',
    fix: `With no VM running: echo never > ${nxHugePages}, and for good kvm.nx_huge_pages=never on the kernel command line`,
    look: (host) =>
      byFile(host, nxHugePages, notApplicable(`there is no ${nxHugePages}: KVM is not loaded`), (text) => recoveryThread(host, text)),
  },
];

function runsUnderKvm({ probes, kvm, uid }: HostReadings): Finding {
  if (kvm.is === 'absent') return bad('there is no /dev/kvm');
  if (probes.is === 'skipped') return unknown(probes.why, 'Run linstock doctor without --no-probe, where QEMU is installed.');
  if (probes.kvm.works) return ok(probes.kvm.evidence);
  if (kvm.is === 'opens') return bad(`/dev/kvm opens, and cannot run a guest: ${probes.kvm.evidence}`);
  if (uid !== 0 && isForbidden(kvm.errno)) return onlyRoot(`this user may not open /dev/kvm (${kvm.errno}), so no guest could be tried`);
  return bad(`/dev/kvm does not open (${kvm.errno}): ${probes.kvm.evidence}`);
}

function noFlags(host: HostReadings): Finding {
  const reading = host.files['/proc/cpuinfo'];
  if (reading.is === 'denied') return unread(host, '/proc/cpuinfo', reading.errno);
  return unknown('/proc/cpuinfo names no flags', 'Look at it by hand: lscpu');
}

function siblings(host: HostReadings, text: string): Finding {
  const control = textOf(host.files['/sys/devices/system/cpu/smt/control']);
  const read = `${text} in ${smt}${control === null ? '' : `, ${control} in control`}`;
  if (text === '1') return bad(read);
  if (text !== '0') return unknown(read, `Look at it by hand: cat ${smt}`);
  // a guest sees the topology that its hypervisor made up
  return isGuest(host) === false
    ? ok(read)
    : unknown(
        `${read}; but this host is or may be a VM, and only its hypervisor knows which CPUs share a core`,
        'Ask whoever runs the hypervisor.',
      );
}

function mitigations(host: HostReadings): Finding {
  const folder = host.vulnerabilities;
  if (folder.is === 'absent') return unknown(`there is no ${vulnerabilities}`, 'Use a kernel from 4.15 on, which tells them.');
  if (folder.is === 'denied') return unread(host, vulnerabilities, folder.errno);
  // old_microcode has a check of its own
  const known = folder.entries.filter(({ name }) => name !== 'old_microcode').map(({ name, reading }) => ({ name, text: textOf(reading) }));
  const said = (test: RegExp): string[] =>
    known.filter(({ text }) => text !== null && test.test(text)).map(({ name, text }) => `${name}: ${text}`);
  // itlb_multihit says whose mitigation it is first (arch/x86/kernel/cpu/bugs.c)
  const open = said(/^(?:KVM: )?Vulnerable/);
  if (open.length > 0) return bad(open.join('; '));
  const unsure = [...said(/^Unknown/), ...known.filter(({ text }) => text === null).map(({ name }) => `${name} cannot be read`)];
  if (unsure.length > 0) return unknown(unsure.join('; '), 'In a VM: ask whoever runs the hypervisor.');
  return known.length === 0
    ? unknown(`${vulnerabilities} is empty`, 'Use a kernel that tells them.')
    : ok(`none of ${known.length} in ${vulnerabilities} is vulnerable`);
}

function microcode(host: HostReadings): Finding {
  const text = textOf(host.files['/proc/cpuinfo']) ?? '';
  const revision = /^microcode\s*:\s*(\S{1,20})$/m.exec(text)?.[1];
  const read = revision === undefined ? 'the revision of the microcode is not told' : `microcode ${revision} in /proc/cpuinfo`;
  const compare = "Compare it with the newest one of the processor's maker (intel-microcode, amd64-microcode).";
  const old = host.vulnerabilities.is === 'read' ? host.vulnerabilities.entries.find(({ name }) => name === 'old_microcode') : undefined;
  const verdict = old === undefined ? null : textOf(old.reading);
  if (verdict?.startsWith('Vulnerable') === true) return bad(`${read}; ${vulnerabilities}/old_microcode: ${verdict}`);
  // the kernel says "Not affected" also of processors that its list does not know, and of every guest (arch/x86/kernel/cpu/bugs.c)
  if (verdict === 'Not affected' && isGuest(host) === false && /^vendor_id\s*:\s*GenuineIntel$/m.test(text))
    return ok(`${read}; the kernel knows no newer one`);
  if (isGuest(host) === true)
    return unknown(`${read}; but this host is a VM, and its hypervisor chooses what is shown`, 'Ask whoever runs the hypervisor.');
  return unknown(`${read}; the kernel does not say whether it is old`, compare);
}

function governors(host: HostReadings): Finding {
  const folder = host.governors;
  if (folder.is === 'denied') return unread(host, '/sys/devices/system/cpu/cpufreq', folder.errno);
  if (folder.is === 'absent' || folder.entries.length === 0)
    return notApplicable('this kernel does not govern the clock (no /sys/devices/system/cpu/cpufreq/policy*)');
  const names = folder.entries.map(({ reading }) => textOf(reading));
  const others = names.filter((name) => name !== null && name !== 'performance');
  const read = (count: number): string => `${count} of ${names.length} policies`;
  if (others.length > 0) return bad(`scaling_governor: ${some([...new Set(others)] as string[])} in ${read(others.length)}`);
  const unreadable = names.filter((name) => name === null).length;
  return unreadable > 0
    ? unknown(
        `scaling_governor cannot be read in ${read(unreadable)}`,
        'Look at it by hand: cat /sys/devices/system/cpu/cpufreq/policy*/scaling_governor',
      )
    : ok(`scaling_governor: performance in ${read(names.length)}`);
}

function recoveryThread(host: HostReadings, text: string): Finding {
  const multihit =
    host.vulnerabilities.is === 'read' ? host.vulnerabilities.entries.find(({ name }) => name === 'itlb_multihit') : undefined;
  return byReading(
    host,
    `${vulnerabilities}/itlb_multihit`,
    multihit?.reading ?? { is: 'absent' },
    notApplicable('the kernel does not say whether the processor is affected by iTLB multihit'),
    (affected) =>
      affected === 'Not affected'
        ? (text === 'never' ? ok : bad)(`${text} in ${nxHugePages}; iTLB multihit: ${affected}`)
        : notApplicable(`iTLB multihit: ${affected}; the recovery thread is needed here`),
  );
}
