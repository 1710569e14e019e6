/**
 * A Vmm without a VM: a trivial process in a real unit. Benches and crash tests use it to have a thousand real lives for the price of a
 * thousand `sleep`s. Its guest is up when console.log says `linstock-init: ready`.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BootId } from '@linstock/contract';
import type { Marked, StepOutcome } from '@linstock/core';
import { bootFile } from '../../tools/paths.ts';
import { stateOfPid } from '../../tools/procs.ts';
import { describeExit, type Units } from '../../tools/units.ts';
import { lastWordsOf } from '../last-words.ts';
import type { LaunchOrder, LaunchPlan, Vmm, VmmAbility, VmmSight } from '../vmm.ts';

const guest = fileURLToPath(new URL('guest', import.meta.url));
const signals = { pause: 'SIGSTOP', resume: 'SIGCONT', 'ask-off': 'SIGTERM' } as const;

export class StubVmm implements Vmm {
  readonly name = 'stub';
  readonly version = '1';
  readonly can: ReadonlySet<VmmAbility> = new Set<VmmAbility>(['pause', 'ask-off']);
  readonly accelerator = 'none';
  readonly disk = 'qcow2';
  readonly #units: Units;
  readonly #program: readonly string[];

  /** `program` is what benches execute in place of ours; it is called in the same way. */
  constructor(parts: { units: Units; program?: string | null }) {
    this.#units = parts.units;
    this.#program = parts.program ? [parts.program] : ['/bin/sh', guest];
  }

  plan(order: LaunchOrder): LaunchPlan {
    return {
      boot: order.boot,
      argv: [...this.#program, order.files.kernel, order.bootArgs.join(' ')],
      netns: order.vm.settings.network.kind === 'bridge' ? order.wiring.netns : null,
      commandLine: { given: order.bootArgs, addedForVmm: [], appendedByVmm: [] },
      files: [],
    };
  }

  async launch(plan: LaunchPlan, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    return await this.#units.launch({ ...plan, folder }, signal);
  }

  async look(boot: BootId, folder: string): Promise<VmmSight> {
    const unit = await this.#units.look(boot, folder);
    if (unit.is === 'absent') return unit;
    if (unit.is === 'alive') {
      const pid = await this.#units.programOf(boot, folder, () => true);
      return { is: 'alive', paused: pid !== null && stateOfPid(pid) === 'T' };
    }
    const words = await lastWordsOf(join(folder, bootFile.vmmLog));
    return {
      is: 'ended',
      hint: `the stub ended ${describeExit(unit.exit)}${words === '' ? '' : `: ${words}`}`,
      refused: unit.exit?.code === 1,
    };
  }

  async ask(boot: BootId, folder: string): Promise<{ version: string; pid: number | null } | null> {
    const pid = await this.#units.programOf(boot, folder, () => true);
    return pid === null ? null : { version: this.version, pid };
  }

  async command(boot: BootId, folder: string, command: 'pause' | 'resume' | 'ask-off', _signal: AbortSignal): Promise<StepOutcome> {
    await this.#units.signal(boot, folder, signals[command]);
    return { is: 'done' };
  }

  async end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    return await this.#units.end(boot, folder, signal);
  }

  async agentOf(): Promise<null> {
    return null;
  }

  async inventory(): Promise<readonly Marked[]> {
    return this.#units.names().map((boot) => ({ kind: 'vmm', name: boot, owner: boot }));
  }
}
