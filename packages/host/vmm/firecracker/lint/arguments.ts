/**
 * What single boot arguments do to a guest of Firecracker. Pure.
 * Sources: kernel/params.c, net/ipv4/ipconfig.c, arch/x86/kernel/reboot.c, drivers/tty/serial/8250 of Linux; vmm/src/builder.rs.
 */
import { type BootToken, canonicalKey, checkTemplate, lastValue, parseAddress, tokenOf, type Version } from '@linstock/core';
import { has } from '../versions.ts';
import { list, quoted, section, type Say, type Section } from './finding.ts';

const at = '/boot-source/boot_args';

export function lintArguments(config: Section, version: Version, kernel: readonly BootToken[], say: Say): void {
  lintTokens(kernel, say);
  lintConsole(kernel, say);
  lintEnd(kernel, say);
  lintMachine(config, version, kernel, say);
  lintIp(config, kernel, say);
}

function lintTokens(kernel: readonly BootToken[], say: Say): void {
  for (const { code, token } of checkTemplate(kernel.map(({ text }) => text))) {
    if (code === 'unbalanced-quote') {
      say(
        'error',
        at,
        `${quoted(token)} has a double quote without its partner.`,
        'It swallows all that follows, what Firecracker appends included.',
        'Close it, or leave it out.',
      );
    } else if (code === 'broken-value') {
      say(
        'warning',
        at,
        `${quoted(token)} looks like a value that was never filled in.`,
        'Whatever wrote the file had none.',
        'Set it, or leave it out.',
      );
    } else if (code === 'placeholder') {
      say(
        'warning',
        at,
        `${quoted(token)} holds a placeholder.`,
        'Firecracker fills none: the kernel gets it as it is.',
        'Write the value.',
      );
    } else if (code === 'doubled-key') {
      const { key } = tokenOf(token);
      if (key === 'ip') continue; // said by lintIp
      const before = kernel.find((other) => canonicalKey(other.key) === canonicalKey(key))?.text;
      say(
        'warning',
        at,
        before === undefined || before === token ? `${quoted(token)} stands twice.` : `${quoted(token)} comes after ${quoted(before)}.`,
        'Most parameters keep the last value, a few the first.',
        'Keep one of them.',
      );
    }
  }
}

function lintConsole(kernel: readonly BootToken[], say: Say): void {
  const serial = kernel.some(({ key, value }) => key === 'console' && value?.startsWith('ttyS') === true);
  const off = lastValue(kernel, '8250.nr_uarts') === '0';
  if (serial && off)
    say(
      'warning',
      at,
      'console=ttyS… and 8250.nr_uarts=0 exclude each other.',
      'There is no serial port, so there is no console.',
      'Drop 8250.nr_uarts=0.',
    );
  else if (!serial)
    say(
      'note',
      at,
      off ? 'The serial port is off (8250.nr_uarts=0).' : 'There is no console=ttyS0.',
      'The guest’s kernel says nothing to Firecracker’s standard output, whatever happens to it.',
      `${off ? 'Drop 8250.nr_uarts=0 and add' : 'Add'} console=ttyS0 to see it boot.`,
    );
}

function lintEnd(kernel: readonly BootToken[], say: Say): void {
  // a triple fault ends Firecracker as well, and the exit code is another (arch/x86/kernel/reboot.c, vstate/vcpu.rs)
  const ways = (lastValue(kernel, 'reboot') ?? '').split(',').map((way) => way[0]);
  if (!ways.includes('k') && !ways.includes('t'))
    say(
      'warning',
      at,
      'reboot=k is missing.',
      'A guest that reboots may not end Firecracker: it has no power switch, and the reset line of the keyboard controller is what ends it.',
      'Add reboot=k.',
    );
  const panic = lastValue(kernel, 'panic');
  if (panic === null || panic === '' || Number(panic) === 0)
    say(
      'warning',
      at,
      panic === null ? 'panic= is missing.' : `panic=${panic} means for ever.`,
      'After a panic the guest stands still, and Firecracker with it.',
      'Add panic=1.',
    );
  if (kernel.some(({ key }) => key === 'i8042.nopnp'))
    say(
      'warning',
      at,
      'i8042.nopnp hides the keyboard controller from a guest with ACPI.',
      'SendCtrlAltDel has no effect then.',
      'Leave it out.',
    );
}

