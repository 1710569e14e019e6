/** Sick and well trees for the rules about the file system, the kernel, PID 1, mounts, the console, access and clones. */
import { elf, folder, link, script, unreadable } from '../testing/memory-image.ts';
import type { Pieces } from '../testing/memory-image.ts';
import { alpine, enable, serviceUnit } from '../testing/systems.ts';
import type { Given } from '../testing/systems.ts';
import { table } from '../testing/table.ts';
import { accessRules } from './access.ts';
import { clonesRules } from './clones.ts';
import { consoleRules } from './console.ts';
import { imageRules } from './image.ts';
import { initRules } from './init.ts';
import { kernelRules } from './kernel.ts';
import { mountsRules } from './mounts.ts';

const sshd: Pieces = {
  '/usr/sbin/sshd': elf(),
  '/usr/lib/systemd/system/ssh.service': serviceUnit('/usr/sbin/sshd -D'),
  ...enable('ssh.service'),
};
const withoutUdev: Pieces = { '/usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service': null };
const kernel = (release: string, config: Record<string, 'y' | 'm' | 'n'> = {}): Given => ({ kernel: { release, config } });
const modules = (release: string): Pieces => ({ [`/usr/lib/modules/${release}/modules.dep`]: 'x' });

table(
  [...imageRules, ...kernelRules, ...initRules, ...mountsRules, ...consoleRules, ...accessRules, ...clonesRules],
  [
    { id: 'image.journal-pending', name: 'not unmounted', given: { fileSystem: { journalPending: true } } },
    { id: 'image.errors-marked', name: 'marked', given: { fileSystem: { errors: true } }, severity: 'error' },
    { id: 'image.unreadable', name: 'a place that cannot be read', pieces: { '/etc/fstab': unreadable }, at: '/etc/fstab' },
    {
      id: 'image.unreadable',
      name: 'a netplan file that is not understood',
      pieces: { '/usr/lib/systemd/system-generators/netplan': elf(), '/etc/netplan/a.yaml': 'network: &n\n  a: b\n' },
      at: '/etc/netplan/a.yaml',
    },
    { id: 'image.nearly-full', name: 'blocks', given: { fileSystem: { freeBytes: 4096 } }, says: '0 of 1024 MiB' },
    { id: 'image.nearly-full', name: 'no inode left', given: { fileSystem: { freeInodes: 0 } }, severity: 'error' },
    { id: 'image.mount-points', name: 'no /proc', pieces: { '/proc': null }, at: '/proc', severity: 'warning' },
    { id: 'image.mount-points', name: 'no /dev', pieces: { '/dev': null }, at: '/dev' },
    {
      id: 'kernel.modules-of-another',
      name: 'another release',
      pieces: modules('6.1.0-1'),
      given: kernel('6.1.0-2'),
      at: '/lib/modules/6.1.0-1',
    },
    { id: 'kernel.modules-missing', name: 'no tree', given: kernel('6.1.0', { VIRTIO_NET: 'm', VIRTIO_BLK: 'y' }), says: 'VIRTIO_NET' },
    { id: 'init.unusable', name: 'absent, a shell is there', pieces: { '/usr/sbin/init': null }, says: 'starts /bin/sh as PID 1' },
    { id: 'init.unusable', name: 'absent, and nothing else', base: { '/dev': folder }, says: 'No working init found' },
    {
      id: 'init.unusable',
      name: 'a link to nowhere',
      pieces: { '/usr/lib/systemd/systemd': null },
      says: 'there is no /usr/lib/systemd/systemd',
    },
    { id: 'init.unusable', name: 'links in circles', pieces: { '/usr/sbin/init': link('init') }, says: 'circles' },
    {
      id: 'init.unusable',
      name: 'not executable',
      base: alpine,
      pieces: { '/bin/busybox': { text: 'x', mode: 0o644 } },
      says: 'not executable',
    },
    {
      id: 'init.unusable',
      name: 'another processor',
      base: alpine,
      pieces: { '/bin/busybox': elf(null, 183) },
      says: 'a program for arm64',
    },
    {
      id: 'init.unusable',
      name: 'no loader',
      base: alpine,
      pieces: { '/lib/ld-musl-x86_64.so.1': null },
      says: 'the loader of /bin/busybox',
    },
    {
      id: 'init.unusable',
      name: 'a loader for another processor',
      base: alpine,
      pieces: { '/lib/ld-musl-x86_64.so.1': elf(null, 183) },
      says: 'arm64',
    },
    {
      id: 'init.unusable',
      name: 'a script without its interpreter',
      base: alpine,
      pieces: { '/sbin/init': script('#!/bin/bash\n') },
      says: '/bin/bash, is not there',
    },
    { id: 'init.unusable', name: 'a text without #!', base: alpine, pieces: { '/sbin/init': script('echo\n') }, says: 'begins with #!' },
    {
      id: 'init.unusable',
      name: 'named by init=',
      given: { commandLine: 'init=/opt/init' },
      at: '/opt/init',
      says: 'Requested init /opt/init failed (error -2)',
    },
    {
      id: 'init.no-target',
      name: 'no default target',
      pieces: { '/usr/lib/systemd/system/default.target': null },
      at: '/etc/systemd/system/default.target',
    },
    {
      id: 'mounts.root-elsewhere',
      name: 'a UUID of another',
      pieces: { '/etc/fstab': '# x\nUUID=0000-1 / ext4 rw 0 1\n' },
      at: '/etc/fstab:2',
    },
    {
      id: 'mounts.root-elsewhere',
      name: 'a label in other letters',
      pieces: { '/etc/fstab': 'LABEL=Root / ext4 rw 0 1\n' },
      says: '"root"',
    },
    { id: 'mounts.root-elsewhere', name: 'a partition', pieces: { '/etc/fstab': '/dev/vda1 / ext4 rw 0 1\n' }, says: 'no partitions' },
    {
      id: 'mounts.root-elsewhere',
      name: '/dev/sda',
      pieces: { '/etc/fstab': '/dev/sda / ext4 rw 0 1\n' },
      says: 'the only disk is /dev/vda',
    },
    {
      id: 'mounts.device-absent',
      name: 'the boot partition of a cloud image',
      pieces: { '/etc/fstab': 'LABEL=UEFI\t/boot/efi\tvfat\tumask=0077\t0 1\n' },
      at: '/etc/fstab:1',
    },
    { id: 'mounts.swap-absent', name: 'a swap partition', pieces: { '/etc/fstab': '/dev/sda2 none swap sw 0 0\n' }, at: '/etc/fstab:1' },
    {
      id: 'console.no-login',
      name: 'masked',
      pieces: { '/etc/systemd/system/serial-getty@ttyS0.service': link('/dev/null') },
      at: '/etc/systemd/system/serial-getty@ttyS0.service',
    },
    { id: 'console.no-login', name: 'no agetty', pieces: { '/usr/sbin/agetty': null }, at: '/sbin/agetty' },
    {
      id: 'console.no-login',
      name: 'inittab',
      base: alpine,
      pieces: { '/etc/inittab': '::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1\n' },
      at: '/etc/inittab',
    },
    { id: 'console.getty-waits', name: 'no udev', pieces: withoutUdev, severity: 'warning' },
    {
      id: 'access.no-password',
      name: 'root',
      pieces: { '/etc/shadow': 'daemon:*:1::::::\nroot::1::::::\n' },
      at: '/etc/shadow:2',
      severity: 'warning',
    },
    {
      id: 'access.no-password',
      name: 'in passwd, and sshd lets it in',
      pieces: [sshd, { '/etc/passwd': 'root::0:0::/root:/bin/sh\n', '/etc/ssh/sshd_config': 'PermitEmptyPasswords yes\n' }],
      at: '/etc/passwd:1',
      severity: 'error',
    },
    {
      id: 'access.known-password',
      name: 'toor',
      pieces: { '/etc/shadow': 'root:hash-of-toor:1::::::\n' },
      at: '/etc/shadow:1',
      says: '"toor"',
    },
    {
      id: 'access.root-over-ssh',
      name: 'in a drop-in that counts first',
      pieces: [
        sshd,
        {
          '/etc/shadow': 'root:$y$x:1::::::\n',
          '/etc/ssh/sshd_config': 'Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin no\n',
          '/etc/ssh/sshd_config.d/01.conf': 'PermitRootLogin yes\n',
        },
      ],
      at: '/etc/ssh/sshd_config.d/01.conf:1',
    },
    {
      id: 'clones.machine-id',
      name: 'an id',
      pieces: { '/etc/machine-id': '0123456789abcdef0123456789abcdef\n' },
      at: '/etc/machine-id:1',
    },
    { id: 'clones.host-keys', name: 'ssh', pieces: { '/etc/ssh/ssh_host_ed25519_key': 'x' }, at: '/etc/ssh/ssh_host_ed25519_key' },
    { id: 'clones.random-seed', name: 'systemd', pieces: { '/var/lib/systemd/random-seed': 'x' }, severity: 'note' },
  ],
  [
    { name: 'a small Debian' },
    { name: 'a small Alpine', base: alpine, given: { ports: [8080] } },
    {
      name: 'root by key',
      pieces: [
        sshd,
        { '/etc/shadow': 'root:$y$x:1::::::\n', '/etc/ssh/sshd_config': '#PermitRootLogin yes\nPermitRootLogin prohibit-password\n' },
      ],
    },
    { name: 'an account without a password that cannot log in', pieces: { '/etc/passwd': 'nobody::65534:65534::/:/usr/sbin/nologin\n' } },
    {
      name: 'an fstab of this image',
      pieces: {
        '/etc/fstab':
          'UUID=6C696E73-746F-636B-8000-000000000001 / ext4 rw 0 1\nLABEL=root /x auto noauto 0 0\ntmpfs /tmp tmpfs size=1G 0 0\n/dev/sdb1 /data ext4 nofail 0 2\n/swapfile none swap sw 0 0\n',
      },
    },
    { name: 'modules of the kernel', pieces: modules('6.1.0'), given: kernel('6.1.0', { VIRTIO_NET: 'm' }) },
    { name: 'a kernel with everything built in and no modules', given: kernel('6.1.0', { VIRTIO_NET: 'y', VIRTIO_BLK: 'y' }) },
    {
      name: 'a kernel whose initrd brings the modules',
      given: { kernel: { release: '6.1.0', config: { VIRTIO_NET: 'm', VIRTIO_BLK: 'm' }, initrdModules: ['virtio_blk', 'virtio_net'] } },
    },
    { name: 'a kernel of which nothing is known', given: kernel('6.1.0') },
    { name: 'a big disk with little of it free', given: { fileSystem: { bytes: 1e12, freeBytes: 1e10 } } },
    { name: 'no serial console asked for', pieces: withoutUdev, given: { commandLine: 'root=/dev/vda net.ifnames=0' } },
    { name: 'the machine id of D-Bus is a link', pieces: { '/var/lib/dbus/machine-id': link('/etc/machine-id') } },
    { name: 'a loader that cannot be read', pieces: { '/usr/lib64/ld-linux-x86-64.so.2': elf() } },
  ],
);
