/**
 * A unit is everything that runs for one boot. It outlives the daemon, and it is found again by the name of its boot, never by a
 * remembered pid. Promises:
 * - a boot is launched at most once: the file `ran` in its folder is created exclusively, by the keeper before it runs the program, or by
 *   `end` so that a keeper that comes late finds the door shut;
 * - `end` is done only when nothing of the unit is left.
 *
 * What a crash costs:
 *
 *   spawned, not in the unit    absent: launched again; of the two keepers one gets `ran`, the other leaves
 *   in the unit, no `ran`       alive while the keeper lives (launch says busy); an empty unit without a trace is absent: launched now
 *   `ran`                       alive while anything is in the unit, else ended; never launched again
 *
 * With root and a writable cgroup v2 a unit is a cgroup `linstock-<mark>/<boot>`; else it is every process with the variable
 * `LINSTOCK_UNIT=<mark>/<boot>`, which all that the keeper starts inherit.
 */
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FaultError, isId, type BootId } from '@linstock/contract';
import type { StepOutcome } from '@linstock/core';
import { ensureBornIn } from './born-in.ts';
import { limit, memoryKills, passControllers, type UnitLimits } from './cgroup-limits.ts';
import { isAbsence, readTextIfThere, writeDurably } from './files.ts';
import { bootFile } from './paths.ts';
import { aliveSince, bears, cgroup2Mount, pidsBearing, readKernelFile, signalPid, valuesOf, type EnvMark } from './procs.ts';
import { Starter } from './starter.ts';

export type UnitExit = {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** true when `end` of this class did it */
  onRequest: boolean;
  /** host time of the end, `ms` since the epoch */
  at: number;
};

export type UnitSight =
  | { is: 'absent' }
  /** `ran` is false while the keeper has joined and not yet run anything */
  | { is: 'alive'; pids: readonly number[]; ran: boolean }
  /** `exit` is null when nobody was left to tell: the keeper itself was killed */
  | { is: 'ended'; exit: UnitExit | null };

/** `output` gets standard output, `vmm.log` when absent; both are files of the folder that are appended to. */
export type UnitOrder = {
  boot: BootId;
  folder: string;
  netns: string | null;
  argv: readonly string[];
  output?: 'console.log';
  /** what it may use, where units are cgroups with controllers */
  limits?: UnitLimits;
};

/** A keeper starts in 15 ms on an idle machine; a loaded one may need a hundred times that. */
const START_TIMEOUT_MS = 5_000;
/** How long `end` watches a killed unit before it says busy: only a process stuck in the kernel (D) needs longer. */
const END_TIMEOUT_MS = 3_000;
/** What the keeper and the VMM find in their environment besides the mark. */
const SURROUNDINGS = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' } as const;
/** What `end` leaves in `exit` when it killed the unit, keeper and all. */
const ON_REQUEST = 'on-request';

const keeper = fileURLToPath(new URL('../vmm/keep', import.meta.url));

export class Units {
  readonly mark: string;
  readonly ends: string;
  /** The folder of our cgroups; null when units are found by their mark in the environment. */
  readonly cgroup: string | null;

  /** runs a program in a cgroup from its birth; null where that cannot be done */
  readonly #bornIn: string | null;
  readonly #starter: Starter;

  constructor(options: { mark: string; ends: string; cgroup: string | null; starter?: Starter }) {
    this.#starter = options.starter ?? new Starter();
    this.#bornIn = options.cgroup === null ? null : ensureBornIn(join(dirname(options.ends), 'born-in'));
    this.mark = options.mark;
    this.ends = options.ends;
    this.cgroup = options.cgroup;
  }

  /** Cgroups where we may make them, the environment mark elsewhere. */
  static open(options: { mark: string; ends: string; starter?: Starter }): Units {
    const mount = process.getuid?.() === 0 ? cgroup2Mount() : null;
    if (mount === null) return new Units({ ...options, cgroup: null });
    const cgroup = join(mount, `linstock-${options.mark}`);
    try {
      mkdirSync(cgroup, { recursive: true });
      passControllers(cgroup);
      return new Units({ ...options, cgroup });
    } catch {
      // EACCES, EROFS, EPERM: a container shows us a cgroup mount that is not ours to change; the mark works there as well.
      return new Units({ ...options, cgroup: null });
    }
  }

