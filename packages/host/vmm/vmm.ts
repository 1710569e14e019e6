import type { BootId } from '@linstock/contract';
import type { Marked, StepOutcome, VmSettings, Wiring } from '@linstock/core';
import type { GuestTarget } from '../guest/channel.ts';
import type { UnitLimits } from '../tools/cgroup-limits.ts';

/** What a VMM of this version can do; the rest is refused with a reason, never tried. */
export type VmmAbility = 'ask-off' | 'pause' | 'snapshot' | 'agent-virtio-serial' | 'agent-vsock';

/** Everything a launch depends on, chosen before anything is made. */
export type LaunchOrder = {
  boot: BootId;
  vm: { settings: Pick<VmSettings, 'memoryMiB' | 'vcpus' | 'network' | 'firecracker'> };
  wiring: Wiring;
  /** the resolved boot arguments, without what the VMM itself needs */
  bootArgs: readonly string[];
  /** absolute paths */
  files: { kernel: string; initrd: string | null; disk: string };
  /** the folder of this boot, absolute: console, sockets, logs; made before the launch, kept after it */
  folder: string;
};

/** What will be run and written, computed before anything is. Golden-tested as data. */
export type LaunchPlan = {
  boot: BootId;
  argv: readonly string[];
  /** network namespace to run in; null = the host's */
  netns: string | null;
  /**
   * `addedForVmm` is what this VMM and accelerator need, told to the VMM together with the given ones (before a `--`);
   * `appendedByVmm` is what the VMM appends by itself
   */
  commandLine: { given: readonly string[]; addedForVmm: readonly string[]; appendedByVmm: readonly string[] };
  /** to be written before anything runs; an empty text means that the file must be there, and what is in it stays */
  files: readonly { path: string; text: string; mode: number }[];
  /** where standard output goes, a file of the folder; the VMM's log when absent, as standard error always */
  output?: 'console.log';
  /** what all of it may use together; absent: no limits */
  limits?: UnitLimits;
  /** what a VMM shut in a folder finds there; absent for one that is not */
  jail?: JailPlan;
};

export type JailPlan = {
  /** the folder that becomes `/` for the VMM */
  root: string;
  /** whom the VMM runs as, and who owns `plan.files` and every link that is `own` */
  owner: { uid: number; gid: number };
  /** `shared` may be read and is somebody else's; `own` is this VM's, and is the very file, never a copy */
  links: readonly { from: string; to: string; is: 'shared' | 'own' }[];
};

export type VmmSight =
  | { is: 'absent' }
  | { is: 'alive'; paused: boolean }
  /** `refused`: the VMM gave up by its own word before the guest ran, so trying again without a change is useless */
  | { is: 'ended'; hint: string; refused: boolean };

/** One kind of hypervisor on this host. Conformance: testkit/vmm-suite.ts. */
export interface Vmm {
  readonly name: 'qemu' | 'firecracker' | 'stub';
  readonly version: string;
  readonly can: ReadonlySet<VmmAbility>;
  /** what its guests run on */
  readonly accelerator: 'kvm' | 'tcg' | 'none';
  /** the format of disk that it takes */
  readonly disk: 'qcow2' | 'raw';
  /** Pure. */
  plan(order: LaunchOrder): LaunchPlan;
  /** Adopts the unit when it is already there; never runs anything for a boot that has left a trace of having run. */
  launch(plan: LaunchPlan, folder: string, signal: AbortSignal): Promise<StepOutcome>;
  /** From the unit, the socket and /proc; never from a handle. Never throws because something is missing. */
  look(boot: BootId, folder: string): Promise<VmmSight>;
  /** What its own API answers; null when it does not. `pid` is the VMM's, read from the unit at this moment. */
  ask(boot: BootId, folder: string): Promise<{ version: string; pid: number | null } | null>;
  /** Where the guest's agent is to be reached; null when this VMM has no guest with one. */
  agentOf(boot: BootId, folder: string): Promise<GuestTarget | null>;
  /** busy when the VMM does not answer at present; done when there is nobody to command. */
  command(boot: BootId, folder: string, command: 'pause' | 'resume' | 'ask-off', signal: AbortSignal): Promise<StepOutcome>;
  /** Done only when nothing in the unit is left; keeps the folder. */
  end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome>;
  inventory(): Promise<readonly Marked[]>;
}
