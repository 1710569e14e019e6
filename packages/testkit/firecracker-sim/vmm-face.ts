/** What the halves of the VMM thread share: given at the start, configured before the boot, true at the moment. */
import type { BootOptions, GuestEnd } from './boot.ts';
import type { Fates } from './fates.ts';
import type { SimGuest } from './guest.ts';
import type { Json } from './json.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { MmdsStore } from './mmds.ts';
import type { Output } from './output.ts';
import type { Resources } from './resources.ts';
import type { SimVersion } from './versions.ts';

export type VmmParts = {
  version: SimVersion;
  id: string;
  logger: Logger;
  metrics: Metrics;
  fates: Fates;
  standard: Output;
  boot: BootOptions;
  mmdsLimit: number;
  vsockPorts: ReadonlyMap<number, string>;
  /** the guest has ended the VM */
  ended(how: GuestEnd): void;
  ready(): void;
};

export type VmState = 'Not started' | 'Running' | 'Paused';

export type VmmFace = {
  readonly parts: VmmParts;
  readonly resources: Resources;
  readonly mmds: MmdsStore;
  readonly guest: SimGuest | null;
  state: VmState;
  /** the command line that the kernel got */
  readonly line: string;
  /** host→guest vsock no longer works */
  vsockHangs: boolean;
  flushMetrics(): void;
  /** devices are told that the processors run */
  kick(): void;
  instance(): Json;
};