  async look(boot: BootId, folder: string): Promise<UnitSight> {
    // In this order, because that is the order in which a life happens: who is seen to have run was in the unit before, so an empty unit
    // after that look is an end; and the keeper writes `exit` before it leaves, so a look after the unit was empty finds it.
    const ran = await readTextIfThere(join(folder, bootFile.ran));
    const pids = this.#pids(boot, ran);
    if (ran === undefined) return pids.length > 0 ? { is: 'alive', pids, ran: false } : { is: 'absent' };
    const exit = await readExit(join(folder, bootFile.exit));
    return exit === null && pids.length > 0 ? { is: 'alive', pids, ran: true } : { is: 'ended', exit };
  }

  /** Makes the unit run; adopts it when it does already; done when the trace is there, whether or not the program still runs. */
  async launch(order: UnitOrder, signal: AbortSignal): Promise<StepOutcome> {
    signal.throwIfAborted();
    const sight = await this.look(order.boot, order.folder);
    if (sight.is === 'ended' || (sight.is === 'alive' && sight.ran)) return { is: 'done' };
    if (sight.is === 'alive') return { is: 'busy', lookAgainInMs: 20 };
    const cgroup = this.#cgroupOf(order.boot);
    mkdirSync(this.ends, { recursive: true });
    if (cgroup !== null) mkdirSync(cgroup, { recursive: true });
    if (cgroup !== null && order.limits !== undefined) limit(cgroup, order.limits);
    const start = await this.#starter.start(
      [
        ...(cgroup !== null && this.#bornIn !== null ? ([this.#bornIn, cgroup, '/bin/sh'] as const) : (['/bin/sh'] as const)),
        keeper,
        order.boot,
        cgroup ?? '-',
        order.netns ?? '-',
        order.folder,
        this.ends,
        order.output ?? bootFile.vmmLog,
        ...order.argv,
      ],
      { env: { ...SURROUNDINGS, LINSTOCK_UNIT: `${this.mark}/${order.boot}` }, timeoutMs: START_TIMEOUT_MS, signal },
    );
    if ((await readTextIfThere(join(order.folder, bootFile.ran))) !== undefined) return { is: 'done' };
    signal.throwIfAborted();
    if (start.is === 'late') return { is: 'busy', lookAgainInMs: 50 };
    const hint = start.is === 'missing' ? `/bin/sh: ${start.errno}` : start.words.trim() || 'its keeper left without a word';
    throw new FaultError('tool-failed', { step: 'launch', hint });
  }

