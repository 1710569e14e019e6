import { appendFile, stat, writeFile } from 'node:fs/promises';
import { fillWith, overwrite } from '../forge.ts';
import type { Scenario } from '../scenario.ts';

const failed = (code: string, alsoTrue?: readonly string[]): Scenario['truth'] => ({
  outcome: 'failed',
  code,
  ...(alsoTrue ? { alsoTrue } : {}),
});
const replace = (...tokens: string[]): NonNullable<Scenario['vm']> => ({ bootArgs: { replace: tokens } });
const add = (...tokens: string[]): NonNullable<Scenario['vm']> => ({ bootArgs: { add: tokens } });
const MiB = 1_048_576;

/** The guest does not come up, or goes down again. */
export const boot: readonly Scenario[] = [
  {
    name: 'root-of-missing-disk',
    breaks: 'root= names a second disk, and there is one',
    truth: failed('boot.root-name-does-not-exist'),
    vm: replace('root=/dev/vdb'),
  },
  {
    name: 'root-of-missing-partition',
    breaks: 'root= names a partition of a disk without partitions',
    truth: failed('boot.root-name-does-not-exist'),
    vm: replace('root=/dev/vda1'),
  },
  {
    name: 'rootwait-for-missing-disk',
    breaks: 'root= names a disk that never comes, and rootwait waits for it',
    truth: failed('boot.root-name-does-not-exist'),
    vm: { bootArgs: { replace: ['root=/dev/sda'], add: ['rootwait'] } },
    withinSeconds: 12,
  },
  {
    name: 'root-not-given',
    breaks: 'there is no root= at all',
    truth: failed('boot.root-not-given'),
    vm: { bootArgs: { remove: ['root'] } },
  },
  {
    name: 'root-of-another-type',
    breaks: 'rootfstype= names another file system than the disk has',
    truth: failed('boot.root-filesystem-type-wrong'),
    vm: replace('rootfstype=squashfs'),
  },
  {
    name: 'init-missing',
    breaks: 'init= names a file that is not in the image',
    truth: failed('boot.init-not-found'),
    vm: add('init=/sbin/nothing'),
  },
  {
    name: 'init-ends',
    breaks: 'PID 1 ends with exit code 3',
    truth: failed('boot.init-died'),
    fast: true,
    vm: add('linstock.test.exit=3'),
  },
  {
    name: 'kernel-panic',
    breaks: 'the kernel panics after user space is up',
    truth: failed('boot.kernel-panic'),
    vm: add('linstock.test.panic=0'),
  },
  {
    name: 'guest-resets-itself',
    breaks: 'the guest resets the machine as soon as it is ready',
    truth: failed('boot.guest-rebooted-itself'),
    vm: add('linstock.test.reboot=0'),
  },
  {
    name: 'init-stands-still',
    breaks: 'PID 1 hangs before it starts the service',
    truth: failed('boot.init-never-finished', ['service.port-6080-not-listening']),
    vm: add('linstock.test.hang'),
  },
  {
    name: 'memory-below-kernel',
    breaks: 'the guest has less memory than its kernel takes',
    truth: failed('boot.memory-below-kernel-size'),
    vm: { memoryMiB: 24 },
    golden: (forge) => forge.tinyWith('lab-small', (content) => ({ ...content, machine: { ...content.machine, leastMemoryMiB: 16 } })),
  },
  {
    name: 'initrd-too-big',
    breaks: 'the unpacked initrd does not fit into the memory of the guest',
    truth: failed('boot.out-of-memory-unpacking-initrd'),
    golden: (forge) =>
      forge.tinyWithFile('lab-fat-initrd', 'initrd', async (path) => appendFile(path, cpioOf('fat', 48 * MiB, (await stat(path)).size))),
  },
  {
    name: 'filesystem-corrupt',
    breaks: 'the group descriptors and inodes of the root file system are overwritten',
    truth: failed('image.filesystem-corrupt'),
    golden: (forge) => forge.tinyWithFile('lab-corrupt', 'rootfs', (path) => overwrite(path, 4_096, Buffer.alloc(MiB, 0xa5))),
  },
  {
    name: 'disk-not-formatted',
    breaks: 'the root disk holds nothing but zeros',
    truth: failed('image.not-a-filesystem'),
    golden: (forge) => forge.tinyWithFile('lab-zeros', 'rootfs', (path) => fillWith(path, 0)),
  },
  {
    name: 'qcow2-given-as-raw',
    breaks: 'a qcow2 file is given to the guest as if it were a raw disk',
    truth: failed('image.wrong-disk-format', ['image.not-a-filesystem']),
    golden: (forge) => forge.tinyWithFile('lab-qcow2', 'rootfs', (path) => forge.asQcow2(path)),
  },
  {
    name: 'init-not-in-image',
    breaks: 'the image has no init at any of the usual places',
    truth: failed('boot.init-not-found'),
    golden: (forge) => forge.tinyWithFile('lab-no-init', 'rootfs', (path) => forge.without(path, '/sbin/init', '/bin/sh')),
  },
  {
    name: 'kernel-is-text',
    breaks: 'the kernel file is a text',
    truth: failed('vmm.kernel-format-unsupported'),
    golden: (forge) => forge.tinyWithFile('lab-text-kernel', 'kernel', (path) => writeFile(path, 'this is no kernel\n'.repeat(1_000))),
  },
  {
    name: 'kernel-of-another-architecture',
    breaks: 'the kernel is an ELF file for ARM',
    truth: failed('vmm.kernel-wrong-architecture'),
    golden: (forge) => forge.tinyWithFile('lab-arm-kernel', 'kernel', (path) => overwrite(path, 18, Buffer.from([183, 0]))),
  },
  {
    name: 'initrd-cut-short',
    breaks: 'the initrd is cut off in its middle',
    truth: failed('boot.initrd-corrupt'),
    golden: (forge) => forge.tinyWithFile('lab-short-initrd', 'initrd', (path) => forge.cutShort(path)),
  },
  {
    name: 'console-not-given',
    breaks: 'there is no console=, and the kernel writes to another console than the serial port',
    truth: { outcome: 'degraded', code: 'boot.console-arg-missing' },
    vm: { bootArgs: { remove: ['console'] } },
  },
];

/** A cpio archive of one file of noise, behind what is there: the kernel unpacks both, and looks for the second at a multiple of four. */
function cpioOf(name: string, bytes: number, behind: number): Buffer {
  const noise = Buffer.alloc(bytes);
  for (let i = 0, x = 1; i < bytes; i += 1) {
    x = (x * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    noise[i] = x >> 16;
  }
  const entry = (of: string, data: Buffer, mode: number): Buffer => {
    const hex = (n: number): string => n.toString(16).padStart(8, '0');
    const head = `070701${[1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, of.length + 1, 0].map(hex).join('')}${of}\0`;
    const pad = (b: Buffer): Buffer => Buffer.concat([b, Buffer.alloc((4 - (b.length % 4)) % 4)]);
    return Buffer.concat([pad(Buffer.from(head, 'latin1')), pad(data)]);
  };
  return Buffer.concat([
    Buffer.alloc(512 + ((4 - (behind % 4)) % 4)),
    entry(name, noise, 0o100644),
    entry('TRAILER!!!', Buffer.alloc(0), 0),
  ]);
}