function lintMachine(config: Section, version: Version, kernel: readonly BootToken[], say: Say): void {
  const pci = kernel.some(({ text }) => text === 'pci=off');
  if (pci && has(version, 'appendsPciOff'))
    say(
      'note',
      at,
      'pci=off is there already.',
      `Firecracker ${version.text} appends it itself, unless it runs with --enable-pci, and then the guest must not have it: it would find no device.`,
      'Leave it out.',
    );
  if (!pci && !has(version, 'appendsPciOff'))
    say(
      'warning',
      at,
      'pci=off is missing.',
      `Firecracker ${version.text} does not append it to arguments that are given: the kernel looks for a PCI bus, which costs time.`,
      'Add pci=off.',
    );
  if (lastValue(kernel, 'acpi') === 'off')
    say(
      'note',
      at,
      'acpi=off hides the tables in which Firecracker names its devices.',
      'They are then found only by a kernel with X86_MPPARSE and VIRTIO_MMIO_CMDLINE_DEVICES; one without sees no disk.',
      'Leave it out.',
    );
  const memory = section(config, 'machine-config')['mem_size_mib'];
  if (typeof memory === 'number' && memory > (has(version, 'gibibyteGap') ? 3_072 : 3_328) && lastValue(kernel, 'swiotlb') === null)
    say(
      'note',
      at,
      'swiotlb=noforce is missing.',
      'With RAM above 4 GiB the kernel sets 64 MiB aside that nothing here needs.',
      'Add swiotlb=noforce.',
    );
}

const automatic = new Set(['dhcp', 'on', 'any', 'both', 'bootp', 'rarp']);

/** ip=CLIENT:SERVER:GATEWAY:MASK:HOST:DEVICE:AUTOCONF (Linux, Documentation/admin-guide/nfs/nfsroot.rst). */
function lintIp(config: Section, kernel: readonly BootToken[], say: Say): void {
  const warn = (what: string, why: string, fix: string): void => say('warning', at, what, why, fix);
  const all = kernel.filter(({ key }) => key === 'ip');
  const value = all.at(-1)?.value ?? '';
  const interfaces = list(config, 'network-interfaces').length;
  if (all.length === 0 || value === 'off' || value === 'none') return;
  if (all.length > 1)
    warn(
      `ip= stands ${all.length} times.`,
      'The kernel sets up one interface, by the last of them.',
      'Keep one, and let the image set up the others.',
    );
  if (interfaces === 0)
    return warn(
      'There is ip=, and no network interface.',
      'The kernel has nothing to give the address to.',
      'Add an interface, or drop ip=.',
    );
  if (interfaces > 1)
    say(
      'note',
      at,
      `There are ${interfaces} interfaces and one ip=.`,
      'The kernel sets up one of them.',
      'Let the image set up the others.',
    );
  if (automatic.has(value))
    return say(
      'note',
      at,
      `ip=${value} asks a server for the address.`,
      'Firecracker has none: one must answer on the TAP, and the kernel needs IP_PNP_DHCP; without an answer the boot waits.',
      'Write the address, or run a DHCP server on the TAP.',
    );
  const [client = '', , gateway = '', mask = '', , device = ''] = value.split(':');
  const address = parseAddress(client);
  if (address === null)
    return warn(
      `${quoted(client)} in ip= is no IPv4 address.`,
      'The kernel reads something else, or nothing.',
      'Write ip=ADDRESS::GATEWAY:NETMASK::eth0:off.',
    );
  const bits = maskOf(mask);
  if (mask === '')
    say(
      'note',
      at,
      'ip= names no netmask.',
      'The kernel guesses one by the class of the address: 10.x gets /8, 172.16.x gets /16.',
      'Write it, such as 255.255.255.0.',
    );
  else if (bits === null)
    warn(`${quoted(mask)} in ip= is no netmask.`, 'The kernel reads it as an address: 24 is 24.0.0.0.', 'Write it as 255.255.255.0.');
  const way = gateway === '' ? null : parseAddress(gateway);
  if (gateway !== '' && (way === null || (bits !== null && Math.floor(way / bits) !== Math.floor(address / bits))))
    warn(
      `The gateway ${quoted(gateway)} is not in the network of ${client}/${mask}.`,
      'The kernel sets no route to it (IP-Config: Gateway not on directly connected network).',
      'Give the address of the TAP or bridge on the host, in the same network.',
    );
  const number = /^eth(\d{1,3})$/.exec(device)?.[1];
  if (number !== undefined && Number(number) >= interfaces)
    warn(
      `ip= names ${device}, and there ${interfaces === 1 ? 'is one interface' : `are ${interfaces} interfaces`}.`,
      'The kernel names them eth0 and on, in the order of this file.',
      'Name one of those.',
    );
}

/** How many addresses a network of this mask has; null for what is no mask. */
function maskOf(text: string): number | null {
  const mask = parseAddress(text);
  if (mask === null || mask === 0) return null;
  const size = 2 ** 32 - mask;
  return Number.isInteger(Math.log2(size)) ? size : null;
}
