/** What programs in the guest need of its kernel, as data. Lists follow what each project says or checks itself. Pure. */
import type { Need, Requirement } from './requirement.ts';

type Row = readonly [id: string, level: Requirement['level'], need: Need, why: string];

const DOCKER = 'moby contrib/check-config.sh';
const docker: readonly Row[] = [
  ['docker-namespaces', 'required', { all: ['NAMESPACES', 'PID_NS', 'NET_NS', 'IPC_NS', 'UTS_NS'] }, 'a container is a set of namespaces'],
  [
    'docker-cgroups',
    'required',
    { all: ['CGROUPS', 'MEMCG', 'CGROUP_SCHED', 'CPUSETS', 'CGROUP_DEVICE', 'CGROUP_FREEZER', 'CGROUP_CPUACCT'] },
    'limits of a container are cgroups',
  ],
  ['docker-cgroup-bpf', 'required', 'CGROUP_BPF', 'on cgroup v2 access to devices is decided by a BPF program'],
  ['docker-overlay', 'required', 'OVERLAY_FS', 'layers of images are stacked by it (storage driver overlay2)'],
  ['docker-keys', 'required', 'KEYS', 'each container gets a keyring'],
  ['docker-mqueue', 'required', 'POSIX_MQUEUE', '/dev/mqueue is mounted in every container'],
  ['docker-bridge', 'required', { all: ['VETH', 'BRIDGE'] }, 'the default network is a bridge with a veth pair per container'],
  [
    'docker-nat',
    'required',
    {
      any: [
        { all: ['NF_TABLES', 'NFT_COMPAT', 'NFT_NAT', 'NF_NAT'] },
        { all: ['IP_NF_FILTER', 'IP_NF_NAT', 'IP_NF_TARGET_MASQUERADE', 'NF_NAT'] },
      ],
    },
    "iptables, old or over nftables, hides containers behind the guest's address",
  ],
  [
    'docker-matches',
    'required',
    { all: ['NETFILTER_XT_MATCH_ADDRTYPE', 'NETFILTER_XT_MATCH_CONNTRACK'] },
    'the rules that dockerd writes use these matches',
  ],
  ['docker-bridge-filter', 'advised', 'BRIDGE_NETFILTER', 'containers on one bridge are kept apart by it'],
  ['docker-seccomp', 'advised', 'SECCOMP_FILTER', 'the default profile keeps containers from dangerous system calls'],
  ['docker-pids', 'advised', 'CGROUP_PIDS', 'limits of processes (--pids-limit)'],
  ['docker-cpu-limit', 'advised', 'CFS_BANDWIDTH', 'limits of CPU time (--cpus)'],
  ['docker-user-ns', 'advised', 'USER_NS', 'rootless containers and user remapping'],
];

const NFT = 'nftables wiki, build and installation from sources';
const nft: readonly Row[] = [
  ['nft-tables', 'required', { all: ['NETFILTER', 'NF_TABLES'] }, 'the tables themselves'],
  ['nft-inet', 'required', 'NF_TABLES_INET', 'tables of family inet'],
  ['nft-conntrack', 'required', { all: ['NF_CONNTRACK', 'NFT_CT'] }, 'rules over the state of connections (ct state)'],
  ['nft-nat', 'required', { all: ['NF_NAT', 'NFT_NAT', 'NFT_MASQ'] }, 'snat, dnat, masquerade'],
  ['nft-reject', 'advised', 'NFT_REJECT', 'reject'],
  ['nft-limit', 'advised', 'NFT_LIMIT', 'limit rate'],
  ['nft-log', 'advised', 'NFT_LOG', 'log'],
  ['nft-counter', 'required', 'NFT_COUNTER', 'counter; part of NF_TABLES from 5.17 on'],
];

const SYSTEMD = 'systemd README, section REQUIREMENTS';
const systemd: readonly Row[] = [
  [
    'systemd-base',
    'required',
    { all: ['CGROUPS', 'INOTIFY_USER', 'SIGNALFD', 'TIMERFD', 'EPOLL', 'UNIX', 'SYSFS', 'PROC_FS', 'FHANDLE'] },
    'systemd does not run without them',
  ],
  ['systemd-tmpfs', 'required', { all: ['TMPFS', 'TMPFS_XATTR', 'TMPFS_POSIX_ACL'] }, '/run and /dev/shm are tmpfs'],
  ['systemd-devtmpfs', 'required', 'DEVTMPFS', 'udev stands on it'],
  [
    'systemd-sandbox',
    'advised',
    { all: ['NAMESPACES', 'NET_NS', 'USER_NS', 'SECCOMP_FILTER'] },
    'services with PrivateNetwork=, PrivateUsers=, SystemCallFilter=',
  ],
  ['systemd-bpf', 'advised', { all: ['BPF_SYSCALL', 'CGROUP_BPF'] }, 'IPAddressDeny=, DeviceAllow= on cgroup v2'],
  ['systemd-limits', 'advised', { all: ['MEMCG', 'CFS_BANDWIDTH', 'CGROUP_PIDS'] }, 'MemoryMax=, CPUQuota=, TasksMax='],
  ['systemd-automount', 'advised', 'AUTOFS_FS', 'units of type automount'],
  ['systemd-dmi', 'advised', 'DMIID', 'it tells in which kind of machine it runs'],
];

const DESKTOP = 'Chromium docs/linux/sandboxing.md; X.Org xserver';
const desktop: readonly Row[] = [
  ['desktop-sockets', 'required', 'UNIX', 'X clients talk to their server over a Unix socket'],
  ['desktop-shm', 'required', { all: ['SHMEM', 'TMPFS'] }, 'browsers share memory through /dev/shm and memfd'],
  ['desktop-events', 'required', { all: ['EPOLL', 'EVENTFD', 'FUTEX', 'INOTIFY_USER'] }, 'event loops of toolkits and browsers'],
  ['desktop-pty', 'required', 'UNIX98_PTYS', 'terminals'],
  [
    'desktop-sandbox',
    'required',
    { all: ['USER_NS', 'PID_NS', 'NET_NS', 'SECCOMP_FILTER'] },
    'without them a browser runs only with --no-sandbox',
  ],
  ['desktop-sysv', 'advised', 'SYSVIPC', 'MIT-SHM, without which pictures are copied through the socket'],
  ['desktop-memfd', 'advised', 'MEMFD_CREATE', 'shared memory without a name'],
  ['desktop-input', 'advised', 'INPUT_UINPUT', 'programs that make key presses and mouse moves of their own'],
];

const rows = (asked: string, source: string, list: readonly Row[]): readonly Requirement[] =>
  list.map(([id, level, need, why]) => ({ id, level, need, enough: 'module', when: { asked }, why, symptom: null, source }));

export const programRequirements: readonly Requirement[] = [
  ...rows('systemd', SYSTEMD, systemd),
  ...rows('docker', DOCKER, docker),
  ...rows('nft', NFT, nft),
  ...rows('fuse', 'Linux fs/fuse', [['fuse', 'required', 'FUSE_FS', '/dev/fuse']]),
  ...rows('desktop', DESKTOP, desktop),
];
