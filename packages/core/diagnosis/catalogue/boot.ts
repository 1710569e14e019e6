import type { CatalogueEntry } from './entry.ts';

/** The way from the first vCPU to PID 1. */
export const bootCatalogue: Record<string, CatalogueEntry> = {
  'boot.root-driver-is-module-without-initrd': {
    title: 'The driver of the root disk is a module, and nothing loads it before root is mounted',
    fix: 'Boot a kernel with the virtio transport, virtio-blk and the file system built in, or add the initrd of exactly this kernel release.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: 'A line "virtio_blk virtioN: [vda]" before the panic, or CONFIG_VIRTIO_BLK=y in this very kernel.',
  },
  'boot.root-driver-missing': {
    title: 'The kernel has no driver for the root disk',
    fix: 'Boot a kernel with CONFIG_VIRTIO_BLK=y.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: 'The list of partitions the kernel prints names a disk, or `kernel inspect` proves VIRTIO_BLK.',
  },
  'boot.root-arg-overridden-by-vmm': {
    title: 'The root= that was asked for lost to the one the VMM appends',
    fix: 'Set is_root_device to false and own root= alone, or drop root= from the boot arguments: the last root= wins.',
    disproof: 'Only one root= on the line the kernel printed.',
  },
  'boot.root-name-does-not-exist': {
    title: 'root= names a disk that this VM does not have',
    fix: 'Name a disk of the list the kernel printed; without an initrd only /dev/vdX, PARTUUID= and PARTLABEL= are understood.',
    disproof: 'The named disk appears in the list of partitions.',
  },
  'boot.filesystem-driver-missing': {
    title: 'The kernel cannot read the file system of the root disk',
    fix: 'Boot a kernel with that file system built in, or make the image with one that it has.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX', '--needs', 'ext4'],
    disproof: 'The file system stands in the list after "No filesystem could mount root, tried:".',
  },
  'boot.transport-driver-missing': {
    title: 'The kernel has no driver for the virtio transport, so it sees no device at all',
    fix: 'Boot a kernel with CONFIG_VIRTIO_MMIO=y (or VIRTIO_PCI where the VMM offers PCI).',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: 'Any line of a virtio device on the console.',
  },
  'boot.transport-not-discovered': {
    title: 'The kernel was not told where its virtio devices are',
    fix: 'Let machine and kernel agree: ACPI on both sides, or virtio_mmio.device= arguments and CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=y.',
    disproof: 'Any line of a virtio device on the console.',
  },
  'boot.out-of-memory-unpacking-initrd': {
    title: 'The memory is too small for the initrd and its unpacked copy',
    fix: 'Give more memory (at least the initrd, its unpacked size and 35 MiB) or a smaller initrd.',
    disproof: 'The same boot fails the same way with 512 MiB more.',
  },
  'boot.memory-below-kernel-size': {
    title: 'The memory is smaller than the kernel itself, so the first vCPU dies without a word',
    fix: 'Give more memory than the end of the highest segment of the kernel (`kernel inspect` tells it).',
    command: ['linstock', 'kernel', 'inspect', 'VMLINUX'],
    disproof: 'Any byte on the console.',
  },
  'boot.out-of-memory': {
    title: 'The guest ran out of memory and gave up',
    fix: 'Give the VM more memory, or find what took it in the list of processes before the panic.',
    disproof: 'The same panic with twice the memory.',
  },
  'boot.init-not-found': {
    title: 'The program that should be PID 1 is not in the image',
    fix: 'Name a program that the image has in init=, or put one there; the interpreter and libraries of it must be there too.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: 'The file, its interpreter and its libraries are in the image.',
  },
  'boot.init-not-executable': {
    title: 'PID 1 is there, and may not be executed',
    fix: 'Make it executable (mode, mount option noexec, a script needs its interpreter).',
    disproof: 'Mode 0755 and no noexec on its file system.',
  },
  'boot.init-wrong-format': {
    title: 'PID 1 is no program this kernel can run',
    fix: 'Put in a program for the architecture of the guest, or a script with a #! line and its interpreter.',
    disproof: '`file` names the architecture of the kernel.',
  },
  'boot.init-library-missing': {
    title: 'PID 1 misses a library, or is made for another libc than the image has',
    fix: 'Link it statically, or add the library or loader that the line names.',
    disproof: 'ldd inside the image finds everything.',
  },
  'boot.init-died': {
    title: 'PID 1 ended, and the kernel gives up when it does',
    fix: 'Look at the last lines before the panic: what PID 1 ran ended or failed. PID 1 must never return.',
    disproof: 'The guest lives on after the line.',
  },
  'boot.kernel-panic': {
    title: 'The kernel of the guest panicked',
    fix: 'Read the reason in the panic line and the trace above it.',
    disproof: 'The panic line was written by a process, and the VM goes on answering.',
  },
  'boot.kernel-oops': {
    title: 'The kernel of the guest hit a bug of its own',
    fix: 'Take the trace to the maintainers of this kernel; try the newest patch release.',
    disproof: 'The same on another kernel release.',
  },
  'boot.initrd-ignored': {
    title: 'An initrd was given, and the kernel never unpacked it',
    fix: 'Boot a kernel with CONFIG_BLK_DEV_INITRD=y and the decompressor of this initrd.',
    disproof: 'A line "Unpacking initramfs" or "Trying to unpack rootfs image".',
  },
  'boot.initrd-corrupt': {
    title: 'The initrd could not be unpacked',
    fix: 'Make the initrd again; the kernel needs the decompressor of its format (CONFIG_RD_GZIP, RD_ZSTD, …).',
    disproof: '`cpio -t` reads the decompressed archive to its end.',
  },
  'boot.initrd-lacks-drivers': {
    title: 'The initrd has no modules for this kernel, so it finds no root disk',
    fix: 'Make the initrd for exactly the release of this kernel, with virtio_blk and its transport.',
    disproof: 'lib/modules/RELEASE of the initrd is the release in the banner.',
  },
  'boot.clock-calibration-hang': {
    title: 'The kernel stopped while it measured its clock',
    fix: 'Pass the frequency of the host (tsc_early_khz=), or offer a clock that needs no measuring (kvm-clock; acpi=off under TCG).',
    disproof: 'The console goes on after the clock lines.',
  },
  'boot.cpu-stalled': {
    title: 'A vCPU of the guest got no time for seconds',
    fix: 'Look at the load of the host: too many vCPUs, a CPU limit of the cgroup, a paused VM.',
    disproof: 'The host was idle, and the cgroup was not throttled.',
  },
  'boot.cpu-feature-missing': {
    title: 'A program of the guest uses CPU instructions that this VM does not offer',
    fix: 'Offer a newer CPU model (CPU template), or use a build for the older one.',
    disproof: 'The flag stands in /proc/cpuinfo of the guest.',
  },
  'boot.clock-wrong': {
    title: 'The clock of the guest is wrong',
    fix: 'Offer kvm-clock or an RTC, and let the agent or a time service set the clock.',
    disproof: 'The guest agrees with the host.',
  },
  'boot.guest-powered-off': {
    title: 'The guest was shut down from inside',
    fix: 'Find who asked for it; on x86 a Firecracker guest ends its VMM with reboot, not with poweroff.',
    disproof: 'The guest answers after the line.',
  },
  'boot.entropy-starved': {
    title: 'The guest waits for randomness',
    fix: 'Offer a virtio-rng (entropy) device, or pass random.trust_cpu=on.',
    disproof: '"random: crng init done" stands before the waiting.',
  },
  'boot.console-arg-missing': {
    title: 'The kernel prints to another console than the serial port that is kept',
    fix: 'Pass console=ttyS0 as the last console= argument.',
    disproof: 'console=ttyS0 stands on the effective command line.',
  },
  'boot.command-line-cut': {
    title: 'The boot arguments are longer than the kernel takes',
    fix: 'Shorten them: x86 takes 2,048 bytes (COMMAND_LINE_SIZE), what the VMM appends included.',
    disproof: 'The last requested argument stands on the effective line.',
  },
  'boot.waits-for-device': {
    title: 'systemd waits for a device that never appears',
    fix: 'Correct the line of /etc/fstab (or crypttab) that names it.',
    command: ['linstock', 'rootfs', 'lint', 'IMAGE'],
    disproof: 'The device is in /dev of the guest.',
  },
  'boot.emergency-mode': {
    title: 'systemd gave up its boot and went to emergency mode',
    fix: 'Mend the first unit that failed before it; nofail in fstab for what is not needed.',
    disproof: 'multi-user.target was reached.',
  },
  'kernel.other-than-requested': {
    title: 'Another kernel runs than the one that was asked for',
    fix: 'Pin the kernel by digest, and compare the banner with it at each boot.',
    disproof: 'The release in the banner is that of the requested file.',
  },
  'kernel.console-driver-missing': {
    title: 'The kernel has no driver for the serial console',
    fix: 'Boot a kernel with CONFIG_SERIAL_8250=y and CONFIG_SERIAL_8250_CONSOLE=y.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: 'Any kernel line on the console.',
  },
  'kernel.devtmpfs-missing': {
    title: 'The kernel cannot fill /dev by itself',
    fix: 'Boot a kernel with CONFIG_DEVTMPFS=y and CONFIG_DEVTMPFS_MOUNT=y.',
    disproof: '"devtmpfs: initialized" on the console.',
  },
  'kernel.vsock-missing': {
    title: 'The kernel of the guest has no vsock',
    fix: 'Boot a kernel with CONFIG_VSOCKETS=y and CONFIG_VIRTIO_VSOCKETS=y.',
    disproof: '"NET: Registered PF_VSOCK protocol family" on the console.',
  },
  'kernel.container-options-missing': {
    title: 'The kernel of the guest lacks what containers need',
    fix: 'Boot a kernel with the namespaces, cgroups, overlayfs, veth, bridge and netfilter options that the line names.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX', '--needs', 'docker'],
    disproof: '`kernel inspect` proves each of them built in or loaded.',
  },
  'kernel.option-missing': {
    title: 'The kernel of the guest lacks an option that the image needs',
    fix: 'Boot a kernel with the option that the line names.',
    command: ['linstock', 'kernel', 'check', 'VMLINUX'],
    disproof: '`kernel inspect` proves the option.',
  },
};
