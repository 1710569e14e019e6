import type { VmId } from '@linstock/contract';

/** Wake-up hints for one reader. Doubled ones melt into one; nothing breaks when one is lost. */
export class HintQueue {
  readonly #waiting = new Set<VmId>();
  #ring: (() => void) | null = null;

  push(vm: VmId): void {
    this.#waiting.add(vm);
    this.#ring?.();
  }

  async *read(signal: AbortSignal): AsyncGenerator<VmId> {
    while (!signal.aborted) {
      for (const vm of this.#waiting) {
        this.#waiting.delete(vm);
        yield vm;
      }
      if (this.#waiting.size > 0) continue;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          this.#ring = null;
          resolve();
        };
        this.#ring = done;
        signal.addEventListener('abort', done, { once: true });
        if (signal.aborted || this.#waiting.size > 0) done();
      });
    }
  }
}
