import type { Network, PromisedPort } from '@linstock/contract';
import type { Wiring } from '@linstock/core';
import type { ImageFile } from './image-files.ts';

/** What a look at the host needs to know of one boot. */
export type HostOrder = {
  mark: string;
  network: Network;
  wiring: Wiring;
  ports: readonly PromisedPort[];
  boot: string;
  stateFolder: string;
  /** what the boot is made of */
  files: readonly ImageFile[];
  /** the boot still has its lease: what answers at its address is this VM's doing */
  live: boolean;
  /** there is a guest that could answer */
  guest: boolean;
};
