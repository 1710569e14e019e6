/**
 * The options that Linstock knows, as Kconfig has them on x86-64: whether it can be a module, which versions have it, what it cannot be
 * without. Compared with the Kconfig files of 4.14, 5.4, 5.10, 5.15, 6.1, 6.6, 6.12 and 6.18, and with the configurations of the kernels in
 * `testing/`. Pure.
 *
 * `needs`: options that are built in whenever this one is (`depends on`, `select`, an `if` around it), in all of these versions.
 */
import { known, within } from '../versions.ts';
import type { Span, Version } from '../versions.ts';

export type OptionFact = {
  /** It can be a module. Also true where only some versions let it be one. */
  tristate: boolean;
  needs: readonly string[];
  /** Versions that have it; absent: all that Linstock looks at. */
  exists?: Span;
  /** Versions for which the table does not say: the exact release is not known, or distributions and stable kernels brought it there. */
  unsure?: Span;
  /** On x86-64 it is always on: Kconfig selects it and asks nobody. */
  always?: string;
};

type More = Pick<OptionFact, 'exists' | 'unsure' | 'always'>;
const bool = (needs: readonly string[] = [], more: More = {}): OptionFact => ({ tristate: false, needs, ...more });
const tristate = (needs: readonly string[] = [], more: More = {}): OptionFact => ({ tristate: true, needs, ...more });
const since = (from: string): More => ({ exists: { from } });
const until = (version: string): More => ({ exists: { from: '2.6.0', until: version } });

