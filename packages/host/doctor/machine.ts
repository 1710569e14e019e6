/** The machine and what is installed on it: architecture, kernel, clock, packages, QEMU, who asks. */
import { compareVersions, parseVersion } from '@linstock/core';
import { versionIn } from '../vmm/firecracker/versions.ts';
import {
  bad,
  byAnswer,
  byFile,
  isGuest,
  ok,
  onlyRoot,
  textOf,
  unknown,
  unread,
  valueOf,
  wholeNumber,
  type Check,
  type Finding,
} from './check.ts';
import type { HostReadings } from './readings.ts';

/** Host kernels that Firecracker is tested on (docs/kernel-policy.md), and since which Firecracker. */
const testedKernels: readonly { kernel: string; since: string | null }[] = [
  { kernel: '5.10', since: null },
  { kernel: '6.1', since: null },
  { kernel: '6.18', since: '1.16.0' },
];

/** Numbers of linux/capability.h: what network, jails and namespaces take. */
const capabilities = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
} as const;

const clocksource = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
const printk = '/proc/sys/kernel/printk';
/** Beyond warnings, the messages that a guest can cause are on the console too. */
const LOUDEST = 4;
/** STA_UNSYNC of linux/timex.h. */
const UNSYNCHRONISED = 0x40;

export const machineChecks: readonly Check[] = [
  {
    id: 'host.architecture',
    grade: 'must',
    expected: 'x64, which is x86-64',
    why: 'Linstock builds images and boots guests for x86-64 only so far.',
    fix: 'Use an x86-64 host',
    look: ({ architecture }) => (architecture === 'x64' ? ok : bad)(architecture),
  },
  {
    id: 'host.kernel',
    grade: 'must',
    expected: '5.10 or 6.1; 6.18 with Firecracker 1.16 or newer',
    why: 'These are the host kernels that Firecracker is tested on; others may work and nobody promises it. QEMU runs on any, so a host without Firecracker may ignore it.',
    fix: 'Boot a 6.1 kernel (Debian 12 has one)',
    look: testedKernel,
  },
  {
    id: 'host.bare-metal',
    grade: 'should',
    expected: 'no flag hypervisor in /proc/cpuinfo',
    why: 'Firecracker is not supported inside a VM: guests of a guest are slower, their clock is unsteady, and what keeps them apart is up to the outer hypervisor.',
    fix: 'Use a bare-metal host (in a cloud: a .metal instance) for production',
    look: (host) => {
      const guest = isGuest(host);
      if (guest === null) return unknown('/proc/cpuinfo names no flags', 'Look at it by hand: systemd-detect-virt');
      return guest ? bad('/proc/cpuinfo has the flag hypervisor: this host is itself a VM') : ok('/proc/cpuinfo has no flag hypervisor');
    },
  },
  {
    id: 'host.packages',
    grade: 'must',
    expected: 'every package without which nothing boots',
    why: 'Linstock uses the tools of the distribution and brings none of its own.',
    fix: 'Run linstock up, which installs them',
    look: ({ packages }) =>
      packages.needed.length === 0
        ? ok('all of them are installed')
        : bad(`missing: ${packages.needed.join(', ')}`, { fix: packages.install }),
  },
  {
    id: 'host.packages-optional',
    grade: 'should',
    expected: 'every package that Linstock uses',
    why: 'Without them some things are not proved, not read or not shown.',
    fix: 'Run linstock up, which installs them',
    look: ({ packages }) =>
      packages.useful.length === 0
        ? ok('all of them are installed')
        : bad(`missing: ${packages.useful.join(', ')}`, { fix: packages.install }),
  },
  {
    id: 'host.root',
    grade: 'should',
    expected: 'Linstock runs as root',
    why: 'Only root can make bridges, namespaces, cgroups and jails. Without it VMs are behind a user-mode network and have no limits.',
    fix: 'Run linstock as root',
    look: ({ uid }) => (uid === 0 ? ok('root asks') : bad(`the user ${uid} asks`)),
  },
  {
    id: 'host.capabilities',
    grade: 'must',
    expected: `root with ${Object.keys(capabilities).join(', ')}`,
    why: 'Root in a container often lacks those that networks, namespaces and jails take.',
    fix: 'Run it on the host itself, or give the container those capabilities',
    look: missingCapabilities,
  },
  {
    id: 'host.clocksource',
    grade: 'should',
    expected: 'tsc',
    why: 'With another one KVM cannot promise guests a stable clock, and each look at the time costs them a system call.',
    fix: `dmesg | grep -i tsc says why the kernel took another one; tsc=reliable forces it where the hardware is sound`,
    look: (host) =>
      byFile(host, clocksource, unknown(`there is no ${clocksource}`, 'Look at it by hand: dmesg | grep clocksource'), (text) =>
        (text === 'tsc' ? ok : bad)(`${text} in ${clocksource}`),
      ),
  },
  {
    id: 'host.clock-synchronised',
    grade: 'should',
    expected: 'the kernel says that the clock is synchronised',
    why: 'Guests take their time from the host; certificates, tokens and logs of all of them are wrong with it.',
    fix: 'Install chrony, and see that chrony.conf has rtcsync, by which it tells the kernel',
    look: ({ clock }) =>
      byAnswer(clock, unknown('there is no busybox to ask the kernel with (adjtimex)', 'Install busybox-static.'), ({ stdout, how }) => {
        const status = wholeNumber(/^\s*status:\s+(\d{1,9})\b/m.exec(stdout)?.[1] ?? '');
        if (status === null) return unknown(`busybox adjtimex said nothing of it: ${how}`, 'Look at it by hand: timedatectl');
        // a bit of a 32-bit word; `status` has at most nine digits
        return (status & UNSYNCHRONISED) === 0
          ? ok(`adjtimex: status ${status}, synchronised`)
          : bad(`adjtimex: status ${status}, not synchronised`);
      }),
  },
  {
    id: 'host.kernel-log-quiet',
    grade: 'must',
    expected: `at most ${LOUDEST} in the first field, better 1`,
    why: 'Guests can make KVM log messages. A serial console takes them at some kilobytes a second, and the CPU that prints waits for it.',
    fix: 'sysctl -w kernel.printk="1 4 1 7", and for good quiet loglevel=1 on the kernel command line',
    look: (host) =>
      byFile(host, printk, unknown(`there is no ${printk}`, 'Look at it by hand: dmesg -n 1 sets it'), (text) => {
        const level = wholeNumber(text.split(/\s/)[0] ?? '');
        const read = `${text.replaceAll(/\s+/g, ' ')} in ${printk}`;
        return level === null ? unknown(read, `Look at it by hand: cat ${printk}`) : (level <= LOUDEST ? ok : bad)(read);
      }),
  },
  {
    id: 'qemu.present',
    grade: 'must',
    expected: 'a QEMU that tells its version',
    why: 'VMs run on it (machine microvm), and the probe boots too.',
    fix: 'apt-get install --no-install-recommends qemu-system-x86, or set LINSTOCK_QEMU to the absolute path of another one',
    look: ({ qemu }) =>
      byAnswer(qemu.version, bad(`there is no ${qemu.path}`), ({ stdout, how }) => {
        const version = /\bversion (\d{1,3}(?:\.\d{1,3}){1,2})/.exec(stdout)?.[1];
        return version === undefined ? bad(`${qemu.path} --version told none: ${how}`) : ok(`${version}, ${qemu.path}`);
      }),
  },
  {
    id: 'qemu.runs-guests',
    grade: 'must',
    expected: 'a small guest runs to its end under emulation (TCG)',
    why: 'It shows that QEMU works at all here, with its sandbox and the machine microvm; where KVM does not work, VMs run like this.',
    fix: "Install the distribution's own qemu-system-x86; as root, see that no seccomp or AppArmor profile stops it",
    look: ({ probes }) =>
      probes.is === 'skipped'
        ? unknown(probes.why, 'Run linstock doctor without --no-probe, where QEMU is installed.')
        : (probes.tcg.works ? ok : bad)(probes.tcg.evidence),
  },
];

