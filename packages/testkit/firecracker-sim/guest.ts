/** The guest that is not there: what it prints, and how it ends (vmm/src/vstate/vcpu.rs). */
import { afterPanic, afterReboot, hasSerial, kernelLines, printk, type GuestEnd } from './boot.ts';
import type { Fates } from './fates.ts';
import type { Output } from './output.ts';

export type GuestParts = {
  line: string;
  vcpus: number;
  memoryMiB: number;
  drives: number;
  nets: number;
  serial: Output;
  fates: Fates;
  /** a restored guest goes on where it was: it prints no banner */
  restored: boolean;
  paused(): boolean;
  /** called once, when the guest has ended by itself */
  ended(how: GuestEnd): void;
  ready(): void;
};

export class SimGuest {
  readonly #parts: GuestParts;
  #over = false;
  #keys = false;
  isReady = false;

  constructor(parts: GuestParts) {
    this.#parts = parts;
  }

  run(): void {
    const { line, vcpus, memoryMiB, drives, nets, restored, fates, ready } = this.#parts;
    if (!restored) {
      const lines = kernelLines(line, vcpus, memoryMiB, drives, nets);
      this.#print(printk(fates.has('guest-hangs') ? lines.slice(0, 1) : lines));
    }
    if (fates.has('guest-hangs')) return;
    if (fates.has('guest-without-root')) {
      this.#print([
        'VFS: Cannot open root device "vda" or unknown-block(0,0): error -6',
        'Please append a correct "root=" boot option; here are the available partitions:',
      ]);
      this.#panic('VFS: Unable to mount root fs on unknown-block(0,0)');
      return;
    }
    if (!restored) this.#print(['[    0.110000] Run /sbin/init as init process']);
    if (fates.has('guest-panics')) {
      this.#panic('Attempted to kill init! exitcode=0x00000100');
      return;
    }
    if (!restored) this.#print(['linstock-init: ready']);
    this.isReady = true;
    ready();
    if (fates.has('floods-console')) this.#flood();
    if (fates.has('guest-powers-off')) this.#print(['reboot: Power down', 'reboot: System halted']);
    else if (fates.has('guest-triple-faults')) this.#end('triple-faults');
    else if (fates.has('guest-reboots')) this.#reboot();
  }

  /**
   * Ctrl-Alt-Del reaches a guest that listens to its keyboard; init then reboots. With ACPI and i8042.nopnp, which stands in the default
   * arguments up to 1.11, the kernel finds no keyboard (vmm/src/builder.rs).
   */
  ctrlAltDel(): void {
    const { fates, line } = this.#parts;
    if (this.#keys || !this.isReady || fates.has('guest-ignores-keys') || /(?:^| )i8042\.nopnp\b/.test(line)) return;
    this.#keys = true;
    setImmediate(() => this.#reboot());
  }

  #reboot(): void {
    this.#print(['reboot: Restarting system', 'reboot: machine restart']);
    this.#end(afterReboot(this.#parts.line));
  }

  #panic(why: string): void {
    const after = afterPanic(this.#parts.line);
    this.#print([
      `Kernel panic - not syncing: ${why}`,
      'CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-sim #1',
      'Kernel Offset: disabled',
      after.end === 'spins' ? `---[ end Kernel panic - not syncing: ${why} ]---` : `Rebooting in ${after.secondsMs / 1000} seconds..`,
    ]);
    if (after.end === 'spins') return;
    setTimeout(() => this.#end(after.end), after.secondsMs);
  }

  /** A guest that stands still does nothing, also not end. */
  #end(how: GuestEnd): void {
    if (this.#over || how === 'spins') return;
    if (this.#parts.paused()) {
      setTimeout(() => this.#end(how), 5);
      return;
    }
    this.#over = true;
    this.#parts.ended(how);
  }

  #flood(): void {
    if (this.#over) return;
    if (!this.#parts.paused()) this.#parts.serial.write(`${'flood '.repeat(500)}\r\n`.repeat(20));
    setImmediate(() => this.#flood());
  }

  #print(lines: readonly string[]): void {
    // A line of a serial terminal ends with both.
    if (hasSerial(this.#parts.line)) this.#parts.serial.write(lines.map((text) => `${text}\r\n`).join(''));
  }
}