  /** Kills all of it and waits until it is empty; afterwards nothing of this boot can ever run. */
  async end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    // one that had ended before was not ended by us, whoever saw it or not
    const wasEnded = (await this.look(boot, folder)).is === 'ended';
    const door = shutTheDoor(join(folder, bootFile.ran));
    const until = performance.now() + END_TIMEOUT_MS;
    const dying = new Map<number, string>();
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      signal.throwIfAborted();
      this.#kill(boot, dying);
      if (this.#isEmpty(boot) && areGone(dying) && this.#dropCgroup(boot)) break;
      if (performance.now() > until) return { is: 'busy', lookAgainInMs: 200 };
      await wait(pauseMs, undefined, { signal });
    }
    if (!wasEnded && door === 'shut' && (await readExit(join(folder, bootFile.exit))) === null) {
      await writeDurably(join(folder, bootFile.exit), `${ON_REQUEST}\n`);
    }
    // the hint was for a watcher; whoever ends a unit knows
    await rm(join(this.ends, boot), { force: true });
    return { is: 'done' };
  }

  /** Sends a signal to every process of the unit but its keeper, which ignores those of a terminal and must not be stopped. */
  async signal(boot: BootId, folder: string, signal: NodeJS.Signals): Promise<void> {
    const ran = await readTextIfThere(join(folder, bootFile.ran));
    for (const pid of this.#pids(boot, undefined)) if (pid !== Number(ran)) signalPid(pid, signal);
  }

  /** Whether the kernel killed in this unit because it used up its memory; known until `end`. */
  ranOutOfMemory(boot: BootId): boolean {
    const cgroup = this.#cgroupOf(boot);
    return cgroup !== null && memoryKills(cgroup) > 0;
  }

  /** The process of the unit that fits; null when there is none. Read now, true now. */
  async programOf(boot: BootId, folder: string, fits: (pid: number) => boolean): Promise<number | null> {
    const keeperPid = Number(await readTextIfThere(join(folder, bootFile.ran)));
    return this.#pids(boot, undefined).find((pid) => pid !== keeperPid && fits(pid)) ?? null;
  }

  /** Every boot of which something is here: a process or an empty cgroup. */
  names(): BootId[] {
    const names = this.cgroup === null ? this.#namesByMark() : listIfThere(this.cgroup);
    return names.filter((name) => isId('boot', name)).toSorted();
  }

  /** For a purge: the folder of our cgroups, once it is empty. */
  dropFolder(): void {
    if (this.cgroup === null) return;
    try {
      rmdirSync(this.cgroup);
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }

  #namesByMark(): string[] {
    return [...valuesOf('LINSTOCK_UNIT')].filter((value) => value.startsWith(`${this.mark}/`)).map((value) => basename(value));
  }

  #envMark(boot: BootId): EnvMark {
    return `LINSTOCK_UNIT=${this.mark}/${boot}`;
  }

  #cgroupOf(boot: BootId): string | null {
    return this.cgroup === null ? null : join(this.cgroup, boot);
  }

  /** `ran` holds the keeper's pid: where a look must search all of /proc it says where to look first, and is believed only if it fits. */
  #pids(boot: BootId, ran: string | undefined): number[] {
    const cgroup = this.#cgroupOf(boot);
    if (cgroup !== null) return pidsOfCgroup(cgroup);
    const keeperPid = Number(ran);
    if (keeperPid > 0 && bears(keeperPid, this.#envMark(boot))) return [keeperPid];
    return pidsBearing(this.#envMark(boot));
  }

  #isEmpty(boot: BootId): boolean {
    return this.#pids(boot, undefined).length === 0;
  }

  /** `dying` gets whom only we can wait for: the kernel keeps count of who is in a cgroup, and nobody of who bears a mark. */
  #kill(boot: BootId, dying: Map<number, string>): void {
    const cgroup = this.#cgroupOf(boot);
    if (cgroup !== null) {
      try {
        // atomic against forks; Linux 5.14 and newer
        writeFileSync(join(cgroup, 'cgroup.kill'), '1', { flag: 'r+' });
        return;
      } catch (error) {
        // ENOENT: no such cgroup, then there are no pids below either; or an older kernel, then they are killed one by one.
        if (!isAbsence(error)) throw error;
      }
    }
    for (const pid of this.#pids(boot, undefined)) {
      const since = aliveSince(pid);
      if (since !== undefined) dying.set(pid, since);
      signalPid(pid, 'SIGKILL');
    }
  }

  /** False while the kernel still counts somebody in it. */
  #dropCgroup(boot: BootId): boolean {
    const cgroup = this.#cgroupOf(boot);
    if (cgroup === null) return true;
    try {
      rmdirSync(cgroup);
      return true;
    } catch (error) {
      if (isAbsence(error)) return true;
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
      throw error;
    }
  }
}

function areGone(dying: ReadonlyMap<number, string>): boolean {
  return [...dying].every(([pid, since]) => aliveSince(pid) !== since);
}

/** In words: `exit code 1`, `signal SIGKILL`. */
export function describeExit(exit: UnitExit | null): string {
  if (exit === null) return 'in a way that nobody saw, because its keeper was killed as well';
  if (exit.onRequest) return 'on request';
  return exit.signal === null ? `with exit code ${exit.code}` : `by signal ${exit.signal}`;
}

export async function readExit(path: string): Promise<UnitExit | null> {
  const text = (await readTextIfThere(path))?.trim();
  if (text === undefined) return null;
  const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (text === ON_REQUEST) return { code: null, signal: 'SIGKILL', onRequest: true, at };
  const status = /^\d{1,3}$/.test(text) ? Number(text) : null;
  const signal = status !== null && status > 128 ? signalNamed(status - 128) : null;
  return { code: signal === null ? status : null, signal, onRequest: false, at };
}

function signalNamed(number: number): NodeJS.Signals | null {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found === undefined ? null : (found[0] as NodeJS.Signals);
}

function pidsOfCgroup(cgroup: string): number[] {
  const text = readKernelFile(join(cgroup, 'cgroup.procs'))?.toString('latin1') ?? '';
  return text.split('\n').filter(Boolean).map(Number);
}

/** From now on this file is there, unless there is no folder to hold it, and then no keeper can run anything in it either. */
function shutTheDoor(path: string): 'shut' | 'no-folder' {
  try {
    closeSync(openSync(path, 'wx'));
  } catch (error) {
    if (isAbsence(error)) return 'no-folder';
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return 'shut';
}

function listIfThere(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}
