import type { Because, Diagnosis } from '@linstock/contract';
import type { Evidence } from './evidence.ts';
import type { Picture } from './picture.ts';

/**
 * Lines that frighten and mean nothing, each with the condition under which that is so; a line whose condition does not hold is not listed.
 */
type Noise = { code: string; says: RegExp; why: string; when?: (e: Evidence, p: Picture) => boolean };

const working = (e: Evidence, p: Picture): boolean => p.reached !== null || e.facts.rootMounted !== null;

const table: readonly Noise[] = [
  {
    code: 'kernel.virtio-mmio-dma-mask',
    says: /virtio-mmio virtio-mmio\.\d+: Failed to enable 64-bit or 32-bit DMA/,
    why: 'Harmless on kernels whose virtio-mmio platform devices have no dma_mask (before 5.x): Firecracker never offers VIRTIO_F_ACCESS_PLATFORM, so no DMA mapping takes place. The root disk prints it too.',
    when: (_e, p) => p.kernel === null || p.kernel[0] < 5,
  },
  {
    code: 'kernel.no-pci',
    says: /^PCI: (?:Fatal: )?No config space access function found|PCI: System does not support PCI/,
    why: 'A machine whose devices are on virtio-mmio has no PCI bus.',
    when: (e) => !e.lines.some((l) => l.body.includes('--enable-pci')),
  },
  {
    code: 'kernel.no-i8042',
    says: /^i8042: (?:PNP: No PS\/2 controller found|No controller found|Can't read CTR|probe of i8042 failed)|probe of i8042 failed/,
    why: 'A microVM has no keyboard controller, or only the part that reboots.',
  },
  {
    code: 'kernel.tsc-calibration',
    says: /tsc: (?:Fast TSC calibration failed|Unable to calibrate against PIT)/,
    why: 'The kernel goes on with another way to measure its clock; harmless when lines follow.',
    when: (e) => e.console.length > 40 || e.facts.rootMounted !== null,
  },
  { code: 'kernel.mtrr-disabled', says: /MTRRs? disabled|mtrr: your CPUs had inconsistent/, why: 'MTRRs play no part in a microVM.' },
  {
    code: 'kernel.devices-registered-twice',
    says: /virtio-mmio.{0,20}(?:can't request region|probe of virtio-mmio\.\d+ failed with error -16)/,
    why: 'The window belongs to another virtio-mmio instance already: since 1.8 Firecracker names its devices in ACPI and on the command line, and a kernel that reads both finds each twice.',
    when: (e) => e.commandLine?.args.some((a) => a.startsWith('virtio_mmio.device=')) ?? false,
  },
  {
    code: 'kernel.virtio-mmio-cmdline',
    says: /virtio-mmio: Registering device virtio-mmio\.\d+/,
    why: 'Devices that are named on the command line announce themselves so.',
  },
  {
    code: 'kernel.apic-timer',
    says: /APIC timer disabled|APIC calibration not consistent|timer doesn't work through|\.\.MP-BIOS bug/,
    why: 'The kernel uses another timer.',
    when: working,
  },
  {
    code: 'kernel.unknown-parameters',
    says: /Unknown kernel command line parameters/,
    why: 'These words are not parameters of this kernel; it hands them to init, and they have no other effect.',
    when: (e, p) => !(e.facts.unknownParameters?.tokens.some((t) => t.startsWith('ip=')) ?? false) || p.arp === 'yes',
  },
  {
    code: 'kernel.guessed-netmask',
    says: /IP-Config: Guessing netmask/,
    why: 'No mask was given, and the class of the address gives the one that is wanted; 10.x would become a /8.',
    when: (_e, p) => p.reached !== null,
  },
  {
    code: 'kernel.random-uninitialized',
    says: /random: \S+: uninitialized urandom read|random: \d+ urandom warning/,
    why: 'Early readers take what there is; harmless once "crng init done" follows.',
    when: (e) => e.facts.randomReady !== null || e.facts.initFinished !== null,
  },
  {
    code: 'kernel.spectre',
    says: /(?:Spectre|MDS|MMIO Stale Data|RETBleed|TAA|SRBDS|GDS|TSX|Speculative|L1TF).{0,80}(?:Vulnerable|no microcode|mitigation|WARNING)/i,
    why: 'Mitigations of the CPU; no reason for a VM not to boot.',
  },
  {
    code: 'kernel.acpi-noise',
    says: /ACPI(?: BIOS)? (?:Warning|Error|BIOS Error)|ACPI: .*(?:not found|No handler)/,
    why: 'The small ACPI tables of a microVM lack what a PC has.',
    when: working,
  },
  {
    code: 'kernel.rtc',
    says: /hctosys: unable to open rtc device|rtc_cmos.*(?:no alarms|can't|unable)|platform rtc_cmos/,
    why: 'No real-time clock; the time comes from kvm-clock or the agent.',
    when: working,
  },
  {
    code: 'kernel.cgroup-legacy',
    says: /cgroup: Unknown subsys name|Cannot get hvm parameter|piix4_smbus|platform-msr|ima: No TPM chip found|integrity: Couldn't get|No TPM|Unstable clock detected|intel_pstate|cpufreq/,
    why: 'Hardware of PCs that a microVM does not have.',
    when: working,
  },
  {
    code: 'kernel.ext4-upgrade',
    says: /EXT4-fs \(\S+\): (?:re-mounted|mounting ext[23] file system|write access will be enabled|recovery complete|orphan cleanup|\d+ orphan inode)/,
    why: 'A file system that was not unmounted, or is remounted as wanted.',
    when: working,
  },
  {
    code: 'kernel.tsc-unstable',
    says: /clocksource: .*(?:unstable|watchdog)|Marking clocksource 'tsc' as unstable/,
    why: 'The kernel changes to another clock.',
    when: working,
  },
  {
    code: 'service.getty-respawn',
    says: /serial-getty.*(?:Scheduled restart|Main process exited)|can't open \/dev\/(?:tty|ttyS)\d|getty.*(?:respawn|cannot open)/,
    why: 'A console that nobody uses; no service is behind it.',
  },
  {
    code: 'service.harmless-unit',
    says: /(?:Failed to start|FAILED).{0,40}(?:Load Kernel Modules|systemd-modules-load|Remount Root and Kernel|Set Up Additional Binary|Wait for udev|udev Wait|systemd-timesyncd|Uncomplicated firewall|Set console|systemd-vconsole|systemd-binfmt|Entropy daemon|Snap Daemon|Crash report)/i,
    why: 'A unit that a microVM does not need.',
    when: working,
  },
  {
    code: 'service.no-modprobe',
    says: /modprobe@\S+: (?:Unable to locate executable|Failed at step EXEC)|Unable to locate executable '\/sbin\/modprobe'/,
    why: 'systemd tries to load a few modules at boot; an image without kmod boots without them, as a microVM kernel has them built in or does not need them.',
  },
  { code: 'kernel.autofs-module', says: /Failed to (?:find|insert) module 'autofs4'|autofs4/, why: 'Only automount needs it.' },
  {
    code: 'kernel.swiotlb-forced',
    says: /software IO TLB: (?:mapped|area num)|PCI-DMA: Using software bounce buffering/,
    why: 'Bounce buffers are there; virtio without ACCESS_PLATFORM does not use them. swiotlb=force costs 64 MiB and changes nothing else.',
  },
  {
    code: 'host.bridge-no-carrier-idle',
    says: /^\d+: (?:docker0|virbr0|lxcbr0):? <NO-CARRIER/,
    why: 'A bridge without a live port has no carrier; it is not the bridge of this VM.',
    when: (_e, p) => p.bridgeName !== 'docker0' && p.bridgeName !== 'virbr0',
  },
];

export function benignOf(e: Evidence, p: Picture, blamed: ReadonlySet<string>): Diagnosis['benign'] {
  const found = new Map<Noise, Because[]>();
  for (const line of e.lines) {
    for (const noise of table) {
      if (!noise.says.test(line.body)) continue;
      if (noise.when !== undefined && !noise.when(e, p)) break;
      const because = p.citeLine(line);
      if (blamed.has(`${because.source}:${because.line}`)) break;
      const known = found.get(noise);
      if (known === undefined) found.set(noise, [because]);
      else if (known.length < 3) known.push(because);
      break;
    }
  }
  return [...found].map(([noise, because]) => ({ code: noise.code, because, why: noise.why }));
}

/** What people commonly suspect, and what in this evidence excludes it. */
export function ruledOutOf(e: Evidence, p: Picture, causes: ReadonlySet<string>): Diagnosis['ruledOut'] {
  const out: Diagnosis['ruledOut'][number][] = [];
  const put = (code: string, because: readonly Because[]): void => {
    if (because.length > 0 && !causes.has(code) && !out.some((o) => o.code === code)) out.push({ code, because: [...because] });
  };
  const reached = p.reached ? [p.citeLine(p.reached.at)] : [];
  const ip = e.facts.ipConfig && e.facts.ipConfig.by === 'kernel' ? p.citeConsole(e.facts.ipConfig) : [];
  const root = e.facts.rootMounted ? p.citeConsole(e.facts.rootMounted) : [];
  const disk = p.find(/^virtio_blk virtio\d+: \[vd|^\s*vd[a-z]: /);
  const fdb = p.mac === null ? undefined : e.forwarding.find((f) => !f.permanent && f.mac === p.mac);
  const dhcp = e.frames.find((f) => f.what === 'dhcp-request');
  put('kernel.no-virtio-net', ip.length > 0 ? ip : fdb ? [p.citeLine(fdb.at)] : reached);
  put('guest.net.kernel-lacks-ip-autoconfig', ip);
  put('kernel.no-virtio-blk', disk ? [p.citeLine(disk.line)] : root);
  put('kernel.lacks-swiotlb', swiotlb(e, p, root, reached));
  put('kernel.dma-broken', p.find(/Failed to enable 64-bit or 32-bit DMA/) ? [...root, ...reached].slice(0, 2) : []);
  put('host.net.tap-not-on-bridge', p.tap?.master ? [p.citeLine(p.tap.at)] : fdb ? [p.citeLine(fdb.at)] : []);
  put('host.vmm-not-attached-to-tap', p.tap?.flags.includes('LOWER_UP') ? [p.citeLine(p.tap.at)] : []);
  put('host.net.bridge-not-forwarding', fdb && p.arp === 'no' ? [p.citeLine(fdb.at), ...(dhcp ? [p.citeLine(dhcp.at)] : [])] : []);
  put('host.net.path-broken', reached);
  put('boot.root-not-mounted', root);
  if (p.reached && [...p.ports].some(([, v]) => v.answer === 'refused')) put('host.net.firewall-blocks', reached);
  return out;
}

/** SWIOTLB plays no part without VIRTIO_F_ACCESS_PLATFORM; devices that work prove it. */
function swiotlb(e: Evidence, p: Picture, root: readonly Because[], reached: readonly Because[]): readonly Because[] {
  const talked =
    e.lines.find((l) => /swiotlb|SWIOTLB|software IO TLB/.test(l.body)) ?? p.find(/Failed to enable 64-bit or 32-bit DMA/)?.line;
  return talked ? [...root, ...reached].slice(0, 2) : [];
}
