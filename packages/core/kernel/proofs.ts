/**
 * What shows that an option is built into a kernel, as data: texts that its code brings, and nothing else does. Pure.
 *
 * Kernels keep no list of their options (`strings vmlinux | grep CONFIG_` finds nothing, whatever was built) and symbol names are compressed,
 * but format strings, parameter names and messages stand in it as they were written. Each text here was looked up in the sources of 4.14,
 * 5.4, 5.10, 5.15, 6.1, 6.6, 6.12 and 6.18, where it stands in files of its option only; `testing/kernels.json` records what was found in
 * kernels that were built with and without each option.
 *
 * Rules for a text: at least eleven bytes (needles.ts); never a bare name, because type information (BTF) holds the names of structures
 * and fields that are not used; no pr_debug, which is compiled out; no short text in a structure, which the compiler may write as numbers.
 */
import type { Span } from '../versions.ts';

/** The first version whose sources were not looked at: there, absence says nothing. */
export const TABLES_UNTIL = '6.19.0';

/** How a text comes into a kernel, and so what must be there for its absence to mean something. */
export type NeedleKind = 'message' | 'parameter' | 'setup' | 'data';

export type Needle = {
  text: string;
  kind: NeedleKind;
  /** Every kernel of these versions that has the option built in holds the text. Absent: some may not, and absence says nothing. */
  always?: Span;
};

/** Texts that every kernel has, one of which must be there: else texts of this kind may have been left out of it. */
export const besides: Readonly<Record<NeedleKind, readonly string[]>> = {
  // Without CONFIG_PRINTK no message is compiled.
  message: ['Kernel command line: %s', 'Failed to execute %s (error %d)'],
  parameter: ['workqueue.power_efficient'],
  setup: ['\0rootfstype=\0'],
  data: ['Attempted to kill init! exitcode=0x%08x'],
};

type Make = (text: string, from?: string) => Needle;
const always =
  (kind: NeedleKind): Make =>
  (text, from = '4.14.0') => ({ text, kind, always: { from, until: TABLES_UNTIL } });
/** Of printk(), pr_warn() and the like. */
const message = always('message');
/** A module's parameter: its name begins with that of the module only when it is built in. */
const parameter = always('parameter');
/** Of __setup() and early_param(). */
const setup: Make = (text, from) => always('setup')(`\0${text}\0`, from);
const data = always('data');
/** Enough to show that the option is on; other options decide, too, whether it is there. */
const shows = (text: string): Needle => ({ text, kind: 'data' });

