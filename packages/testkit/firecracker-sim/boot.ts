/** The command line that the kernel gets (vmm/src/builder.rs) and what a guest then prints. */
import { closeSync, openSync, readSync } from 'node:fs';
import { at as inJail } from './jail-paths.ts';
import { fits, joinLine, splitLine } from './kernel-line.ts';
import { osError } from './output.ts';
import { Refused, type Resources } from './resources.ts';
import { atLeast, type SimVersion } from './versions.ts';

/** Used only when no boot_args are given; an empty string is given. */
export function defaultBootArgs(version: SimVersion): string {
  if (atLeast(version, '1.13.0')) return 'reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce';
  const nopnp = atLeast(version, '1.12.0') ? '' : ' i8042.nopnp';
  return `reboot=k panic=1 pci=off nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux${nopnp} i8042.dumbkbd`;
}

export type BootOptions = { pci: boolean; timer: boolean };

/**
 * In the order in which the real one adds: pci=off first, then each device as it is attached, with root= just before the first drive. All
 * goes before a ` -- `, behind which stand the arguments of init.
 */
export function commandLine(version: SimVersion, resources: Resources, { pci, timer }: BootOptions): string {
  const given = resources.bootSource?.boot_args ?? defaultBootArgs(version);
  const { boot: own, init } = splitLine(given);
  const added: string[] = [];
  const newLayout = atLeast(version, '1.13.0');
  // The boot timer takes the first address; the new layout keeps that one free for it.
  let at = newLayout ? 0xc000_1000 : timer ? 0xd000_1000 : 0xd000_0000;
  // in 1.14 VMGenID is the first to get one
  let irq = atLeast(version, '1.14.0') && !atLeast(version, '1.15.0') ? 6 : 5;
  const attach = (): void => {
    if (pci) return;
    added.push(`virtio_mmio.device=4K@0x${at.toString(16)}:${irq}`);
    at += 0x1000;
    irq += 1;
  };
  if (newLayout && !pci) added.push('pci=off');
  if (resources.balloon) attach();
  for (const drive of resources.drives) {
    if (drive.is_root_device) {
      added.push(drive.partuuid === null ? 'root=/dev/vda' : `root=PARTUUID=${drive.partuuid}`, drive.is_read_only === true ? 'ro' : 'rw');
    }
    attach();
  }
  for (const _ of resources.nets) attach();
  for (const [index, pmem] of resources.pmem.entries()) {
    if (pmem.root_device) added.push(`root=/dev/pmem${index}`, pmem.read_only ? 'ro' : 'rw');
    attach();
  }
  if (resources.vsock) attach();
  if (resources.entropy) attach();
  if (resources.memoryHotplug) attach();
  const line = joinLine({ boot: [own, ...added].filter((part) => part !== '').join(' '), init });
  if (!fits(line)) throw new Refused('Invalid kernel command line: Inserting string would make command line too long.');
  const most = atLeast(version, '1.15.0') ? 17 : 18; // vmm/src/arch/x86_64/layout.rs
  const count = (at - (newLayout ? 0xc000_1000 : timer ? 0xd000_1000 : 0xd000_0000)) / 0x1000;
  if (count > most)
    throw new Refused(
      'Could not attach device: MMIO transport error: Failed to allocate requested resource: The requested resource is not available.',
    );
  return line;
}

/** An uncompressed ELF only; looked at when the VM starts and not before (vmm/src/builder.rs). */
export function checkKernel(version: SimVersion, path: string): void {
  const head = Buffer.alloc(64);
  const prefix = `${atLeast(version, '1.12.0') ? 'System configuration error: ' : ''}Cannot load kernel due to invalid memory configuration or invalid kernel image: Kernel Loader: failed to load ELF kernel image`;
  // linux-loader says why from 0.13.0 on, with which 1.10.0 is built
  const refused = (why: string): Refused => new Refused(atLeast(version, '1.10.0') ? `${prefix}: Kernel Loader: ${why}` : prefix);
  let length: number;
  try {
    const fd = openSync(inJail(path), 'r');
    length = readSync(fd, head);
    closeSync(fd);
  } catch (error) {
    throw refused(`Unable to read ELF header (${osError(error)})`);
  }
  if (length < 64) throw refused('Unable to read ELF header');
  if (head.readUInt32BE(0) !== 0x7f45_4c46) throw refused('Invalid Elf magic number');
}

export type GuestEnd = 'resets' | 'triple-faults' | 'spins';

/** True when the line leaves a serial console to the guest: the default arguments do not. */
export function hasSerial(line: string): boolean {
  return /(?:^| )console=ttyS0\b/.test(line) && !/(?:^| )8250\.nr_uarts=0\b/.test(line);
}

export function kernelLines(line: string, vcpus: number, memoryMiB: number, drives: number, nets: number): string[] {
  return [
    'Linux version 6.1.0-sim (linstock@sim) (gcc 12) #1 SMP PREEMPT_DYNAMIC',
    `Command line: ${line}`,
    'BIOS-provided physical RAM map:',
    `BIOS-e820: [mem 0x0000000000100000-0x${(memoryMiB * 0x10_0000 - 1).toString(16).padStart(16, '0')}] usable`,
    'Hypervisor detected: KVM',
    `smpboot: Allowing ${vcpus} CPUs, 0 hotplug CPUs`,
    `Kernel command line: ${line}`,
    `Memory: ${memoryMiB * 1024 - 24_000}K/${memoryMiB * 1024}K available`,
    'serial8250: ttyS0 at I/O 0x3f8 (irq = 4, base_baud = 115200) is a U6_16550A',
    ...Array.from({ length: drives }, (_, i) => `virtio_blk virtio${i}: [vd${'abcdefghijklmnopqrst'[i]}] 131072 512-byte logical blocks`),
    ...Array.from({ length: nets }, (_, i) => `virtio_net virtio${drives + i} eth${i}: registered`),
  ];
}

/** With the time stamp that printk writes. */
export function printk(lines: readonly string[]): string[] {
  return lines.map((text, index) => `[    ${(index * 0.0041).toFixed(6)}] ${text}`);
}

/** What a panic leads to (vmm/src/vstate/vcpu.rs): panic=N resets after N seconds, panic=0 and none spin for ever. */
export function afterPanic(line: string): { secondsMs: number; end: GuestEnd } {
  const seconds = Number([...line.matchAll(/(?:^| )panic=(-?\d+)/g)].at(-1)?.[1] ?? 0);
  if (seconds === 0) return { secondsMs: 0, end: 'spins' };
  return { secondsMs: Math.max(0, seconds) * 1000, end: afterReboot(line) };
}

/** The i8042 line is what makes Firecracker exit; a kernel that is not told tries that one in the end; `reboot=t` is a triple fault (arch/x86/kernel/reboot.c). */
export function afterReboot(line: string): GuestEnd {
  const kind = [...line.matchAll(/(?:^| )reboot=(\S+)/g)].at(-1)?.[1] ?? 'k';
  if (kind.startsWith('t')) return 'triple-faults';
  return kind.startsWith('k') || kind.startsWith('a') ? 'resets' : 'spins';
}
