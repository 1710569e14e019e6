/** Two hosts for tests: one where everything is as it must be, and one where everything that can be wrong at once is. */
import type { FolderSight, HostReadings, KernelFile, ProgramSight, Reading, RunningVmm } from '../readings.ts';
import type { PathStep } from '../../tools/trusted-path.ts';

export const text = (content: string): Reading => ({ is: 'text', text: `${content}\n` });
export const absent = { is: 'absent' } as const;
export const denied = (errno = 'EACCES') => ({ is: 'denied', errno }) as const;
export const folder = (entries: Record<string, string>): FolderSight => ({
  is: 'read',
  entries: Object.entries(entries).map(([name, content]) => ({ name, reading: text(content) })),
});
export const ran = (stdout: string, code = 0, how = ''): { is: 'ran'; code: number; stdout: string; how: string } => ({
  is: 'ran',
  code,
  stdout,
  how,
});
export const withFiles = (host: HostReadings, files: Partial<Record<KernelFile, Reading>>): HostReadings => ({
  ...host,
  files: { ...host.files, ...files },
});

const cpuinfo = (flags: string): string =>
  `processor\t: 0\nvendor_id\t: GenuineIntel\nmicrocode\t: 0x2b000643\nflags\t\t: fpu ${flags} sse2\n`;
