import type { CatalogueEntry } from './entry.ts';

/** The VMM itself, its jailer, its API and its snapshots. */
export const vmmCatalogue: Record<string, CatalogueEntry> = {
  'vmm.log-target-missing': {
    title: 'The VMM ended because the file for its log or metrics is not there',
    fix: 'Create the file (or its folder) before the start: Firecracker before 1.14 does not.',
    disproof: 'The path exists and is writable for the VMM.',
  },
  'vmm.kernel-format-unsupported': {
    title: 'The VMM cannot boot a kernel of this format',
    fix: 'Give an uncompressed ELF vmlinux on x86-64 (with the PVH note for QEMU), a PE Image on arm64.',
    command: ['linstock', 'kernel', 'inspect', 'KERNEL'],
    disproof: 'The file begins with 7f 45 4c 46 and `kernel inspect` shows an entry this VMM takes.',
  },
  'vmm.kernel-wrong-architecture': {
    title: 'The kernel is for another architecture than the host',
    fix: 'Give a kernel for the architecture of the host.',
    command: ['linstock', 'kernel', 'inspect', 'KERNEL'],
    disproof: '`kernel inspect` names the architecture of the host.',
  },
  'vmm.kernel-corrupt': {
    title: 'The kernel file is damaged or cut short',
    fix: 'Fetch it again, and compare its digest.',
    disproof: 'Its digest is the one that was published.',
  },
  'vmm.file-not-found': {
    title: 'A file the VMM was given is not there',
    fix: 'Correct the path; with the jailer it counts from inside of the chroot.',
    disproof: '`ls -l` of that path, from where the VMM stands.',
  },
  'vmm.file-permission-denied': {
    title: 'The VMM may not open a file it was given',
    fix: 'Give its user the right to it (also to each folder above, and past SELinux or AppArmor).',
    disproof: 'Its user can open the file.',
  },
  'vmm.drive-not-writable': {
    title: 'A drive is asked for writing, and its file can only be read',
    fix: 'Set is_read_only, or make the file writable for the VMM.',
    disproof: 'Its user can open the file for writing.',
  },
  'vmm.binary-not-found': {
    title: 'The VMM is not where the controller looks for it',
    fix: 'Correct the path, or install it.',
    disproof: '`PATH --version` answers.',
  },
  'vmm.binary-not-executable': {
    title: 'The VMM cannot be executed here',
    fix: 'Use the build for this architecture, executable, on a file system without noexec.',
    disproof: '`PATH --version` answers.',
  },
  'vmm.socket-in-use': {
    title: 'The socket of the API is already there',
    fix: 'Remove the socket that an earlier VMM left, and give each VM its own folder.',
    disproof: 'No file at the path of the socket.',
  },
  'vmm.socket-path-too-long': {
    title: 'The path of a socket is longer than Linux takes',
    fix: 'Shorten it: 107 bytes at most (sun_path).',
    disproof: 'The path has fewer bytes.',
  },
  'vmm.api-not-answering': {
    title: 'Nobody listens on the API socket of the VMM',
    fix: 'Wait until the socket accepts before the first request; look whether the VMM has ended.',
    disproof: 'A connection to the socket is accepted.',
  },
  'vmm.config-invalid': {
    title: 'The VMM refused its configuration',
    fix: 'Correct the field that the message names, for exactly this version.',
    command: ['linstock', 'lint', 'CONFIG'],
    disproof: '`lint` finds nothing for this version.',
  },
  'vmm.config-key-ignored': {
    title: 'A key of the configuration does not exist, and the VMM ignores it',
    fix: 'Remove it, or use the key that this version has.',
    command: ['linstock', 'lint', 'CONFIG'],
    disproof: 'The schema of this version has the key.',
  },
  'vmm.request-refused': {
    title: 'The VMM refused what it was asked for',
    fix: 'Its own words say why; compare the request with the API of exactly this version.',
    disproof: 'The same request is accepted.',
  },
  'vmm.arguments-refused': {
    title: 'The VMM refused its command line',
    fix: 'Correct the argument that the message names; the jailer passes --id and the like by itself.',
    disproof: 'The VMM starts with these arguments.',
  },
  'vmm.file-size-limit': {
    title: 'A limit on the size of files ended the VMM',
    fix: 'Raise --resource-limit fsize= of the jailer over the size of the memory and disks it writes.',
    disproof: 'The limit is larger than every file it writes.',
  },
  'vmm.api-misuse': {
    title: 'A request came in a state that does not allow it',
    fix: 'Order the requests: everything before InstanceStart, pause before a snapshot.',
    disproof: 'The same request before the start is accepted.',
  },
  'vmm.api-unknown-for-version': {
    title: 'This version of the VMM does not know the request or field',
    fix: 'Make requests from the API description of exactly this version, or use a newer VMM.',
    disproof: 'The API description of this version has it.',
  },
  'vmm.vcpu-count-invalid': {
    title: 'The number of vCPUs is not one the VMM takes',
    fix: 'Give a whole number from 1 to 32 (even, or 1, with SMT).',
    disproof: 'The number is whole and in range.',
  },
  'vmm.memory-size-invalid': {
    title: 'The size of memory is not one the VMM takes',
    fix: 'Give a whole number of MiB above zero (a multiple of 2 with huge pages).',
    disproof: 'The number is whole and in range.',
  },
  'vmm.snapshot-load-rejected-after-config': {
    title: 'A snapshot was loaded into a VMM that had been configured before',
    fix: 'Load the snapshot first, into a fresh VMM: devices, memory and boot arguments come from it.',
    disproof: 'No PUT before the load in the log of the API.',
  },
  'vmm.console-not-captured': {
    title: 'The guest runs, and its console is not kept',
    fix: 'Keep the standard output of the VMM (its file, its buffer, its folder); the log of the VMM is not the console.',
    disproof: 'Bytes arrive at /proc/PID/fd/1 of the VMM.',
  },
  'vmm.seccomp-violation': {
    title: 'A filter of system calls ended the VMM',
    fix: 'Use the filters of exactly this version and build (musl, release); report the call if they are.',
    disproof: 'The same run with --no-seccomp ends the same way.',
  },
  'vmm.killed-by-signal': {
    title: 'Somebody killed the VMM',
    fix: 'Find who: the controller, systemd, an operator, the OOM killer of the host.',
    disproof: 'The VMM still runs.',
  },
  'vmm.crashed': {
    title: 'The VMM crashed',
    fix: 'Keep its last words and report them with its version; try a newer one.',
    disproof: 'Its exit was asked for.',
  },
  'vmm.pci-without-kernel-support': {
    title: 'The VMM offers its devices over PCI, and the kernel cannot see PCI devices',
    fix: 'Boot a kernel with CONFIG_PCI, PCI_MMCONFIG/ACPI and VIRTIO_PCI, or start without --enable-pci; drop pci=off.',
    disproof: 'Any virtio-pci line on the console.',
  },
  'vmm.vsock-socket-in-use': {
    title: 'The socket of the vsock device is already there',
    fix: 'Remove it before the start and before each restore; give each VM its own path.',
    disproof: 'No file at uds_path.',
  },
  'vmm.vsock-not-connected': {
    title: 'Nobody in the guest listens on the vsock port',
    fix: 'Start the agent in the guest on this port; the host must first write "CONNECT PORT" to the socket.',
    disproof: 'An answer "OK N" to CONNECT.',
  },
  'vmm.vsock-host-missing': {
    title: 'The host cannot offer vsock to this VMM',
    fix: 'Load vhost_vsock, or use the VMM with its own vsock.',
    disproof: '/dev/vhost-vsock exists.',
  },
  'vmm.vsock-cid-in-use': {
    title: 'The vsock CID belongs to another VM',
    fix: 'Give each VM its own CID, 3 or more.',
    disproof: 'No other VMM has it.',
  },
  'vmm.mmds-misconfigured': {
    title: 'The metadata service is not reachable in the guest',
    fix: 'Name the interface in the MMDS configuration, route 169.254.169.254 to it, and fetch a token for V2.',
    disproof: 'A token and a value can be fetched by hand.',
  },
  'vmm.jailer-chroot-exists': {
    title: 'The chroot of an earlier VM with this id is still there',
    fix: 'Remove it after the end of each VM, or use a new id.',
    disproof: 'The folder is not there.',
  },
  'vmm.jailer-path-outside-chroot': {
    title: 'The VMM cannot see a file because it is not in its chroot',
    fix: 'Link or copy the file into the chroot, and give the path from inside of it.',
    disproof: 'The path exists below the chroot.',
  },
  'vmm.jailer-ownership': {
    title: 'The user of the jailed VMM may not use a file in its chroot',
    fix: 'chown the files to the uid and gid of the jailer.',
    disproof: '`ls -ln` shows the uid of the jail.',
  },
  'vmm.jailer-noexec-or-nodev': {
    title: 'The chroot lies on a file system without exec or device nodes',
    fix: 'Put --chroot-base-dir on one that is mounted without noexec and nodev.',
    disproof: '`findmnt` shows neither noexec nor nodev there.',
  },
  'vmm.jailer-cgroup': {
    title: 'The jailer could not use the cgroup',
    fix: 'Pass --cgroup-version of the host, and let the parent delegate the controllers.',
    disproof: 'cgroup.controllers of the parent lists them.',
  },
  'vmm.jailer-arguments': {
    title: 'The jailer refused its arguments',
    fix: 'Correct the argument that the message names.',
    disproof: 'The jailer starts with them.',
  },
  'vmm.needs-privileges': {
    title: 'The VMM or its jailer lacks a right it needs',
    fix: 'Run the jailer as root; it drops its rights itself.',
    disproof: 'It runs as root with all capabilities.',
  },
  'vmm.device-limit': {
    title: 'The machine takes no more devices',
    fix: 'Use fewer devices, or PCI where the VMM has it.',
    disproof: 'Fewer devices than the machine has slots.',
  },
  'snapshot.version-incompatible': {
    title: 'The snapshot was made by a version of the VMM that this one cannot load',
    fix: 'Load it with the version that made it, or make it again.',
    disproof: 'The version of the snapshot is one this VMM names as its own.',
  },
  'snapshot.cpu-incompatible': {
    title: 'The snapshot was made on a CPU that this host does not have',
    fix: 'Restore on the same CPU model, or make it with a CPU template that both have.',
    disproof: 'Both hosts have the same CPU model and microcode.',
  },
  'snapshot.file-missing': {
    title: 'A file that belongs to the snapshot is not where it was',
    fix: 'Keep state, memory and disks together, at the paths the snapshot remembers.',
    disproof: 'All files are at those paths.',
  },
  'snapshot.file-corrupt': {
    title: 'A file of the snapshot is damaged, cut short, or belongs to another one',
    fix: 'Make the snapshot again; check digests before each restore.',
    disproof: 'Digests are those of the capture.',
  },
  'snapshot.restored-keeps-donor-identity': {
    title: 'A restored VM has the arguments, address and MAC of the VM it was taken from',
    fix: 'Give each clone its own network namespace, or set its address through the agent after the restore.',
    disproof: 'The guest shows its own address after the restore.',
  },
  'snapshot.clock-behind': {
    title: 'The clock of the restored guest stands where it was captured',
    fix: 'Let the agent set the clock after each restore (kvm-clock and chrony with PTP do it too).',
    disproof: 'The guest agrees with the host.',
  },
  'snapshot.clones-share-randomness': {
    title: 'Clones of one snapshot draw the same random numbers',
    fix: 'Offer VMGENID to a kernel that knows it (5.18 and later), or reseed through the agent.',
    disproof: 'Two clones draw different numbers.',
  },
  'snapshot.tap-missing': {
    title: 'The snapshot wants a TAP that is not there',
    fix: 'Create the TAP under the name that the snapshot remembers, or pass network_overrides (1.12 and later).',
    disproof: 'The TAP exists under that name.',
  },
  'snapshot.vm-not-paused': {
    title: 'A snapshot was asked of a VM that runs',
    fix: 'Pause the VM first.',
    disproof: 'The state of the instance is Paused.',
  },
  'snapshot.memory-backend-failed': {
    title: 'The memory of the snapshot cannot be served',
    fix: 'Start the page-fault handler before the load, and keep it alive as long as the VM.',
    disproof: 'The handler listens on the socket.',
  },
};
