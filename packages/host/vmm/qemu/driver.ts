/**
 * QEMU's `microvm` as a Vmm. A boot is one unit (tools/units.ts); what it is doing is asked from its QMP socket, and a socket that does
 * not answer says nothing: only the unit decides between alive and ended.
 */
import { join } from 'node:path';
import type { BootId } from '@linstock/contract';
import type { Marked, StepOutcome } from '@linstock/core';
import type { GuestTarget } from '../../guest/channel.ts';
import { KeyedQueue } from '../../keyed-queue.ts';
import { sizeIfThere } from '../../tools/files.ts';
import { bootFile } from '../../tools/paths.ts';
import { commandOf } from '../../tools/procs.ts';
import { describeExit, type UnitExit, type Units } from '../../tools/units.ts';
import { lastWordsOf } from '../last-words.ts';
import type { LaunchOrder, LaunchPlan, Vmm, VmmAbility, VmmSight } from '../vmm.ts';
import { planQemu, usesAcpi, type QemuHost } from './plan.ts';
import { QmpRefusal, QmpSilence, record, withQmp, type Qmp } from './qmp.ts';

/** A healthy QEMU answers in 1 ms; one that shares two cores with many others may need a hundred times that. */
const LOOK_TIMEOUT_MS = 500;
const COMMAND_TIMEOUT_MS = 3_000;

/** By its name and not by its program: whoever attends a boot need not know which one launched it. */
function isNamed(argv: readonly string[], boot: BootId): boolean {
  return argv[argv.indexOf('-name') + 1] === boot;
}

const commands = { pause: 'stop', resume: 'cont', 'ask-off': 'system_powerdown' } as const;

export class QemuVmm implements Vmm {
  readonly name = 'qemu';
  readonly version: string;
  readonly can: ReadonlySet<VmmAbility>;
  readonly accelerator: 'kvm' | 'tcg';
  readonly disk = 'qcow2';
  readonly #host: QemuHost;
  readonly #units: Units;
  /** QEMU serves one client at a time: those of this process queue here instead of at the socket. */
  readonly #queue = new KeyedQueue();

  constructor(parts: { host: QemuHost; version: string; units: Units }) {
    this.#host = parts.host;
    this.#units = parts.units;
    this.version = parts.version;
    this.accelerator = parts.host.accelerator;
    // The power button is ACPI's; a guest without a listener ignores it, and the way down then ends it after its time.
    this.can = new Set<VmmAbility>(['pause', 'agent-virtio-serial', ...(usesAcpi(parts.host) ? (['ask-off'] as const) : [])]);
  }

  plan(order: LaunchOrder): LaunchPlan {
    return planQemu(order, this.#host);
  }

  async launch(plan: LaunchPlan, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    return await this.#units.launch({ ...plan, folder }, signal);
  }

  async look(boot: BootId, folder: string): Promise<VmmSight> {
    const unit = await this.#units.look(boot, folder);
    if (unit.is === 'absent') return unit;
    if (unit.is === 'ended') return { is: 'ended', ...(await this.#whyEnded(folder, unit.exit)) };
    const paused = await this.#talk(
      boot,
      folder,
      LOOK_TIMEOUT_MS,
      undefined,
      async (qmp) => record(await qmp.execute('query-status'))['status'] === 'paused',
    );
    if (paused !== null) return { is: 'alive', paused };
    // It was silent: it has not opened its socket yet, it is busy, or it has ended since the first look.
    const now = await this.#units.look(boot, folder);
    return now.is === 'ended' ? { is: 'ended', ...(await this.#whyEnded(folder, now.exit)) } : { is: 'alive', paused: false };
  }

  /** Part of a proof, where silence would be told as a fact: so it is given more time than a look. */
  async ask(boot: BootId, folder: string): Promise<{ version: string; pid: number | null } | null> {
    const version = await this.#talk(boot, folder, COMMAND_TIMEOUT_MS, undefined, async (qmp) => qmp.version);
    return version === null ? null : { version, pid: await this.#units.programOf(boot, folder, (pid) => isNamed(commandOf(pid), boot)) };
  }

  async command(boot: BootId, folder: string, command: 'pause' | 'resume' | 'ask-off', signal: AbortSignal): Promise<StepOutcome> {
    const done = await this.#talk(boot, folder, COMMAND_TIMEOUT_MS, signal, async (qmp) => {
      try {
        await qmp.execute(commands[command]);
      } catch (error) {
        // It says no when the command does not fit its state, as `cont` after a guest has shut down. The next look says which.
        if (!(error instanceof QmpRefusal)) throw error;
      }
      return true;
    });
    if (done !== null) return { is: 'done' };
    // nobody answers: when it has ended there is nobody to command, and the look after this one says so
    const unit = await this.#units.look(boot, folder);
    return unit.is === 'alive' ? { is: 'busy', lookAgainInMs: 100 } : { is: 'done' };
  }

  async end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    return await this.#units.end(boot, folder, signal);
  }

  async agentOf(_: BootId, folder: string): Promise<GuestTarget> {
    return { is: 'serial', path: join(folder, bootFile.agent) };
  }

  async inventory(): Promise<readonly Marked[]> {
    return this.#units.names().map((boot) => ({ kind: 'vmm', name: boot, owner: boot }));
  }

  /** null when it is silent; an abort is thrown. */
  async #talk<T>(
    boot: BootId,
    folder: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    use: (qmp: Qmp) => Promise<T>,
  ): Promise<T | null> {
    return this.#queue.run(boot, async () => {
      try {
        return await withQmp({ folder, socket: bootFile.qmp }, { timeoutMs, signal }, use);
      } catch (error) {
        if (error instanceof QmpSilence || error instanceof QmpRefusal) return null;
        throw error;
      }
    });
  }

  /**
   * QEMU ends with 0 when the guest ended (or when its memory is too small to hold the kernel), and with 1 after it said on stderr what it
   * could not do. It says such things later as well, so only an end before the first byte on the console is a refusal. 126 and 127 are
   * the shell's: there is no such program.
   */
  async #whyEnded(folder: string, exit: UnitExit | null): Promise<{ hint: string; refused: boolean }> {
    const words = await lastWordsOf(join(folder, bootFile.vmmLog));
    const silent = ((await sizeIfThere(join(folder, bootFile.console))) ?? 0) === 0;
    const refused = exit !== null && (exit.code === 126 || exit.code === 127 || (exit.code === 1 && silent && words !== ''));
    return { hint: `QEMU ended ${describeExit(exit)}${words === '' ? '' : `: ${words}`}`, refused };
  }
}
