import type { Scenario } from '../scenario.ts';

const failed = (code: string, alsoTrue?: readonly string[]): Scenario['truth'] => ({
  outcome: 'failed',
  code,
  ...(alsoTrue ? { alsoTrue } : {}),
});
const on = (kernel: string, o: { initrd?: 'kept' } = {}): Pick<Scenario, 'needs' | 'golden'> => ({
  needs: 'kernels',
  golden: (forge) => forge.tinyOn(kernel, o),
});

/**
 * Kernels without an initrd, everything built in but what the scenario is about: so the words are the kernel's own. They are not in the
 * repository; LINSTOCK_TEST_KERNELS names a folder of them (`NAME.vmlinux`, docs/kernels.md says how they are made).
 */
export const kernels: readonly Scenario[] = [
  {
    name: 'own-kernel-healthy',
    breaks: 'nothing; a kernel with everything built in, without an initrd',
    truth: { outcome: 'ok', code: null },
    ...on('full'),
  },
  {
    name: 'own-kernel-root-of-missing-disk',
    breaks: 'root= names a second disk, and there is one',
    truth: failed('boot.root-name-does-not-exist'),
    ...on('full'),
    vm: { bootArgs: { replace: ['root=/dev/vdb'] } },
  },
  {
    name: 'own-kernel-root-of-missing-partition',
    breaks: 'root= names a partition of a disk without partitions',
    truth: failed('boot.root-name-does-not-exist'),
    ...on('full'),
    vm: { bootArgs: { replace: ['root=/dev/vda1'] } },
  },
  {
    name: 'own-kernel-rootwait',
    breaks: 'root= names a disk that never comes, and rootwait waits for it',
    truth: failed('boot.root-name-does-not-exist'),
    ...on('full'),
    vm: { bootArgs: { replace: ['root=/dev/sda'], add: ['rootwait'] } },
    withinSeconds: 10,
  },
  {
    name: 'own-kernel-init-missing',
    breaks: 'init= names a file that is not in the image',
    truth: failed('boot.init-not-found'),
    ...on('full'),
    vm: { bootArgs: { replace: ['init=/sbin/nothing'] } },
  },
  {
    name: 'own-kernel-init-not-executable',
    breaks: 'init= names a file that may not be executed',
    truth: failed('boot.init-not-executable'),
    ...on('full'),
    vm: { bootArgs: { replace: ['init=/etc/passwd'] } },
  },
  {
    name: 'own-kernel-init-ends',
    breaks: 'PID 1 ends with exit code 3',
    truth: failed('boot.init-died'),
    ...on('full'),
    vm: { bootArgs: { add: ['linstock.test.exit=3'] } },
  },
  {
    name: 'own-kernel-ip-dhcp',
    breaks: 'ip=dhcp is asked for where no DHCP server is',
    truth: failed('guest.net.kernel-waits-for-dhcp'),
    ...on('full'),
    vm: { bootArgs: { replace: ['ip=dhcp'] } },
    withinSeconds: 20,
  },
  {
    name: 'own-kernel-gateway-not-on-link',
    breaks: 'ip= names a gateway outside of the subnet',
    truth: { outcome: 'degraded', code: 'guest.net.gateway-not-on-link' },
    ...on('full'),
    vm: { bootArgs: { replace: ['ip={address}::10.200.0.1:{netmask}::eth0:off'] } },
  },
  {
    name: 'kernel-without-virtio-net',
    breaks: 'the kernel has no driver for the network card',
    truth: failed('guest.net.driver-missing-in-kernel'),
    ...on('novirtionet'),
    withinSeconds: 40,
  },
  {
    name: 'kernel-without-ip-pnp',
    breaks: 'the kernel does not know ip=, and nothing else sets the address',
    truth: failed('guest.net.kernel-lacks-ip-autoconfig'),
    ...on('noippnp'),
  },
  {
    name: 'kernel-without-virtio-blk',
    breaks: 'the kernel has no driver for the disk',
    truth: failed('boot.root-driver-missing'),
    ...on('novirtioblk'),
  },
  {
    name: 'kernel-without-virtio-mmio',
    breaks: 'the kernel finds no virtio device at all',
    truth: failed('boot.transport-driver-missing'),
    ...on('novirtiommio'),
    withinSeconds: 40,
  },
  {
    name: 'kernel-without-ext4',
    breaks: 'the kernel does not know the file system of the root disk',
    truth: failed('boot.filesystem-driver-missing'),
    ...on('noext4'),
  },
  {
    name: 'kernel-without-serial-console',
    breaks: 'the kernel has no console on the serial port',
    truth: { outcome: 'degraded', code: 'kernel.console-driver-missing' },
    ...on('noserialconsole'),
  },
  {
    name: 'kernel-without-pvh',
    breaks: 'the kernel has no PVH entry, and this VMM knows no other',
    truth: failed('vmm.kernel-format-unsupported'),
    ...on('nopvh'),
  },
  {
    name: 'kernel-without-initrd',
    breaks: 'an initrd is given to a kernel that cannot use one',
    truth: { outcome: 'degraded', code: 'boot.initrd-ignored' },
    ...on('noinitrd', { initrd: 'kept' }),
  },
  { name: 'kernel-without-devtmpfs', breaks: 'the kernel has no devtmpfs', truth: failed('kernel.devtmpfs-missing'), ...on('nodevtmpfs') },
];
