/**
 * The kernel's command line under Firecracker, pure: what we add to a guest's arguments, and what Firecracker appends to what it is told,
 * token by token. x86 only. Its own default arguments never count: arguments that are given replace them entirely
 * (vmm/src/vmm_config/boot_source.rs).
 * Sources: vmm/src/builder.rs build_microvm_for_boot and attach_block_devices, arch/x86_64/layout.rs, at v1.9.1, v1.13.0 and v1.16.1.
 */
import { canonicalKey, mostLineBytes, tokenOf, type Version } from '@linstock/core';
import type { LaunchPlan } from '../vmm.ts';
import { has } from './versions.ts';

export type CommandLineOrder = {
  version: Version;
  given: readonly string[];
  memoryMiB: number;
  hasInitrd: boolean;
  /** virtio devices in the order in which Firecracker attaches them: balloon, drives, interfaces, pmem, vsock, entropy, memory */
  devices: number;
  pci: boolean;
};

export type FirecrackerCommandLine = {
  commandLine: LaunchPlan['commandLine'];
  /** the value of boot_args */
  told: string;
  /** whether Firecracker is to append `root=`, by is_root_device of the drive */
  rootByVmm: boolean;
};

export function commandLineOf(order: CommandLineOrder): FirecrackerCommandLine {
  const dashes = order.given.indexOf('--');
  const end = dashes === -1 ? order.given.length : dashes;
  const keys = new Set(order.given.slice(0, end).map((token) => canonicalKey(tokenOf(token).key)));
  // Firecracker appends its root= behind ours and the last one counts, so whoever names a root device must be its only owner. With an
  // initrd the root is what the initrd makes it, and a root= that nobody asked for would lead it astray.
  const rootByVmm = !keys.has('root') && !order.hasInitrd;
  const addedForVmm = needs(order)
    // somebody who set it by hand gets what they asked for
    .filter((token) => !keys.has(canonicalKey(tokenOf(token).key)));
  const appendedByVmm = [
    ...(has(order.version, 'appendsPciOff') && !order.pci ? ['pci=off'] : []),
    ...(rootByVmm ? ['root=/dev/vda', 'rw'] : []),
    ...(order.pci ? [] : Array.from({ length: order.devices }, (_, i) => mmioToken(order.version, i))),
  ];
  const told = [...order.given.slice(0, end), ...addedForVmm, ...order.given.slice(end)].join(' ');
  return { commandLine: { given: order.given, addedForVmm, appendedByVmm }, told, rootByVmm };
}

/** The whole line as the guest sees it: what Firecracker appends stands before a `--` as well (linux-loader). */
export function effectiveLine({ given, addedForVmm, appendedByVmm }: LaunchPlan['commandLine']): readonly string[] {
  const dashes = given.indexOf('--');
  const end = dashes === -1 ? given.length : dashes;
  return [...given.slice(0, end), ...addedForVmm, ...appendedByVmm, ...given.slice(end)];
}

function needs({ version, memoryMiB, pci }: CommandLineOrder): string[] {
  return [
    // a reboot by the keyboard controller is the only way by which an x86 guest ends Firecracker; ACPI has no power switch here
    'reboot=k',
    // the kernel's own default is to stand still after a panic, for ever and unnoticed
    'panic=1',
    // from 1.13 on it appends this itself, also to a line that is given
    ...(has(version, 'appendsPciOff') || pci ? [] : ['pci=off']),
    // of the keyboard controller only what SendCtrlAltDel needs; i8042.nopnp hides it from a guest with ACPI (fixed default in 1.12)
    'i8042.noaux',
    'i8042.nomux',
    'i8042.dumbkbd',
    // Firecracker offers no device that bounces buffers, and where RAM reaches above 4 GiB the kernel would set 64 MiB aside for it
    ...(memoryMiB > (has(version, 'gibibyteGap') ? 3_072 : 3_328) ? ['swiotlb=noforce'] : []),
  ];
}

/** 4 KiB each from the first address of devices on, interrupts from the first of the ISA bus that is free. */
export function mmioToken(version: Version, device: number): string {
  const base = has(version, 'gibibyteGap') ? 0xc000_1000 : 0xd000_0000;
  const irq = has(version, 'vmgenidFirst') ? 6 : 5;
  return `virtio_mmio.device=4K@0x${(base + device * 0x1000).toString(16)}:${irq + device}`;
}

/** Why the line does not fit; null when it does. Firecracker's buffer, CMDLINE_MAX_SIZE, is as long as the kernel's. */
export function refusalOfLine(commandLine: LaunchPlan['commandLine']): string | null {
  const bytes = Buffer.byteLength(effectiveLine(commandLine).join(' '));
  if (bytes <= mostLineBytes) return null;
  return `With what Firecracker needs and appends the boot arguments have ${bytes} bytes, and the kernel reads ${mostLineBytes}: shorten or remove some.`;
}
