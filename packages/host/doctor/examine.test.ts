import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { doctorReportSchema, type HostCheck } from '@linstock/contract';
import { examineHost, families } from './examine.ts';
import type { HostReadings, KernelFile, Reading } from './readings.ts';
import { absent, aProgram, aVmm, badHost, chains, denied, folder, goodHost, ran, text, withFiles } from './testing/hosts.ts';

const all = families.flatMap((family) => family.checks);
const at = 1_760_000_000_000;

function verdictOf(id: string, host: HostReadings): HostCheck {
  const found = examineHost(host, at).checks.find((one) => one.id === id);
  if (found === undefined) throw new Error(`there is no check ${id}`);
  return found;
}

test('a host as it must be: every check says so, and nothing is left to do', () => {
  const report = doctorReportSchema.parse(examineHost(goodHost, at));
  expect(report.checks.filter((one) => one.verdict !== 'ok')).toEqual([]);
  expect(report.checks.filter((one) => one.fix !== null || one.needsRoot)).toEqual([]);
  expect(report).toMatchObject({ kernel: '6.1.0-56-amd64', root: true, at });
  expect(report.summary).toEqual({ ok: all.length, bad: 0, unknown: 0, notApplicable: 0, badMusts: 0, unknownMusts: 0, needRoot: 0 });
});

test('a host where all is wrong: every check says so but those that the rest excludes, and each says what to do', () => {
  const { checks, summary } = examineHost(badHost, at);
  // root asks; a missing driver is no proof that there is no ECC; a Firecracker must be there to be wrong
  expect(checks.filter((one) => one.verdict !== 'bad').map((one) => one.id)).toEqual(['host.root', 'memory.ecc', 'firecracker.present']);
  for (const one of checks.filter(({ verdict }) => verdict === 'bad')) expect(one.fix, one.id).toMatch(/\w{2}/);
  expect(summary.badMusts).toBe(checks.filter((one) => one.verdict === 'bad' && one.grade === 'must').length);
});