export const optionFacts: Readonly<Record<string, OptionFact>> = {
  // the machine
  '64BIT': bool([], { always: 'X86_64 is defined by it (arch/x86/Kconfig)' }),
  X86_64: bool(['64BIT'], { always: 'it is what x86-64 means' }),
  SMP: bool(),
  X86_LOCAL_APIC: bool([], { always: 'X86_64 turns it on (arch/x86/Kconfig)' }),
  X86_IO_APIC: bool([], { always: 'X86_64 turns it on through X86_LOCAL_APIC (arch/x86/Kconfig)' }),
  X86_X2APIC: bool(['X86_LOCAL_APIC']),
  X86_MPPARSE: bool(['X86_LOCAL_APIC']),
  HYPERVISOR_GUEST: bool(),
  PARAVIRT: bool(['HYPERVISOR_GUEST']),
  KVM_GUEST: bool(['PARAVIRT']),
  PVH: bool(['HYPERVISOR_GUEST'], since('5.0.0')),
  ACPI: bool(),
  ACPI_BUTTON: tristate(['ACPI', 'INPUT']),
  PCI: bool(),
  PCI_MSI: bool(['PCI']),
  PCI_MMCONFIG: bool(['PCI']),
  PCIEPORTBUS: bool(['PCI']),
  BLK_MQ_PCI: bool(['PCI'], { ...until('6.18.0'), unsure: { from: '6.13.0', until: '6.18.0' } }),
  RTC_DRV_CMOS: tristate(),
  // how a kernel is made
  MODULES: bool(),
  PRINTK: bool(),
  IKCONFIG: tristate(),
  IKCONFIG_PROC: bool(['PROC_FS']),
  MAGIC_SYSRQ: bool(),
  // DMA
  SWIOTLB: bool([], { always: 'X86_64 selects it and Kconfig offers no way to turn it off (arch/x86/Kconfig)' }),
  SWIOTLB_DYNAMIC: bool([], since('6.6.0')),
  ZONE_DMA32: bool(),
  DMA_RESTRICTED_POOL: bool([], since('5.15.0')),
  IOMMU_SUPPORT: bool(),
  INTEL_IOMMU: bool(['PCI', 'ACPI']),
  VIRTIO_IOMMU: tristate(['VIRTIO'], since('5.3.0')),
  // console and input
  TTY: bool(),
  SERIAL_8250: tristate(['TTY']),
  SERIAL_8250_CONSOLE: bool(['SERIAL_8250']),
  UNIX98_PTYS: bool(['TTY']),
  INPUT: tristate(),
  INPUT_EVDEV: tristate(['INPUT']),
  INPUT_UINPUT: tristate(['INPUT']),
  SERIO: tristate(),
  SERIO_I8042: tristate(['SERIO']),
  KEYBOARD_ATKBD: tristate(['INPUT', 'SERIO', 'SERIO_I8042']),
  // virtio
  VIRTIO: tristate(),
  VIRTIO_MMIO: tristate(['VIRTIO']),
  VIRTIO_MMIO_CMDLINE_DEVICES: bool(['VIRTIO_MMIO']),
  VIRTIO_PCI: tristate(['PCI', 'VIRTIO']),
  VIRTIO_BLK: tristate(['VIRTIO', 'BLK_DEV']),
  VIRTIO_NET: tristate(['VIRTIO', 'NET']),
  VIRTIO_CONSOLE: tristate(['VIRTIO', 'TTY']),
  VIRTIO_BALLOON: tristate(['VIRTIO', 'MEMORY_BALLOON']),
  VIRTIO_VSOCKETS: tristate(['VIRTIO', 'VSOCKETS']),
  VIRTIO_MEM: tristate(['VIRTIO', 'MEMORY_HOTPLUG', 'MEMORY_HOTREMOVE'], since('5.8.0')),
  VIRTIO_PMEM: tristate(['VIRTIO', 'LIBNVDIMM'], since('5.3.0')),
  VIRTIO_FS: tristate(['VIRTIO', 'FUSE_FS'], since('5.4.0')),
  MEMORY_BALLOON: bool(),
  PAGE_REPORTING: bool([], since('5.7.0')),
  MEMORY_HOTPLUG: bool(),
  MEMORY_HOTREMOVE: bool(['MEMORY_HOTPLUG']),
  LIBNVDIMM: tristate(),
  BLK_DEV_PMEM: tristate(['LIBNVDIMM']),
  DAX: tristate(),
  FS_DAX: bool(),
  HW_RANDOM: tristate(),
  HW_RANDOM_VIRTIO: tristate(['HW_RANDOM', 'VIRTIO']),
  RANDOM_TRUST_CPU: bool([], { exists: { from: '4.19.0', until: '6.2.0' } }),
  PVPANIC: tristate(),
  PVPANIC_MMIO: tristate([], since('5.13.0')),
  PTP_1588_CLOCK: tristate(),
  PTP_1588_CLOCK_KVM: tristate(['PTP_1588_CLOCK', 'KVM_GUEST']),
  // Amazon's 5.10 and 6.1 kernels have both, long before Linux had them.
  PTP_1588_CLOCK_VMCLOCK: tristate(['PTP_1588_CLOCK'], { ...since('6.13.0'), unsure: { from: '5.10.0', until: '6.13.0' } }),
  VMGENID: tristate([], { ...since('5.18.0'), unsure: { from: '4.14.0', until: '5.18.0' } }),
  // file systems, first root
  BINFMT_ELF: bool(),
  BINFMT_SCRIPT: tristate(),
  BLK_DEV: bool(),
  BLK_DEV_LOOP: tristate(['BLK_DEV']),
  BLK_DEV_INITRD: bool(),
  RD_GZIP: bool(['BLK_DEV_INITRD']),
  RD_BZIP2: bool(['BLK_DEV_INITRD']),
  RD_LZMA: bool(['BLK_DEV_INITRD']),
  RD_XZ: bool(['BLK_DEV_INITRD']),
  RD_LZO: bool(['BLK_DEV_INITRD']),
  RD_LZ4: bool(['BLK_DEV_INITRD']),
  RD_ZSTD: bool(['BLK_DEV_INITRD'], since('5.9.0')),
  DEVTMPFS: bool(),
  DEVTMPFS_MOUNT: bool(['DEVTMPFS']),
  TMPFS: bool(['SHMEM']),
  TMPFS_XATTR: bool(['TMPFS']),
  TMPFS_POSIX_ACL: bool(['TMPFS']),
  SHMEM: bool(),
  MEMFD_CREATE: bool([], { ...since('4.18.0'), unsure: { from: '4.14.0', until: '4.18.0' } }),
  PROC_FS: bool(),
  SYSFS: bool(),
  EXT4_FS: tristate(),
  SQUASHFS: tristate(),
  SQUASHFS_ZSTD: bool(['SQUASHFS']),
  EROFS_FS: tristate([], { ...since('5.4.0'), unsure: { from: '4.19.0', until: '5.4.0' } }),
  XFS_FS: tristate(),
  BTRFS_FS: tristate(),
  OVERLAY_FS: tristate(),
  FUSE_FS: tristate(),
  AUTOFS_FS: tristate([], { ...since('4.18.0'), unsure: { from: '4.14.0', until: '4.18.0' } }),
  NET_9P_VIRTIO: tristate(['VIRTIO', 'NET_9P']),
  NET_9P: tristate(['NET']),
  MSDOS_PARTITION: bool(),
  EFI_PARTITION: bool(),
  CRYPTO_CRC32C: tristate(),
  // network
  NET: bool(),
  INET: bool(['NET']),
  IPV6: tristate(['INET']),
  UNIX: tristate(['NET']),
  PACKET: tristate(['NET']),
  IP_PNP: bool(['INET']),
  IP_PNP_DHCP: bool(['IP_PNP']),
  VSOCKETS: tristate(['NET']),
  TUN: tristate(['NET']),
  VETH: tristate(['NET']),
  BRIDGE: tristate(['INET']),
  BRIDGE_NETFILTER: tristate(['BRIDGE', 'NETFILTER', 'INET']),
  // packet filter
  NETFILTER: bool(['NET']),
  NF_CONNTRACK: tristate(['NETFILTER', 'INET']),
  NF_NAT: tristate(['NF_CONNTRACK']),
  NF_TABLES: tristate(['NETFILTER', 'INET']),
  NF_TABLES_INET: bool(['NF_TABLES']), // a module of its own before 4.17
  NFT_CT: tristate(['NF_TABLES', 'NF_CONNTRACK']),
  NFT_COUNTER: tristate(['NF_TABLES'], until('5.17.0')),
  NFT_LOG: tristate(['NF_TABLES']),
  NFT_LIMIT: tristate(['NF_TABLES']),
  NFT_REJECT: tristate(['NF_TABLES']),
  NFT_MASQ: tristate(['NF_TABLES', 'NF_CONNTRACK', 'NF_NAT']),
  NFT_NAT: tristate(['NF_TABLES', 'NF_CONNTRACK', 'NF_NAT']),
  NFT_COMPAT: tristate(['NF_TABLES', 'NETFILTER_XTABLES']),
  NETFILTER_XTABLES: tristate(['NETFILTER', 'INET']),
  NETFILTER_XT_MATCH_ADDRTYPE: tristate(['NETFILTER_XTABLES']),
  NETFILTER_XT_MATCH_CONNTRACK: tristate(['NETFILTER_XTABLES', 'NF_CONNTRACK']),
  NETFILTER_XT_MATCH_COMMENT: tristate(['NETFILTER_XTABLES']),
  NETFILTER_XT_MARK: tristate(['NETFILTER_XTABLES']),
  IP_NF_IPTABLES: tristate(['NETFILTER', 'INET']),
  IP_NF_FILTER: tristate(['IP_NF_IPTABLES']),
  IP_NF_MANGLE: tristate(['IP_NF_IPTABLES']),
  IP_NF_NAT: tristate(['IP_NF_IPTABLES', 'NF_CONNTRACK', 'NF_NAT']),
  IP_NF_TARGET_MASQUERADE: tristate(['NETFILTER']),
  // what containers and systemd stand on
  NAMESPACES: bool(),
  UTS_NS: bool(['NAMESPACES']),
  IPC_NS: bool(['NAMESPACES']),
  PID_NS: bool(['NAMESPACES']),
  NET_NS: bool(['NAMESPACES', 'NET']),
  USER_NS: bool(['NAMESPACES']),
  CGROUPS: bool(),
  MEMCG: bool(['CGROUPS']),
  MEMCG_SWAP: bool(['MEMCG'], until('6.1.0')),
  CGROUP_SCHED: bool(['CGROUPS']),
  FAIR_GROUP_SCHED: bool(['CGROUP_SCHED']),
  CFS_BANDWIDTH: bool(['FAIR_GROUP_SCHED']),
  CGROUP_PIDS: bool(['CGROUPS']),
  CGROUP_FREEZER: bool(['CGROUPS']),
  CGROUP_DEVICE: bool(['CGROUPS']),
  CGROUP_CPUACCT: bool(['CGROUPS']),
  CGROUP_BPF: bool(['CGROUPS', 'BPF_SYSCALL']),
  CPUSETS: bool(['CGROUPS', 'SMP']),
  BLK_CGROUP: bool(['CGROUPS']),
  BPF_SYSCALL: bool(),
  SECCOMP: bool(),
  SECCOMP_FILTER: bool(['SECCOMP', 'NET']),
  KEYS: bool(),
  POSIX_MQUEUE: bool(['NET']),
  SYSVIPC: bool(),
  FUTEX: bool(),
  EPOLL: bool(),
  SIGNALFD: bool(),
  TIMERFD: bool(),
  EVENTFD: bool(),
  INOTIFY_USER: bool(),
  FHANDLE: bool(),
  DMIID: bool(),
};

/** Whether a kernel of this version has such an option at all; null when the table does not say. */
export function existsIn(option: string, version: Version): boolean | null {
  const fact = optionFacts[option];
  if (fact === undefined) return null;
  if (fact.unsure !== undefined && within(version, [fact.unsure])) return null;
  return fact.exists === undefined || within(version, [fact.exists]);
}

/** `it does not exist before 6.6`, for a version that has not got it. */
export function whyAbsent(option: string, version: Version): string {
  const exists = optionFacts[option]?.exists;
  const short = (text: string): string => known(text).text.replace(/\.0$/, '');
  const gone = exists?.until !== undefined && within(version, [{ from: exists.until }]);
  return gone
    ? `Linux ${short(exists.until ?? '')} and newer have no such option`
    : `Linux before ${short(exists?.from ?? '')} has no such option`;
}