const limits = (files: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             96365                96365                processes \nMax open files            ${files.padEnd(20)} 1048576              files     `;
const step = (path: string, more: Partial<PathStep> = {}): PathStep => ({ path, uid: 0, mode: 0o40755, link: false, ...more });

export const aProgram = (path: string, more: Partial<ProgramSight> = {}): ProgramSight => ({
  path,
  version: ran(`${path.endsWith('jailer') ? 'Jailer' : 'Firecracker'} v1.16.1\n`),
  linking: 'static',
  steps: [step('/'), step('/usr'), step('/usr/local'), step('/usr/local/bin'), step(path, { mode: 0o100755 })],
  ...more,
});

export const aVmm = (more: Partial<RunningVmm> = {}): RunningVmm => {
  const thread = text('Name:\tfirecracker\nUid:\t30001\t30001\t30001\t30001\nCapEff:\t0000000000000000\nSeccomp:\t2\nSeccomp_filters:\t1');
  return {
    pid: 4242,
    threads: [thread, thread, thread],
    limits: text(limits('2048')),
    root: { is: 'own' },
    cgroup: text('0::/linstock-ab12/boot_1'),
    control: { cpu: text('100000 100000'), memory: text('268435456'), pids: text('16') },
    ...more,
  };
};

const links = (address: string, device: string): string =>
  JSON.stringify([
    { ifname: 'lo', addr_info: [{ family: 'inet', local: '127.0.0.1', prefixlen: 8 }] },
    { ifname: device, addr_info: [{ family: 'inet', local: address, prefixlen: 24 }] },
  ]);
export const chains = (policy: string): string =>
  JSON.stringify({ nftables: [{ metainfo: {} }, { chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy } }] });

export const goodHost: HostReadings = {
  uid: 0,
  architecture: 'x64',
  kernel: '6.1.0-56-amd64',
  files: {
    '/proc/cpuinfo': text(cpuinfo('vmx')),
    '/proc/meminfo': text('MemTotal:       65536000 kB\nMemFree:        60000000 kB'),
    '/proc/mounts': text('proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,favordynmods 0 0'),
    '/proc/self/mountinfo': text(
      '22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n30 22 254:2 / /var/lib rw,relatime - xfs /dev/vdb rw',
    ),
    '/proc/self/limits': text(limits('1048576')),
    '/proc/self/status': text('Name:\tnode\nCapEff:\t000001ffffffffff\nSeccomp:\t0'),
    '/proc/swaps': text('Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority'),
    '/proc/sys/kernel/pid_max': text('4194304'),
    '/proc/sys/kernel/printk': text('1\t4\t1\t7'),
    '/proc/sys/kernel/seccomp/actions_avail': text('kill_process kill_thread trap errno user_notif trace log allow'),
    '/proc/sys/kernel/threads-max': text('514000'),
    '/proc/sys/net/ipv4/ip_forward': text('1'),
    '/proc/sys/user/max_net_namespaces': text('257000'),
    '/proc/sys/vm/min_free_kbytes': text('67584'),
    '/proc/sys/vm/unprivileged_userfaultfd': text('0'),
    '/proc/net/ip_tables_names': absent,
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': text('tsc'),
    '/sys/devices/system/cpu/smt/active': text('0'),
    '/sys/devices/system/cpu/smt/control': text('forceoff'),
    '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': text('512'),
    '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': text('1024'),
    '/sys/kernel/mm/ksm/run': text('0'),
    '/sys/kernel/mm/transparent_hugepage/enabled': text('always [madvise] never'),
    '/sys/module/kvm/parameters/min_timer_period_us': text('200'),
    '/sys/module/kvm/parameters/nx_huge_pages': text('never'),
  },
  vulnerabilities: folder({ itlb_multihit: 'Not affected', meltdown: 'Mitigation: PTI', old_microcode: 'Not affected' }),
  governors: folder({ policy0: 'performance', policy1: 'performance' }),
  memoryControllers: folder({ mc0: 'Skylake Socket#0 IMC#0' }),
  kvm: { is: 'opens', character: true },
  tun: { is: 'opens', character: true },
  userfaultfd: 'there',
  mayForward: true,
  qemu: { path: '/usr/bin/qemu-system-x86_64', version: ran('QEMU emulator version 7.2.22 (Debian)\n') },
  probes: {
    is: 'made',
    kvm: { accelerator: 'kvm', works: true, evidence: 'a guest under kvm ran', ms: 40 },
    tcg: { accelerator: 'tcg', works: true, evidence: 'a guest under tcg ran', ms: 200 },
  },
  packages: { needed: [], useful: [], install: 'apt-get install' },
  nftRules: ran(''),
  nftChains: ran(chains('accept')),
  addresses: ran(links('10.0.0.5', 'eth0')),
  routes: ran(JSON.stringify([{ dst: 'default', dev: 'eth0' }])),
  clock: ran('    mode:         0\n    status:       8193\n'),
  subnet: '192.168.100.0/24',
  cgroup: {
    mount: '/sys/fs/cgroup',
    mayWrite: true,
    controllers: text('cpuset cpu io memory hugetlb pids'),
    delegated: text('cpu memory pids'),
    nested: false,
  },
  state: {
    path: '/var/lib/linstock',
    nearest: '/var/lib/linstock',
    own: { is: 'there', mode: 0o40700, uid: 0 },
    freeBytes: 500 * 1024 ** 3,
    sharesBlocks: 'yes',
    installation: text('{"id":"ab12","mark":"ab12","createdAt":1}'),
  },
  firecrackers: [
    {
      firecracker: aProgram('/usr/local/bin/firecracker'),
      jailer: aProgram('/usr/local/bin/jailer'),
      boot: { works: true, evidence: 'reached 64-bit code', ms: 20 },
    },
  ],
  running: [aVmm()],
  pits: [text('0::/linstock-ab12/boot_1')],
};

/** `firecracker.present` and what is asked of a Firecracker exclude each other; so do a device that is not there and one that is none. */
export const badHost: HostReadings = {
  ...goodHost,
  uid: 0,
  architecture: 'arm64',
  kernel: '4.19.0-27-amd64',
  files: {
    ...goodHost.files,
    '/proc/cpuinfo': text(cpuinfo('hypervisor')),
    '/proc/mounts': text('cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0'),
    '/proc/self/mountinfo': text(
      Array.from({ length: 120 }, (_, i) => `${i} 1 254:1 / ${i === 0 ? '/' : `/m${i}`} ro,noexec - ext4 /dev/vda1 ro`).join('\n'),
    ),
    '/proc/self/limits': text(limits('1024')),
    '/proc/self/status': text('CapEff:\t00000000a80425fb'),
    '/proc/swaps': text('Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1048572 0 -2'),
    '/proc/sys/kernel/pid_max': text('4096'),
    '/proc/sys/kernel/printk': text('7\t4\t1\t7'),
    '/proc/sys/kernel/seccomp/actions_avail': text('kill trap errno trace allow'),
    '/proc/sys/net/ipv4/ip_forward': text('0'),
    '/proc/sys/user/max_net_namespaces': text('0'),
    '/proc/sys/vm/min_free_kbytes': text('4096'),
    '/sys/devices/system/clocksource/clocksource0/current_clocksource': text('hpet'),
    '/sys/devices/system/cpu/smt/active': text('1'),
    '/sys/devices/system/cpu/smt/control': text('on'),
    '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': text('0'),
    '/sys/kernel/mm/ksm/run': text('1'),
    '/sys/kernel/mm/transparent_hugepage/enabled': text('always madvise [never]'),
    '/sys/module/kvm/parameters/min_timer_period_us': text('10'),
    '/sys/module/kvm/parameters/nx_huge_pages': text('N'),
  },
  vulnerabilities: folder({
    itlb_multihit: 'Not affected',
    mds: 'Vulnerable: Clear CPU buffers attempted, no microcode',
    old_microcode: 'Vulnerable',
  }),
  governors: folder({ policy0: 'powersave', policy1: 'performance' }),
  kvm: denied('ENODEV'),
  tun: denied('ENODEV'),
  userfaultfd: 'absent',
  mayForward: false,
  qemu: { path: '/usr/bin/qemu-system-x86_64', version: ran('', 127, 'it failed with exit code 127') },
  probes: {
    is: 'made',
    kvm: { accelerator: 'kvm', works: false, evidence: 'got as far as no instruction', ms: 40 },
    tcg: { accelerator: 'tcg', works: false, evidence: 'got as far as no instruction', ms: 200 },
  },
  packages: { needed: ['golang-go'], useful: ['zstd'], install: 'apt-get install golang-go zstd' },
  nftRules: ran('', 1, 'nft failed with exit code 1'),
  nftChains: ran(chains('drop')),
  addresses: ran(links('192.168.100.7', 'wlan0')),
  clock: ran('    status:       64 (UNSYNC)\n'),
  cgroup: { mount: '/sys/fs/cgroup/unified', mayWrite: false, controllers: text(''), delegated: text(''), nested: false },
  state: { ...goodHost.state, own: { is: 'there', mode: 0o40755, uid: 0 }, freeBytes: 1024 ** 3, sharesBlocks: 'no' },
  firecrackers: [
    {
      firecracker: aProgram('/opt/firecracker', {
        version: ran('Firecracker v1.4.0\n'),
        linking: 'dynamic',
        steps: [step('/'), step('/opt', { mode: 0o40777 })],
      }),
      jailer: aProgram('/opt/jailer'),
      boot: { works: false, evidence: 'got as far as its first instruction, then nothing more for 5 s', ms: 5_000 },
    },
  ],
  running: [
    aVmm({
      threads: [text('Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0')],
      limits: text(limits('1048576')),
      root: { is: 'shared' },
      cgroup: text('0::/'),
      control: { cpu: absent, memory: text('max'), pids: absent },
    }),
  ],
  pits: [text('0::/')],
};