export const proofs: Readonly<Record<string, readonly Needle[]>> = {
  // the machine
  X86_X2APIC: [data('cluster x2apic')],
  X86_MPPARSE: [message('Scan for SMP in [mem %#010lx-%#010lx]')],
  HYPERVISOR_GUEST: [message('Hypervisor detected: %s')],
  PARAVIRT: [data('bare hardware')],
  KVM_GUEST: [setup('no-kvmclock-vsyscall')],
  ACPI: [data('0811B06E-4A27-44F9-8D60-3CBBC22E7B48'), message('Interpreter enabled')],
  ACPI_BUTTON: [parameter('button.lid_init_state')],
  PCI: [message('Some PCI device resources are unassigned, try booting with pci=realloc')],
  PCI_MMCONFIG: [data('Intel Corporation 945G/GZ/P/PL Express Memory Controller Hub')],
  PCIEPORTBUS: [setup('pcie_ports=')],
  RTC_DRV_CMOS: [message('alarms up to one year')],
  // how the kernel is made
  MODULES: [message('%s: Unknown symbol %s (err %')],
  PRINTK: [parameter('printk.time')],
  MAGIC_SYSRQ: [data('terminate-all-tasks(e)')],
  // DMA
  SWIOTLB: [message('software IO TLB')],
  INTEL_IOMMU: [setup('intel_iommu=')],
  IOMMU_SUPPORT: [shows('\0iommu.passthrough\0')],
  // console and input
  TTY: [data("Couldn't register /dev/tty driver")],
  SERIAL_8250: [data('Palmchip BK-3103')],
  SERIAL_8250_CONSOLE: [data('uart8250\0\0\0')],
  UNIX98_PTYS: [data("Couldn't allocate Unix98 ptm driver")],
  INPUT: [data('input:b%04Xv%04Xp%04Xe%04X-')],
  INPUT_EVDEV: [message('evdev: failed to reserve new minor: %d')],
  INPUT_UINPUT: [message('%s: write device info first')],
  SERIO: [data('serio:ty%02Xpr%02Xid%02Xex%02X')],
  SERIO_I8042: [data('i8042 KBD port')],
  KEYBOARD_ATKBD: [data('AT %s Set %d keyboard')],
  // virtio
  VIRTIO: [data('virtio bus registration failed')],
  VIRTIO_MMIO: [message('Wrong magic value 0x%08lx!'), data('virtio,mmio')],
  VIRTIO_MMIO_CMDLINE_DEVICES: [data('virtio-mmio-cmdline')],
  VIRTIO_PCI: [data('%s-virtqueues')],
  VIRTIO_BLK: [message('[%s] %s%llu %d-byte logical blocks', '5.4.0')],
  VIRTIO_NET: [parameter('virtio_net.napi_weight'), message('Failed to ack link announce')],
  VIRTIO_CONSOLE: [message('Not enough space to store port name')],
  VIRTIO_BALLOON: [message("Out of puff! Can't get %u pages")],
  VIRTIO_VSOCKETS: [data('vmw_vsock_virtio_transport\0')],
  VIRTIO_MEM: [message('device block size: 0x%llx', '5.8.0')],
  VIRTIO_PMEM: [message("failed to initialize virtio pmem vq's", '5.4.0')],
  VIRTIO_FS: [message('virtio-fs: tag <%s> not found', '5.4.0')],
  VSOCKETS: [data('AF_VSOCK\0\0\0')],
  MEMORY_HOTPLUG: [setup('memhp_default_state=')],
  LIBNVDIMM: [shows('conflicting extents for uuid: %pUb')],
  DAX: [shows('kill_dax() must be called before final iput()')],
  HW_RANDOM: [parameter('rng_core.current_quality')],
  HW_RANDOM_VIRTIO: [data('virtio_rng.%d')],
  PVPANIC_MMIO: [data('pvpanic-mmio', '5.13.0')],
  PTP_1588_CLOCK: [message('ptp: failed to allocate device region')],
  PTP_1588_CLOCK_KVM: [message('clock offset hypercall ret %')],
  PTP_1588_CLOCK_VMCLOCK: [shows('AMZNC10C\0\0\0')],
  VMGENID: [shows('VM_GEN_COUNTER\0\0')],
  // first root, file systems
  BINFMT_ELF: [shows('Uhuuh, elf segment at')],
  BLK_DEV_LOOP: [parameter('loop.max_loop')],
  BLK_DEV_INITRD: [data('incorrect cpio method used: use -H newc option')],
  RD_GZIP: [data('Not a gzip file')],
  RD_XZ: [data('XZ-compressed data is corrupt')],
  RD_ZSTD: [data('ZSTD-compressed data is corrupt', '5.9.0')],
  DEVTMPFS: [setup('devtmpfs.mount=')],
  PROC_FS: [data('self/mounts')],
  SYSFS: [message("cannot create duplicate filename '%s/%s'")],
  EXT4_FS: [message('EXT4-fs (%s): %pV')],
  SQUASHFS: [message("Can't find a SQUASHFS superblock on %pg")],
  SQUASHFS_ZSTD: [message('Failed to allocate zstd workspace')],
  EROFS_FS: [message('cannot find valid erofs superblock', '5.4.0')],
  XFS_FS: [message('Mounting V%d Filesystem')],
  BTRFS_FS: [data(',rescan_uuid_tree')],
  OVERLAY_FS: [parameter('overlay.redirect_dir'), message('failed to create directory %s/%s')],
  FUSE_FS: [message('init (API version %i.%i)')],
  AUTOFS_FS: [data(',minproto=%d')],
  NET_9P: [message('Installing 9P2000 support')],
  EFI_PARTITION: [message('Primary GPT is invalid, using alternate GPT.')],
  CRYPTO_CRC32C: [shows('crc32c-generic')],
  // network
  NET: [message('NET: Registered %s protocol family', '5.15.0'), shows('NET: Registered protocol family %d')],
  INET: [message('Hash tables configured (established %u bind %u)')],
  IPV6: [parameter('ipv6.disable_ipv6')],
  UNIX: [shows('Num       RefCount Protocol Flags    Type St ')],
  PACKET: [message('tpacket_rcv: packet too big, clamped from %u to %u')],
  IP_PNP: [message('IP-Config: Complete'), setup('nfsaddrs=')],
  TUN: [message('Universal TUN/TAP device driver')],
  BRIDGE: [message('port %u(%s) entered %s state')],
  BRIDGE_NETFILTER: [shows('bridge-nf-call-iptables')],
  // packet filter
  NETFILTER: [shows('cannot create netfilter proc entry')],
  NF_CONNTRACK: [message('nf_conntrack: table full, dropping packet')],
  NF_NAT: [data('nat-follow-master')],
  NF_TABLES: [shows('nf-flowtable-%u')],
  NFT_COMPAT: [message('nft_compat: cannot register with nfnetlink')],
  NETFILTER_XTABLES: [message('%s_tables: %s match: only valid in %s table, not %s')],
  NETFILTER_XT_MATCH_ADDRTYPE: [message('input interface limitation not valid in POSTROUTING and OUTPUT', '5.4.0')],
  IP_NF_FILTER: [parameter('iptable_filter.forward')],
  // what containers and systemd stand on
  CGROUPS: [setup('cgroup_disable=')],
  MEMCG: [setup('cgroup.memory=')],
  CGROUP_PIDS: [message('fork rejected by pids controller in ')],
  CGROUP_DEVICE: [data('%c %s:%s %s\n')],
  CPUSETS: [data('cpus.effective', '5.4.0')],
  BLK_CGROUP: [message('blkcg_policy_register: BLKCG_MAX_POLS too small', '5.4.0')],
  CFS_BANDWIDTH: [message('period too short, scaling up', '5.4.0')],
  SECCOMP_FILTER: [data('seccomp notify', '5.4.0')],
  KEYS: [data('_uid_ses.%u')],
  POSIX_MQUEUE: [data('QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d')],
  SYSVIPC: [shows('sysvipc/msg')],
  FUTEX: [message('futex_wake_op: %s tries to shift op by %d; fix this program', '5.4.0')],
  EPOLL: [data('[eventpoll]')],
  SIGNALFD: [data('[signalfd]\0')],
  EVENTFD: [shows('eventfd-count: %16llx')],
  TIMERFD: [shows('settime flags: 0%o')],
  INOTIFY_USER: [shows('inotify wd:%x ino:%lx sdev:%x')],
};