test('ids and words: unique, dotted, whole sentences', () => {
  expect(new Set(all.map((one) => one.id)).size).toBe(all.length);
  for (const one of all) {
    expect(one.id).toMatch(/^[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*$/);
    expect(one.why, one.id).toMatch(/^[A-Z].+\.$/);
    expect(one.fix, one.id).toMatch(/\S.*[^.]$/);
    expect(one.expected, one.id).not.toBe('');
  }
});

type Row = [id: string, what: string, host: HostReadings, verdict: HostCheck['verdict'], read: RegExp];
const user: HostReadings = { ...goodHost, uid: 1000 };
const files = (path: KernelFile, reading: Reading, host = goodHost): HostReadings => withFiles(host, { [path]: reading });
const unreadable = denied('EIO');
const skippedProbe: HostReadings = { ...goodHost, probes: { is: 'skipped', why: 'no guest was started (--no-probe)' } };
const oneFirecracker = (
  more: Partial<Parameters<typeof aProgram>[1]>,
  jailer: Parameters<typeof aProgram>[1] | null = {},
  boot: HostReadings['firecrackers'][number]['boot'] = null,
): HostReadings => ({
  ...goodHost,
  firecrackers: [
    {
      firecracker: aProgram('/usr/local/bin/firecracker', more),
      jailer: jailer === null ? null : aProgram('/usr/local/bin/jailer', jailer),
      boot,
    },
  ],
});
const cgroup = (more: Partial<HostReadings['cgroup']>, host = goodHost): HostReadings => ({
  ...host,
  cgroup: { ...goodHost.cgroup, ...more },
});
const state = (more: Partial<HostReadings['state']>, host = goodHost): HostReadings => ({ ...host, state: { ...goodHost.state, ...more } });
const running = (...more: Parameters<typeof aVmm>[0][]): HostReadings => ({ ...goodHost, running: more.map((one) => aVmm(one)) });
const hidden = files('/proc/mounts', text('proc /proc proc rw,relatime,hidepid=invisible 0 0'), user);
const forbiddenThread = { threads: [denied()] };
const onRawIron = (flags: string, more: Partial<Record<KernelFile, Reading>> = {}): HostReadings =>
  withFiles(goodHost, { '/proc/cpuinfo': text(`vendor_id\t: AuthenticAMD\nmicrocode\t: 0xa\nflags\t\t: ${flags}`), ...more });

const rows: readonly Row[] = [
  ['kvm.device', 'not there', { ...goodHost, kvm: absent }, 'bad', /no \/dev\/kvm/],
  ['kvm.device', 'a plain file', { ...goodHost, kvm: { is: 'opens', character: false } }, 'bad', /no character device/],
  ['kvm.device', 'closed to root', { ...goodHost, kvm: denied('EPERM') }, 'bad', /does not open \(EPERM\)/],
  ['kvm.device', 'closed to this user', { ...user, kvm: denied() }, 'unknown', /this user may not open it \(EACCES\); root may/],
  ['kvm.device', 'nothing behind it, for any user', { ...user, kvm: denied('ENODEV') }, 'bad', /ENODEV/],
  [
    'kvm.runs-guests',
    'opens, and cannot',
    { ...badHost, kvm: { is: 'opens', character: true } },
    'bad',
    /^\/dev\/kvm opens, and cannot run a guest: got as far/,
  ],
  ['kvm.runs-guests', 'no device', { ...skippedProbe, kvm: absent }, 'bad', /no \/dev\/kvm/],
  ['kvm.runs-guests', 'not tried', skippedProbe, 'unknown', /--no-probe/],
  ['kvm.runs-guests', 'closed to this user', { ...badHost, uid: 1000, kvm: denied() }, 'unknown', /no guest could be tried/],
  ['kvm.runs-guests', 'nothing behind the device, for any user', { ...badHost, uid: 1000 }, 'bad', /does not open \(ENODEV\)/],
  ['cpu.virtualisation', 'AMD', onRawIron('fpu svm'), 'ok', /svm/],
  ['cpu.virtualisation', 'a word that only contains it', onRawIron('fpu vmx_unrestricted_guest'), 'bad', /neither vmx nor svm/],
  ['cpu.virtualisation', 'unreadable', files('/proc/cpuinfo', unreadable), 'unknown', /EIO/],
  ['cpu.virtualisation', 'no flags', files('/proc/cpuinfo', text('processor : 0')), 'unknown', /names no flags/],
  ['cpu.smt-off', 'a VM cannot know', files('/proc/cpuinfo', text('flags : svm hypervisor')), 'unknown', /only its hypervisor knows/],
  ['cpu.smt-off', 'processors unread', files('/proc/cpuinfo', unreadable), 'unknown', /or may be a VM/],
  ['cpu.smt-off', 'on in a VM is on', files('/sys/devices/system/cpu/smt/active', text('1'), badHost), 'bad', /^1 in .*, on in control/],
  ['cpu.smt-off', 'not told', files('/sys/devices/system/cpu/smt/active', absent), 'unknown', /there is no/],
  ['cpu.smt-off', 'odd', files('/sys/devices/system/cpu/smt/active', text('maybe')), 'unknown', /maybe/],
  ['cpu.smt-off', 'unreadable', files('/sys/devices/system/cpu/smt/active', unreadable), 'unknown', /EIO/],
  [
    'cpu.mitigations',
    'of KVM',
    { ...goodHost, vulnerabilities: folder({ itlb_multihit: 'KVM: Vulnerable' }) },
    'bad',
    /itlb_multihit: KVM: Vulnerable/,
  ],
  [
    'cpu.mitigations',
    'up to the hypervisor',
    { ...goodHost, vulnerabilities: folder({ srbds: 'Unknown: Dependent on hypervisor status' }) },
    'unknown',
    /srbds/,
  ],
  [
    'cpu.mitigations',
    'old microcode alone is another check',
    { ...goodHost, vulnerabilities: folder({ a: 'Not affected', old_microcode: 'Vulnerable' }) },
    'ok',
    /none of 1/,
  ],
  [
    'cpu.mitigations',
    'one file unreadable',
    { ...goodHost, vulnerabilities: { is: 'read', entries: [{ name: 'mds', reading: unreadable }] } },
    'unknown',
    /mds cannot be read/,
  ],
  ['cpu.mitigations', 'empty', { ...goodHost, vulnerabilities: folder({}) }, 'unknown', /is empty/],
  ['cpu.mitigations', 'no folder', { ...goodHost, vulnerabilities: absent }, 'unknown', /there is no/],
  ['cpu.microcode', 'AMD: the kernel has no list', onRawIron('svm'), 'unknown', /does not say/],
  [
    'cpu.microcode',
    'a VM',
    files('/proc/cpuinfo', text('vendor_id : GenuineIntel\nflags : vmx hypervisor')),
    'unknown',
    /hypervisor chooses/,
  ],
  [
    'cpu.microcode',
    'an older kernel',
    { ...goodHost, vulnerabilities: folder({ mds: 'Not affected' }) },
    'unknown',
    /0x2b000643.*does not say/,
  ],
  ['cpu.governor', 'none', { ...goodHost, governors: absent }, 'not-applicable', /does not govern/],
  [
    'cpu.governor',
    'one unreadable',
    { ...goodHost, governors: { is: 'read', entries: [{ name: 'policy0', reading: unreadable }] } },
    'unknown',
    /1 of 1/,
  ],
  ['cpu.governor', 'folder unreadable', { ...goodHost, governors: unreadable }, 'unknown', /EIO/],
  ['kvm.timer-floor', 'KVM not loaded', files('/sys/module/kvm/parameters/min_timer_period_us', absent), 'not-applicable', /not loaded/],
  ['kvm.timer-floor', 'odd', files('/sys/module/kvm/parameters/min_timer_period_us', text('-1')), 'unknown', /"-1", which is no number/],
  [
    'kvm.timer-floor',
    'root only',
    files('/sys/module/kvm/parameters/min_timer_period_us', denied(), user),
    'unknown',
    /only be read by root/,
  ],
  [
    'kvm.timer-floor',
    'closed to root too',
    files('/sys/module/kvm/parameters/min_timer_period_us', denied()),
    'unknown',
    /cannot be read \(EACCES\)/,
  ],
  [
    'kvm.nx-huge-pages',
    'affected',
    { ...goodHost, vulnerabilities: folder({ itlb_multihit: 'KVM: Mitigation: Split huge pages' }) },
    'not-applicable',
    /needed here/,
  ],
  ['kvm.nx-huge-pages', 'unreadable', files('/sys/module/kvm/parameters/nx_huge_pages', unreadable), 'unknown', /EIO/],

  ['host.kernel', 'new, with a new Firecracker', { ...goodHost, kernel: '6.18.44' }, 'ok', /6\.18/],
  [
    'host.kernel',
    'new, with an old one',
    { ...oneFirecracker({ version: ran('Firecracker v1.9.1\n') }), kernel: '6.18.44' },
    'bad',
    /with Firecracker 1\.9\.1/,
  ],
  [
    'host.kernel',
    'new, with the first that knows it',
    { ...oneFirecracker({ version: ran('Firecracker v1.16.0\n') }), kernel: '6.18.1' },
    'ok',
    /6\.18\.1/,
  ],
  ['host.kernel', 'new, without any', { ...goodHost, kernel: '6.18.44', firecrackers: [] }, 'unknown', /none was found/],
  ['host.kernel', 'one that only looks like it', { ...goodHost, kernel: '6.100.1' }, 'bad', /6\.100/],
  ['host.kernel', 'odd', { ...goodHost, kernel: 'plan9' }, 'unknown', /plan9/],
  ['host.bare-metal', 'unreadable', files('/proc/cpuinfo', unreadable), 'unknown', /no flags/],
  ['host.root', 'a user', user, 'bad', /1000/],
  ['host.capabilities', 'a user', user, 'unknown', /ordinary user/],
  ['host.capabilities', 'odd', files('/proc/self/status', text('CapEff: xyz')), 'unknown', /names no CapEff/],
  ['host.capabilities', 'one is enough to miss', files('/proc/self/status', text('CapEff:\t000001fffffeffff')), 'ok', /CapEff/],
  ['host.capabilities', 'no CAP_SYS_ADMIN', files('/proc/self/status', text('CapEff:\t000001ffffdfffff')), 'bad', /lacks CAP_SYS_ADMIN$/],
  [
    'host.clocksource',
    'not told',
    files('/sys/devices/system/clocksource/clocksource0/current_clocksource', absent),
    'unknown',
    /there is no/,
  ],
  ['host.clock-synchronised', 'nobody to ask', { ...goodHost, clock: absent }, 'unknown', /busybox/],
  [
    'host.clock-synchronised',
    'not, beside other bits',
    { ...goodHost, clock: ran('    status:       8257 (UNSYNC)\n') },
    'bad',
    /8257, not/,
  ],
  ['host.clock-synchronised', 'a busybox without it', { ...goodHost, clock: ran('', 127, 'busybox failed') }, 'unknown', /busybox failed/],
  ['host.kernel-log-quiet', 'tolerable', files('/proc/sys/kernel/printk', text('4 4 1 7')), 'ok', /^4 4 1 7 in/],
  ['host.kernel-log-quiet', 'unreadable', files('/proc/sys/kernel/printk', unreadable), 'unknown', /EIO/],
  ['host.kernel-log-quiet', 'odd', files('/proc/sys/kernel/printk', text('')), 'unknown', /printk/],
  ['qemu.present', 'not there', { ...goodHost, qemu: { path: '/opt/qemu', version: absent } }, 'bad', /there is no \/opt\/qemu/],
  ['qemu.runs-guests', 'not tried', skippedProbe, 'unknown', /--no-probe/],

  ['memory.swap-off', 'a kernel without', files('/proc/swaps', absent), 'ok', /cannot swap/],
  ['memory.swap-off', 'named', badHost, 'bad', /lists \/dev\/sda2$/],
  ['memory.swap-off', 'no heading', files('/proc/swaps', text('')), 'unknown', /no heading/],
  ['memory.swap-off', 'unreadable', files('/proc/swaps', unreadable), 'unknown', /EIO/],
  ['memory.ksm-off', 'off and apart', files('/sys/kernel/mm/ksm/run', text('2')), 'ok', /^2 in/],
  ['memory.ksm-off', 'a kernel without', files('/sys/kernel/mm/ksm/run', absent), 'ok', /merges no pages/],
  ['memory.ksm-off', 'odd', files('/sys/kernel/mm/ksm/run', text('1 ')), 'bad', /^1 in/],
  ['memory.ksm-off', 'unreadable', files('/sys/kernel/mm/ksm/run', unreadable), 'unknown', /EIO/],
  ['memory.ecc', 'no driver', { ...goodHost, memoryControllers: absent }, 'unknown', /no ECC, or no driver/],
  ['memory.ecc', 'folder unreadable', { ...goodHost, memoryControllers: unreadable }, 'unknown', /EIO/],
  [
    'memory.reserve',
    'a small machine',
    withFiles(goodHost, { '/proc/meminfo': text('MemTotal: 512000 kB'), '/proc/sys/vm/min_free_kbytes': text('25600') }),
    'ok',
    /^25600 in/,
  ],
  ['memory.reserve', 'unreadable', files('/proc/sys/vm/min_free_kbytes', unreadable), 'unknown', /EIO/],
  ['memory.huge-pages', 'no pool', files('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', text('0')), 'not-applicable', /no pool/],
  ['memory.huge-pages', 'unreadable', files('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', unreadable), 'unknown', /EIO/],
  ['memory.transparent-huge-pages', 'a kernel without', files('/sys/kernel/mm/transparent_hugepage/enabled', absent), 'bad', /there is no/],
  ['memory.transparent-huge-pages', 'odd', files('/sys/kernel/mm/transparent_hugepage/enabled', text('always')), 'unknown', /no choice/],
  [
    'memory.userfaultfd',
    'by the sysctl',
    withFiles({ ...goodHost, userfaultfd: 'absent' }, { '/proc/sys/vm/unprivileged_userfaultfd': text('1') }),
    'ok',
    /and 1 in/,
  ],
  [
    'memory.userfaultfd',
    'unreadable',
    withFiles({ ...goodHost, userfaultfd: 'absent' }, { '/proc/sys/vm/unprivileged_userfaultfd': unreadable }),
    'unknown',
    /EIO/,
  ],

  ['isolation.seccomp', 'a kernel without', files('/proc/sys/kernel/seccomp/actions_avail', absent), 'bad', /no seccomp filters/],
  ['isolation.seccomp', 'unreadable', files('/proc/sys/kernel/seccomp/actions_avail', unreadable), 'unknown', /EIO/],
  ['isolation.few-mounts', 'unreadable', files('/proc/self/mountinfo', unreadable), 'unknown', /EIO/],
  ['cgroup.v2', 'none', files('/proc/mounts', text('proc /proc proc rw 0 0')), 'bad', /no cgroup2/],
  ['cgroup.v2', 'unreadable', files('/proc/mounts', unreadable), 'unknown', /EIO/],
  ['cgroup.writable', 'not mounted', cgroup({ mount: null }), 'bad', /no cgroup v2/],
  ['cgroup.writable', 'mounts unread', cgroup({ mount: null }, files('/proc/mounts', unreadable)), 'unknown', /EIO/],
  ['cgroup.writable', 'a user', cgroup({ mayWrite: false }, user), 'unknown', /whether root may/],
  ['cgroup.controllers', 'unreadable', cgroup({ controllers: unreadable }), 'unknown', /EIO/],
  ['cgroup.controllers', 'a container, delegated', cgroup({ nested: true }), 'ok', /subtree_control/],
  [
    'cgroup.controllers',
    'a container, not delegated',
    cgroup({ nested: true, delegated: text('memory') }),
    'bad',
    /subtree_control lacks cpu, pids/,
  ],
  ['cgroup.controllers', 'a container, unreadable', cgroup({ nested: true, delegated: unreadable }), 'unknown', /subtree_control/],
  ['cgroup.controllers', 'a name that only contains one', cgroup({ controllers: text('cpuset memory pids') }), 'bad', /lacks cpu$/],
  ['cgroup.favordynmods', 'no cgroup2', files('/proc/mounts', text('')), 'not-applicable', /no cgroup2/],
  ['cgroup.favordynmods', 'unreadable', files('/proc/mounts', unreadable), 'unknown', /EIO/],

  ['network.tun', 'not there', { ...goodHost, tun: absent }, 'bad', /no \/dev\/net\/tun/],
  ['network.tun', 'closed to this user', { ...user, tun: denied() }, 'unknown', /this user/],
  ['network.namespaces', 'a kernel without', files('/proc/sys/user/max_net_namespaces', absent), 'bad', /no network namespaces/],
  ['network.namespaces', 'unreadable', files('/proc/sys/user/max_net_namespaces', unreadable), 'unknown', /EIO/],
  ['network.nft', 'not there', { ...goodHost, nftRules: absent }, 'bad', /no program nft/],
  [
    'network.nft',
    'a user',
    { ...user, nftRules: { is: 'skipped', why: 'only root may ask nft', needsRoot: true } },
    'unknown',
    /only root/,
  ],
  ['network.forwarding', 'off, and ours to set', files('/proc/sys/net/ipv4/ip_forward', text('0')), 'ok', /Linstock may set it/],
  [
    'network.forwarding',
    'off, asked by a user',
    files('/proc/sys/net/ipv4/ip_forward', text('0'), { ...user, mayForward: false }),
    'unknown',
    /whether root may/,
  ],
  ['network.forwarding', 'odd', files('/proc/sys/net/ipv4/ip_forward', text('2')), 'unknown', /no number|"2"/],
  ['network.forward-policy', 'dropping', { ...goodHost, nftChains: ran(chains('drop')) }, 'bad', /ip filter FORWARD/],
  [
    'network.forward-policy',
    'of a bridge, which is no forwarding of the host',
    { ...goodHost, nftChains: ran(chains('drop').replace('"family":"ip"', '"family":"bridge"')) },
    'ok',
    /no such chain/,
  ],
  [
    'network.forward-policy',
    'no rules at all',
    { ...goodHost, nftChains: ran('{"nftables": [{"metainfo": {}}]}') },
    'ok',
    /nft lists no such chain/,
  ],
  [
    'network.forward-policy',
    'rules that nft does not see',
    files('/proc/net/ip_tables_names', text('nat\nfilter')),
    'unknown',
    /iptables-legacy/,
  ],
  ['network.forward-policy', 'rules that nobody can see', files('/proc/net/ip_tables_names', denied('EIO')), 'unknown', /EIO/],
  ['network.forward-policy', 'a failure', { ...goodHost, nftChains: ran('', 1, 'nft failed') }, 'unknown', /nft failed/],
  [
    'network.forward-policy',
    'half an answer',
    { ...goodHost, nftChains: ran('{"nftables": [{"chain"') },
    'unknown',
    /cannot be understood/,
  ],
  ['network.subnet', 'a clash', badHost, 'bad', /overlaps with 192\.168\.100\.7\/24 on wlan0/],
  [
    'network.subnet',
    'the own bridge',
    { ...goodHost, addresses: ran('[{"ifname":"lsab12-br0","addr_info":[{"local":"192.168.100.1","prefixlen":24}]}]') },
    'ok',
    /lsab12-br0/,
  ],
  [
    'network.subnet',
    'perhaps the own bridge',
    {
      ...state({ installation: denied() }, user),
      addresses: ran('[{"ifname":"lsab12-br0","addr_info":[{"local":"192.168.100.1","prefixlen":24}]}]'),
    },
    'unknown',
    /own$/,
  ],
  [
    'network.subnet',
    'the bridge of another installation',
    { ...user, addresses: ran('[{"ifname":"lscd34-br0","addr_info":[{"local":"192.168.100.1","prefixlen":24}]}]') },
    'bad',
    /on lscd34-br0$/,
  ],
  ['network.subnet', 'no ip', { ...goodHost, routes: absent }, 'unknown', /no program ip/],
  ['network.subnet', 'nothing told', { ...goodHost, addresses: ran('') }, 'unknown', /tells no address/],

  ['disk.space', 'unreadable', state({ freeBytes: null }), 'unknown', /cannot be read/],
  ['disk.snapshots', 'less than memory', state({ freeBytes: 60 * 1024 ** 3 }), 'bad', /60 GiB free in .*, 63 GiB of memory/],
  ['disk.snapshots', 'memory unread', files('/proc/meminfo', unreadable), 'unknown', /cannot be read/],
  [
    'disk.mount',
    'another mount is noexec',
    files('/proc/self/mountinfo', text('1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /var/lib/lin rw,noexec - ext4 b rw')),
    'ok',
    /mount \/$/,
  ],
  [
    'disk.mount',
    'the last mount on a point counts',
    files('/proc/self/mountinfo', text('1 0 0:1 / / rw - a a rw\n2 1 0:2 / / rw,nodev - b b rw')),
    'bad',
    /nodev/,
  ],
  [
    'disk.mount',
    'a blank in its name',
    state({ nearest: '/a b/c' }, files('/proc/self/mountinfo', text('1 0 0:1 / / rw - a a rw\n2 1 0:2 / /a\\040b rw,noexec - b b rw'))),
    'bad',
    /^\/a b is mounted noexec/,
  ],
  ['disk.mount', 'unreadable', files('/proc/self/mountinfo', unreadable), 'unknown', /EIO/],
  ['disk.mount', 'no mount', files('/proc/self/mountinfo', text('')), 'unknown', /no mount leads/],
  ['disk.reflink', 'not to be tried', state({ sharesBlocks: { errno: 'ENOSPC' } }), 'unknown', /ENOSPC/],
  ['disk.reflink', 'a user', state({ sharesBlocks: { errno: 'EACCES' } }, user), 'unknown', /may not be written/],
  ['disk.private', 'not there yet', state({ own: absent }), 'not-applicable', /not there yet/],
  ['disk.private', 'open to a group', state({ own: { is: 'there', mode: 0o40710, uid: 0 } }), 'bad', /^mode 0710/],
  ['disk.private', 'unreadable', state({ own: denied() }, user), 'unknown', /only be read by root/],
  ['limits.processes', 'unreadable', files('/proc/sys/kernel/pid_max', unreadable), 'unknown', /pid_max cannot be read/],
  [
    'limits.processes',
    'one too small is bad whatever the other',
    files('/proc/sys/kernel/pid_max', unreadable, files('/proc/sys/kernel/threads-max', text('100'))),
    'bad',
    /100/,
  ],
  ['limits.open-files', 'unlimited', files('/proc/self/limits', text('Max open files   unlimited  unlimited  files')), 'ok', /unlimited/],
  ['limits.open-files', 'unreadable', files('/proc/self/limits', unreadable), 'unknown', /EIO/],
  ['limits.open-files', 'odd', files('/proc/self/limits', text('Max open files')), 'unknown', /no number/],

  ['firecracker.present', 'none', { ...goodHost, firecrackers: [] }, 'bad', /there is none/],
  ['firecracker.runs-guests', 'no guest was started', oneFirecracker({}), 'unknown', /no guest was started under it/],
  ...(['version', 'jailer', 'static', 'owner', 'runs-guests'] as const).map<Row>((name) => [
    `firecracker.${name}`,
    'none',
    { ...goodHost, firecrackers: [] },
    'not-applicable',
    /no Firecracker/,
  ]),
  [
    'firecracker.version',
    'a second line that lies',
    oneFirecracker({ version: ran('nonsense\nFirecracker v1.9.1\n', 0, 'it printed "nonsense"') }),
    'unknown',
    /it printed/,
  ],
  [
    'firecracker.version',
    'not run',
    oneFirecracker({ version: { is: 'skipped', why: 'not run', needsRoot: false } }),
    'unknown',
    /not run/,
  ],
  ['firecracker.version', 'named and gone', oneFirecracker({ version: absent }), 'unknown', /is gone/],
  ['firecracker.jailer', 'none', oneFirecracker({}, null), 'bad', /no jailer beside it/],
  [
    'firecracker.jailer',
    'another version',
    oneFirecracker({}, { version: ran('Jailer v1.16.0\n') }),
    'bad',
    /1\.16\.1, and .*jailer is 1\.16\.0/,
  ],
  ['firecracker.jailer', 'its version is not told', oneFirecracker({}, { version: ran('', 1, 'it failed') }), 'unknown', /it failed/],
  ['firecracker.static', 'a dynamic jailer', oneFirecracker({}, { linking: 'dynamic' }), 'bad', /jailer is no static ELF/],
  ['firecracker.static', 'unreadable', oneFirecracker({ linking: 'unreadable' }), 'unknown', /cannot be read/],
  [
    'firecracker.owner',
    'open to a group',
    oneFirecracker({ steps: [{ path: '/opt', uid: 0, mode: 0o40775, link: false }] }),
    'bad',
    /\/opt has mode 775/,
  ],
  [
    'firecracker.owner',
    'of a user',
    oneFirecracker({ steps: [{ path: '/home/u', uid: 1000, mode: 0o40755, link: false }] }),
    'bad',
    /\/home\/u belongs to user 1000/,
  ],
  [
    'firecracker.owner',
    'the mode of a link means nothing',
    oneFirecracker({ steps: [{ path: '/bin', uid: 0, mode: 0o120777, link: true }] }),
    'ok',
    /only root/,
  ],
  ['firecracker.owner', 'the way was not seen', oneFirecracker({ steps: [] }), 'unknown', /cannot be looked at/],

  ...(['seccomp', 'jailed', 'capabilities', 'limits', 'cpu-limit', 'files'] as const).flatMap<Row>((name) => [
    [`vms.${name}`, 'none runs', running(), 'not-applicable', /no Firecracker is seen/],
    [`vms.${name}`, 'not to be seen by a user', { ...running(forbiddenThread), uid: 1000 }, 'unknown', /1 of 1 .* \(EACCES\)/],
    [`vms.${name}`, 'it went away meanwhile', running({ threads: [absent] }), 'not-applicable', /no Firecracker is seen/],
    [`vms.${name}`, 'a bad one among good ones', { ...goodHost, running: [aVmm(), ...badHost.running] }, 'bad', /^pid 4242: /],
  ]),
  [
    'vms.seccomp',
    'one thread of three',
    running({ threads: [...aVmm().threads.slice(0, 2), text('Seccomp:\t0')] }),
    'bad',
    /1 of 3 threads/,
  ],
  ['vms.seccomp', 'strict mode is not a filter', running({ threads: [text('Seccomp:\t1')] }), 'bad', /1 of 1/],
  ['vms.jailed', 'two with one user', running({}, { pid: 4243 }), 'bad', /shares the user 30001/],
  ['vms.jailed', 'root folder not to be seen', { ...running({ root: denied() }), uid: 1000 }, 'unknown', /EACCES/],
  ['vms.jailed', 'no uid told', running({ threads: [text('Seccomp: 2')] }), 'unknown', /cannot be looked at/],
  ['vms.limits', 'one of two', running({ control: { ...aVmm().control, pids: text('max') } }), 'bad', /no pids\.max$/],
  ['vms.cpu-limit', 'none', running({ control: { ...aVmm().control, cpu: text('max 100000') } }), 'bad', /no cpu\.max$/],
  ['vms.files', 'unlimited', running({ limits: text('Max open files  unlimited unlimited files') }), 'bad', /unlimited/],
  ['vms.timer-threads', 'none', { ...goodHost, pits: [] }, 'not-applicable', /no kvm-pit/],
  ['vms.timer-threads', 'hidden from a user', { ...hidden, pits: [] }, 'unknown', /hidepid/],
  ['vms.seccomp', 'hidden from a user', { ...hidden, running: [] }, 'unknown', /hidepid/],
  ['vms.seccomp', 'hidden from users, and root asks', { ...hidden, uid: 0, running: [] }, 'not-applicable', /no Firecracker is seen/],
  ['vms.timer-threads', 'unreadable', { ...goodHost, pits: [denied()] }, 'unknown', /cannot be read/],
];

test.each(rows)('%s: %s', (id, _, host, verdict, read) => {
  const found = verdictOf(id, host);
  expect(found).toMatchObject({ verdict, read: expect.stringMatching(read) as string });
  if (verdict === 'unknown') expect(found.fix).not.toBe(all.find((one) => one.id === id)?.fix); // how to know, not how to repair
});

/** What decides them is always to be had, or nothing could be read at all. */
const neverUnknown = ['host.architecture', 'host.packages', 'host.packages-optional', 'host.root', 'qemu.present', 'firecracker.present'];
const neverBad = ['memory.ecc'];

test('each check has a row or a host where it is bad, and a row where it is unknown', () => {
  const shown = (verdict: string): Set<string> =>
    new Set([
      ...rows.filter((row) => row[3] === verdict).map(([id]) => id),
      ...examineHost(badHost, at)
        .checks.filter((one) => one.verdict === verdict)
        .map((one) => one.id),
    ]);
  const without = (verdict: string): string[] => all.map((one) => one.id).filter((id) => !shown(verdict).has(id));
  expect(without('bad')).toEqual(neverBad);
  expect(without('unknown')).toEqual(neverUnknown);
});

describe('who asks', () => {
  const blind: HostReadings = { ...user, kvm: denied(), tun: denied(), nftRules: { is: 'skipped', why: 'only root', needsRoot: true } };
  test('what only root can see says so, and how to see it', () => {
    const { checks, summary, root } = examineHost(blind, at);
    const hidden = checks.filter((one) => one.needsRoot);
    expect(hidden.map((one) => one.id)).toEqual(['kvm.device', 'host.capabilities', 'network.tun', 'network.nft']);
    for (const one of hidden) expect(one).toMatchObject({ verdict: 'unknown', fix: 'Run linstock doctor as root.' });
    expect({ root, needRoot: summary.needRoot }).toEqual({ root: false, needRoot: 4 });
  });
});

test('docs/doctor.md lists every check as it is', async () => {
  const document = await readFile(join(import.meta.dirname, '../../../docs/doctor.md'), 'utf8');
  const cell = (words: string): string => words.replaceAll('|', '\\|');
  const wanted = families.map(({ name, checks }) =>
    [
      `### ${name}`,
      '',
      '| check | grade | what it should be | why |',
      '|---|---|---|---|',
      ...checks.map((one) => `| \`${one.id}\` | ${one.grade} | ${cell(one.expected)} | ${cell(one.why)} |`),
      '',
    ].join('\n'),
  );
  // when it differs: what stands between the two headings is to be replaced by what is expected here
  expect(document.split('## Every check\n\n')[1]?.split('\n## ')[0]).toBe(`${wanted.join('\n')}`);
});
