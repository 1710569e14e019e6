import type { BootId } from '@linstock/contract';

/**
 * How many guests may be on their way up at once. Under TCG a boot is a CPU-second of emulation: more at once than
 * cores makes each slower than its deadline. Only a queue: what it forgets in a crash costs nothing but order.
 */
export class BootGate {
  readonly #most: number;
  readonly #inside = new Set<BootId>();
  constructor(most: number) {
    this.#most = most;
  }
  /** True when the boot may go (or already went); false = ask again later. */
  enter(boot: BootId): boolean {
    if (this.#inside.has(boot)) return true;
    if (this.#inside.size >= this.#most) return false;
    this.#inside.add(boot);
    return true;
  }
  leave(boot: BootId): void {
    this.#inside.delete(boot);
  }
}
