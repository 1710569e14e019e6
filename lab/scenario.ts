/** A scenario of the lab: one thing broken on purpose on a real guest or its host side, and the truth about it. */
import type { GoldenManifest, Outcome, VmSpecInput } from '@linstock/contract';
import type { Bench } from './bench.ts';
import type { Forge } from './forge.ts';

export type Truth = {
  outcome: Outcome;
  /** the one first cause; null: nothing is wrong, and no cause may be called likely */
  code: string | null;
  /** what may stand beside it, being true as well */
  alsoTrue?: readonly string[];
};

export type Scenario = {
  name: string;
  /** in one sentence: what is broken, or what looks broken and is not */
  breaks: string;
  truth: Truth;
  /** in the default test command */
  fast?: true;
  /** kernels built without an option, which are not in the repository */
  needs?: 'kernels';
  vm?: Omit<VmSpecInput, 'name' | 'golden' | 'network'>;
  /** another golden image than `tiny`, made on purpose; null: what it needs is not here */
  golden?(forge: Forge): Promise<GoldenManifest | null>;
  /** how long the boot is waited for, seconds: for one that never settles */
  withinSeconds?: number;
  /** after the guest has settled; what it changes on the host is undone by `bench.undo` */
  break?(bench: Bench): Promise<void>;
  /** whether the conditions are examined again after that */
  reprove?: true;
};
