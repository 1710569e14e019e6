/**
 * Firecracker as a Vmm. A boot is one unit (tools/units.ts) in which the keeper runs Firecracker or its jailer; what it is doing is asked from
 * its API, and an API that does not answer says nothing: only the unit decides between alive and ended. A process is never used again.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BootId } from '@linstock/contract';
import type { Marked, StepOutcome } from '@linstock/core';
import { constants } from 'node:os';
import type { GuestTarget } from '../../guest/channel.ts';
import { KeyedQueue } from '../../keyed-queue.ts';
import { sizeIfThere } from '../../tools/files.ts';
import { bootFile } from '../../tools/paths.ts';
import type { SocketPlace } from '../../tools/sockets.ts';
import { commandOf } from '../../tools/procs.ts';
import type { UnitExit, Units } from '../../tools/units.ts';
import { headOf, tailOf } from '../last-words.ts';
import type { LaunchOrder, LaunchPlan, Vmm, VmmAbility, VmmSight } from '../vmm.ts';
import type { Answer } from './answers.ts';
import { FirecrackerClient } from './client.ts';
import { saysStarted, saysStopping, whyEnded, whyStuck, type End, type Traces } from './exit.ts';
import { absentJail, ensureFiles, findJail, jailedBoots } from './jail.ts';
import { addMetrics, metricsIn, type Metrics } from './metrics.ts';
import { firecrackerFile } from './config.ts';
import { instanceIdOf, planFirecracker, type FirecrackerHost } from './plan.ts';

/** A healthy API answers in 1 ms; one that shares two cores with many others may need a hundred times that. */
const LOOK_DEADLINE_MS = 1_000;
const COMMAND_DEADLINE_MS = 3_000;
/** From its guest's end to its own it takes some 50 ms; one that has not come to it after so long never will (exit.ts, whyStuck). */
const STUCK_MS = 2_000;
/** Up to the line which says that the VM runs it logs a handful. */
const HEAD_BYTES = 16 * 1024;
/** Of each of log, errors, console: where an end is explained. */
const TAIL_BYTES = 16 * 1024;
/** Twenty minutes of a VM with all devices; sums of an end need no more. */
const METRICS_TAIL_BYTES = 512 * 1024;

export class FirecrackerVmm implements Vmm {
  readonly name = 'firecracker';
  readonly version: string;
  /**
   * Ctrl-Alt-Del reaches a guest that has a keyboard driver (x86; our arguments keep it visible, command-line.ts); one that has not ignores
   * it, and the way down then ends it after its time.
   */
  readonly can: ReadonlySet<VmmAbility> = new Set<VmmAbility>(['ask-off', 'pause', 'agent-vsock']);
  readonly accelerator = 'kvm';
  readonly disk = 'raw';
  readonly #host: FirecrackerHost;
  readonly #units: Units;
  /** Firecracker serves one request at a time and ten connections: those of this process queue here. */
  readonly #queue = new KeyedQueue();
  /** since when a look has seen it end, by the clock of performance.now() */
  readonly #stopping = new Map<BootId, number>();

  constructor(parts: { host: FirecrackerHost; units: Units }) {
    const { jailer } = parts.host;
    if (jailer !== null && parts.units.cgroup?.endsWith(`/${jailer.cgroup}`) !== true) {
      throw new Error(`a jailer needs units in cgroups, in ${jailer.cgroup}`);
    }
    this.#host = parts.host;
    this.#units = parts.units;
    this.version = parts.host.version.text;
  }

  plan(order: LaunchOrder): LaunchPlan {
    return planFirecracker(order, this.#host);
  }

  async launch(plan: LaunchPlan, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    signal.throwIfAborted();
    const unit = await this.#units.look(plan.boot, folder);
    // what has run, runs or ran: nothing is made for it any more
    if (unit.is === 'absent') await ensureFiles(plan);
    return await this.#units.launch({ ...plan, folder }, signal);
  }

  async look(boot: BootId, folder: string): Promise<VmmSight> {
    const unit = await this.#units.look(boot, folder);
    if (unit.is === 'absent') return unit;
    if (unit.is === 'ended') return await this.#ended(boot, folder, unit.exit);
    const answer = await this.#talk(boot, folder, (client) => client.instance({ deadlineMs: LOOK_DEADLINE_MS }));
    if (answer.is === 'ok') return { is: 'alive', paused: answer.value.state === 'Paused' };
    // It has not opened its socket yet, it is busy with something long, or it has ended since the first look.
    const now = await this.#units.look(boot, folder);
    if (now.is === 'ended') return await this.#ended(boot, folder, now.exit);
    if (await this.#isStuck(boot, folder)) return { is: 'ended', ...sightOf(whyStuck(await remainsOf(folder))) };
    return { is: 'alive', paused: false };
  }

  async ask(boot: BootId, folder: string): Promise<{ version: string; pid: number | null } | null> {
    const answer = await this.#talk(boot, folder, (client) => client.instance({ deadlineMs: LOOK_DEADLINE_MS }));
    if (answer.is !== 'ok') return null;
    const id = instanceIdOf(boot);
    const pid = await this.#units.programOf(boot, folder, (candidate) => {
      const argv = commandOf(candidate);
      // --exec-file is an argument of the jailer, which becomes Firecracker, and stands on the command line of what started it
      return argv.includes('--api-sock') && argv.includes(id) && !argv.includes('--exec-file');
    });
    return { version: answer.value.version, pid };
  }

