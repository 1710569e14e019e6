/**
 * The root device and the command line as a whole. Pure.
 * Sources: vmm/src/builder.rs (what is appended), vmm_config/boot_source.rs (defaults), linux-loader's cmdline (what is refused),
 * init/do_mounts.c of Linux (the last root=, ro and rw count).
 */
import { type BootToken, canonicalKey, lastValue, mostLineBytes, parseCommandLine, type Version } from '@linstock/core';
import { mmioToken } from '../command-line.ts';
import { has } from '../versions.ts';
import { lintArguments } from './arguments.ts';
import { list, section, type Say, type Section } from './finding.ts';

const at = '/boot-source/boot_args';

/** Whose `root=` Firecracker appends: the first drive or pmem device that is one. */
export function rootOf(config: Section): { at: string; index: number; argument: string; readOnly: boolean } | null {
  const drive = list(config, 'drives').findIndex((one) => one['is_root_device'] === true);
  if (drive !== -1) {
    const { partuuid, is_read_only: readOnly } = list(config, 'drives')[drive] ?? {};
    const argument = typeof partuuid === 'string' ? `root=PARTUUID=${partuuid}` : 'root=/dev/vda';
    return { at: `/drives/${drive}`, index: drive, argument, readOnly: readOnly === true };
  }
  const pmem = list(config, 'pmem').findIndex((one) => one['root_device'] === true);
  if (pmem === -1) return null;
  return {
    at: `/pmem/${pmem}`,
    index: pmem,
    argument: `root=/dev/pmem${pmem}`,
    readOnly: list(config, 'pmem')[pmem]?.['read_only'] === true,
  };
}

/** Virtio devices, each of which takes an interrupt and a place on the command line. */
export function deviceCount(config: Section): number {
  const single = ['balloon', 'vsock', 'entropy', 'memory-hotplug'].filter((name) => config[name] !== undefined && config[name] !== null);
  return single.length + ['drives', 'network-interfaces', 'pmem'].reduce((sum, name) => sum + list(config, name).length, 0);
}

export function lintBoot(config: Section, version: Version, say: Say): void {
  const args = section(config, 'boot-source')['boot_args'];
  const kernel = typeof args === 'string' ? parseCommandLine(args).kernel : [];
  lintRoot(config, kernel, say);
  if (typeof args === 'string') {
    lintLine(config, version, args, kernel, say);
    lintArguments(config, version, kernel, say);
  } else if (args === undefined || args === null) {
    say(
      'note',
      at,
      'There are no boot arguments.',
      'Firecracker’s own turn the serial port off (8250.nr_uarts=0): a guest that fails says nothing.',
      'Write them out: console=ttyS0 reboot=k panic=1.',
    );
  }
}

function lintRoot(config: Section, kernel: readonly BootToken[], say: Say): void {
  const initrd = typeof section(config, 'boot-source')['initrd_path'] === 'string';
  const told = lastValue(kernel, 'root');
  const root = rootOf(config);
  const roots = [
    ...list(config, 'drives').flatMap((drive, i) => (drive['is_root_device'] === true ? [`/drives/${i}/is_root_device`] : [])),
    ...list(config, 'pmem').flatMap((pmem, i) => (pmem['root_device'] === true ? [`/pmem/${i}/root_device`] : [])),
  ];
  if (roots[1] !== undefined)
    say('error', roots[1], `There are ${roots.length} root devices.`, 'Firecracker refuses the second.', 'Keep one.');
  if (root === null) {
    if (told === null && !initrd)
      say(
        'error',
        '/drives',
        'Nothing is the root device.',
        'The kernel panics: unable to mount root fs.',
        'Set is_root_device on a drive, write root=, or give an initrd.',
      );
    return;
  }
  if (initrd)
    say(
      'warning',
      root.at,
      'There are an initrd and a root device.',
      `Firecracker appends ${root.argument}, which the initrd may obey.`,
      'Let the initrd choose: set is_root_device to false, unless it is meant to read root=.',
    );
  if (told !== null) {
    const same = `root=${told}` === root.argument;
    say(
      same ? 'note' : 'warning',
      at,
      `The boot arguments have root=${told}, and ${root.at} is the root device.`,
      `Firecracker appends ${root.argument}, and the kernel takes the last one.`,
      'Keep one: drop root=, or set is_root_device to false.',
    );
  }
  const mode = kernel.findLast(({ text }) => text === 'ro' || text === 'rw')?.text;
  if (mode !== undefined && (mode === 'ro') !== root.readOnly)
    say(
      'warning',
      at,
      `The boot arguments have ${mode}, and the root device is ${root.readOnly ? 'read-only' : 'writable'}.`,
      `Firecracker appends ${root.readOnly ? 'ro' : 'rw'}, and the kernel takes the last one: the root is mounted ${root.readOnly ? 'read-only' : 'read-write'}.`,
      root.readOnly ? 'Drop rw, or set is_read_only to false.' : 'Drop ro, or set is_read_only to true.',
    );
}

function lintLine(config: Section, version: Version, args: string, kernel: readonly BootToken[], say: Say): void {
  const own = Buffer.byteLength(args.trim());
  if (args.includes('\0')) say('error', at, 'The boot arguments hold a NUL.', 'Firecracker cannot hand such a line over.', 'Remove it.');
  else if (!/^[\x20-\x7e]*$/.test(args.trim()))
    say(
      'warning',
      at,
      'The boot arguments hold characters that are not printable ASCII.',
      'Firecracker hands them over as they are; the kernel takes line ends, tabs and the byte a0 for spaces.',
      'Write them as one line of ASCII.',
    );
  if (own > mostLineBytes) {
    say('error', at, `The boot arguments have ${own} bytes.`, `Firecracker takes ${mostLineBytes}, as the kernel does.`, 'Shorten them.');
    return;
  }
  const root = rootOf(config);
  const appended = [
    ...(has(version, 'appendsPciOff') ? ['pci=off'] : []),
    ...(root === null ? [] : [root.argument, root.readOnly ? 'ro' : 'rw']),
    ...Array.from({ length: deviceCount(config) }, (_, i) => mmioToken(version, i)),
  ];
  const all = own + appended.reduce((sum, token) => sum + 1 + token.length, 0);
  if (all > mostLineBytes)
    say(
      'error',
      at,
      `The boot arguments have ${own} bytes, and ${all} with what Firecracker appends.`,
      `It takes ${mostLineBytes} in all, and refuses to start the VM (Invalid kernel command line).`,
      `Shorten them by ${all - mostLineBytes} bytes.`,
    );
  if (kernel.some(({ key }) => canonicalKey(key) === 'virtio_mmio.device'))
    say(
      'warning',
      at,
      'virtio_mmio.device= is written by hand.',
      'Firecracker appends one for each of its devices: the kernel finds this one twice, or where nothing is.',
      'Drop it.',
    );
}
