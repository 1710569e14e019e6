import type { CatalogueEntry } from './entry.ts';

/** The host, its KVM and its disks. */
export const hostCatalogue: Record<string, CatalogueEntry> = {
  'host.vmm-not-attached-to-tap': {
    title: 'No VMM holds the TAP: the VM is gone, or never opened it',
    fix: 'Find out how the VMM ended (exit status, signal, last console line); the network is not the fault.',
    disproof: 'A /proc/PID/fdinfo names the TAP, or the TAP has carrier.',
  },
  'host.resources-leaked': {
    title: 'Devices and files of VMs that are gone were left behind',
    fix: 'Compare TAPs, sockets, folders and processes with the VMs that exist, and remove the rest; derive names, do not remember them.',
    disproof: 'As many VMMs as TAPs.',
  },
  'host.controller-unreachable': {
    title: 'The machine of the controller is down or cannot be reached',
    fix: 'Bring the host back first; everything else is older than its end.',
    disproof: 'The controller answers now.',
  },
  'host.memory-exhausted': {
    title: 'The host has not the memory for this VM',
    fix: 'Free memory, raise the limit of the cgroup, or place the VM elsewhere.',
    disproof: 'MemAvailable and the limit of the cgroup are larger than the VM.',
  },
  'host.vmm-killed-out-of-memory': {
    title: 'The host killed the VMM because memory ran out',
    fix: 'Raise the limit of the cgroup over the size of the guest and the VMM, or free memory of the host.',
    disproof: 'oom_kill of the cgroup and the kernel log of the host show nothing.',
  },
  'host.file-descriptors-exhausted': {
    title: 'No more files can be opened',
    fix: 'Raise the limit (LimitNOFILE, jailer --resource-limit no-file=), and look for descriptors that leak.',
    disproof: 'Fewer entries in /proc/PID/fd than the limit.',
  },
  'host.process-limit': {
    title: 'No more processes or threads can be made',
    fix: 'Raise pids.max of the cgroup or the limit of the user.',
    disproof: 'pids.current is below pids.max.',
  },
  'host.huge-pages-missing': {
    title: 'The host has not enough free huge pages',
    fix: 'Reserve more (vm.nr_hugepages), or use ordinary pages.',
    disproof: 'HugePages_Free in /proc/meminfo covers the VM.',
  },
  'host.kvm.missing': {
    title: 'The host has no KVM',
    fix: 'Enable virtualization in the firmware (or nested virtualization of the provider) and load kvm_intel or kvm_amd; else run on QEMU without KVM.',
    command: ['linstock', 'doctor'],
    disproof: '/dev/kvm exists.',
  },
  'host.kvm.permission-denied': {
    title: 'The VMM may not open /dev/kvm',
    fix: 'Give its user access (group kvm or an ACL).',
    command: ['setfacl', '-m', 'u:USER:rw', '/dev/kvm'],
    disproof: 'The user of the VMM can open /dev/kvm.',
  },
  'host.kvm.busy': {
    title: 'Another hypervisor holds the virtualization of the CPU',
    fix: 'End the other hypervisor (VirtualBox, VMware) on this host.',
    disproof: 'KVM_CREATE_VM works by hand.',
  },
  'host.kvm.unusable': {
    title: 'KVM is there, and cannot run a guest',
    fix: 'Boot a probe VM; with nested virtualization look at the outer hypervisor.',
    command: ['linstock', 'doctor'],
    disproof: 'A probe VM boots with KVM.',
  },
  'host.kvm.cpu-unsupported': {
    title: 'The CPU of the host lacks what the VMM or its CPU template needs',
    fix: 'Use another host, or drop the CPU template.',
    disproof: 'The flag stands in /proc/cpuinfo of the host.',
  },
  'host.disk.full': {
    title: 'The disk of the host is full',
    fix: 'Free space; find folders of VMs that are gone.',
    disproof: '`df` shows free space and inodes there.',
  },
  'host.disk.io-error': {
    title: 'The disk of the host gives errors',
    fix: 'Look at the kernel log of the host and at the health of the disk.',
    disproof: 'Reading the whole file works.',
  },
  'host.disk.read-only': {
    title: 'The file system of the host is read-only',
    fix: 'Find out why (errors of the disk, mount options), and mount it for writing.',
    disproof: 'Writing a file there works.',
  },
  'host.disk.no-reflink': {
    title: 'The file system of the host cannot clone files cheaply',
    fix: 'Use XFS or btrfs with reflinks, qcow2 on QEMU, or a read-only base with a small disk over it.',
    disproof: '`cp --reflink=always` works there.',
  },
  'host.disk.thin-pool-missing': {
    title: 'The thin pool that disks of VMs come from is not there',
    fix: 'Create or activate it again; a pool over loop devices is gone after each reboot.',
    disproof: '`dmsetup ls` lists the pool.',
  },
  'host.disk.image-in-use': {
    title: 'The image is open for writing elsewhere',
    fix: 'Give each VM its own copy, and never write to a golden image.',
    disproof: 'No process and no loop device holds it.',
  },
};