  async command(boot: BootId, folder: string, command: 'pause' | 'resume' | 'ask-off', signal: AbortSignal): Promise<StepOutcome> {
    const options = { deadlineMs: COMMAND_DEADLINE_MS, signal };
    const answer = await this.#talk(boot, folder, (client) => {
      switch (command) {
        case 'pause':
          return client.setState('Paused', options);
        case 'resume':
          return client.setState('Resumed', options);
        case 'ask-off':
          return client.sendCtrlAltDel(options);
      }
    });
    // It says no when the command does not fit its state; the next look says which that is.
    if (answer.is === 'ok' || (answer.is === 'refused' && answer.kind !== 'too-many-connections')) return { is: 'done' };
    // nobody answers: when it has ended there is nobody to command, and the look after this one says so
    const unit = await this.#units.look(boot, folder);
    return unit.is === 'alive' ? { is: 'busy', lookAgainInMs: 100 } : { is: 'done' };
  }

  async end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    const outcome = await this.#units.end(boot, folder, signal);
    this.#stopping.delete(boot);
    if (outcome.is !== 'done') return outcome;
    // it leaves the names of its sockets behind, however it ends (nothing unlinks them in firecracker/src/main.rs)
    for (const name of [firecrackerFile.api, firecrackerFile.vsock]) await rm(join(folder, name), { force: true });
    if (this.#host.jailer !== null) await absentJail(this.#host.jailer.base, boot);
    return outcome;
  }

  async agentOf(boot: BootId, folder: string): Promise<GuestTarget> {
    const { folder: at, name } = await this.socketOf(boot, folder, 'vsock');
    return { is: 'vsock', path: join(at, name) };
  }

  async inventory(): Promise<readonly Marked[]> {
    const { jailer } = this.#host;
    const boots = new Set([...this.#units.names(), ...(jailer === null ? [] : await jailedBoots(jailer.base))]);
    return [...boots].toSorted().map((boot) => ({ kind: 'vmm', name: boot, owner: boot }));
  }

  /** Where a socket of a boot lies on the host: the API's, or that on which the host connects to the guest by vsock. */
  async socketOf(boot: BootId, folder: string, which: 'api' | 'vsock'): Promise<SocketPlace> {
    const jail = this.#host.jailer === null ? null : await findJail(this.#host.jailer.base, boot);
    return { folder: jail ?? folder, name: firecrackerFile[which] };
  }

  /**
   * A short conversation: connections that idle would be missing to others. Not before its VM runs: a request that waits while it is made
   * turns a start that fails into a panic, and what was wrong is said by nobody. Not when its guest has ended: a request then makes it hang
   * (exit.ts).
   */
  async #talk<T>(boot: BootId, folder: string, use: (client: FirecrackerClient) => Promise<Answer<T>>): Promise<Answer<T>> {
    return await this.#queue.run(boot, async () => {
      if (!(await runs(folder))) return { is: 'gone', why: 'its VM does not run' };
      const client = new FirecrackerClient({ place: await this.socketOf(boot, folder, 'api'), version: this.#host.version });
      try {
        return await use(client);
      } finally {
        client.close();
      }
    });
  }

  /** Only how long it was seen to be ending is remembered: a new driver waits again. */
  async #isStuck(boot: BootId, folder: string): Promise<boolean> {
    if (!(await stops(folder))) return false;
    const since = this.#stopping.get(boot) ?? performance.now();
    this.#stopping.set(boot, since);
    return performance.now() - since > STUCK_MS;
  }

  async #ended(boot: BootId, folder: string, exit: UnitExit | null): Promise<VmmSight> {
    return { is: 'ended', ...sightOf(await endOf(folder, exit, this.#units.ranOutOfMemory(boot))) };
  }
}

function sightOf({ hint, refused }: End): { hint: string; refused: boolean } {
  return { hint, refused };
}

/** The console is asked as well, because a full disk swallows lines of the log. */
async function runs(folder: string): Promise<boolean> {
  if (await stops(folder)) return false;
  return saysStarted(await headOf(join(folder, firecrackerFile.log), HEAD_BYTES)) || (await consoleBytes(folder)) > 0;
}

async function stops(folder: string): Promise<boolean> {
  return saysStopping(await tailOf(join(folder, firecrackerFile.log), TAIL_BYTES));
}

async function consoleBytes(folder: string): Promise<number> {
  return (await sizeIfThere(join(folder, bootFile.console))) ?? 0;
}

/** Why the VMM of this folder ended, from what it left there. */
export async function endOf(folder: string, exit: UnitExit | null, ranOutOfMemory: boolean): Promise<End> {
  return whyEnded({ ...(await remainsOf(folder)), status: statusOf(exit), onRequest: exit?.onRequest === true, ranOutOfMemory });
}

async function remainsOf(folder: string): Promise<Traces> {
  const tail = (name: string): Promise<string> => tailOf(join(folder, name), TAIL_BYTES);
  const [log, errors, console] = await Promise.all([tail(firecrackerFile.log), tail(bootFile.vmmLog), tail(bootFile.console)]);
  return { log, errors, console, consoleBytes: await consoleBytes(folder), metrics: await metricsOf(folder) };
}

/** As the keeper wrote it: for the codes of Firecracker above 128 the signal that they look like is undone. */
function statusOf(exit: UnitExit | null): number | null {
  if (exit === null) return null;
  return exit.code ?? (exit.signal === null ? null : 128 + constants.signals[exit.signal]);
}

async function metricsOf(folder: string): Promise<Metrics | null> {
  const text = await tailOf(join(folder, firecrackerFile.metrics), METRICS_TAIL_BYTES);
  return metricsIn(text).metrics.reduce<Metrics | null>(addMetrics, null);
}