function testedKernel({ kernel, firecrackers }: HostReadings): Finding {
  const numbers = /^(\d{1,3})\.(\d{1,4})\b/.exec(kernel);
  const read = `${kernel} by uname -r`;
  if (numbers === null) return unknown(read, 'Look at it by hand: uname -r');
  const tested = testedKernels.find((one) => one.kernel === `${numbers[1]}.${numbers[2]}`);
  if (tested === undefined) return bad(read);
  const since = tested.since === null ? null : parseVersion(tested.since);
  if (since === null) return ok(read);
  const versions = firecrackers.flatMap(({ firecracker: { version } }) => (version.is === 'ran' ? (versionIn(version.stdout) ?? []) : []));
  if (versions.length === 0)
    return unknown(`${read}; it depends on which Firecracker runs, and none was found`, `Install Firecracker ${since.text} or newer.`);
  const old = versions.find((version) => compareVersions(version, since) < 0);
  return old === undefined
    ? ok(read)
    : bad(`${read}, with Firecracker ${old.text}`, { fix: `Install Firecracker ${since.text} or newer, or boot a 6.1 kernel` });
}

function missingCapabilities(host: HostReadings): Finding {
  if (host.uid !== 0) return onlyRoot('an ordinary user asks, and what root may do here is not seen');
  const reading = host.files['/proc/self/status'];
  if (reading.is === 'denied') return unread(host, '/proc/self/status', reading.errno);
  const text = valueOf(textOf(reading) ?? '', 'CapEff') ?? '';
  if (!/^[0-9a-f]{1,16}$/i.test(text)) return unknown('/proc/self/status names no CapEff', 'Look at it by hand: capsh --print');
  const bits = BigInt(`0x${text}`);
  const lacking = Object.entries(capabilities).filter(([, bit]) => ((bits >> BigInt(bit)) & 1n) === 0n);
  return lacking.length === 0
    ? ok(`${text} is CapEff in /proc/self/status`)
    : bad(`CapEff of /proc/self/status lacks ${lacking.map(([name]) => name).join(', ')}`);
}
