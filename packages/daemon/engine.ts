import { anySignal, FaultError, type Fault, type Instant } from '@linstock/contract';
import type { Change, Decision, Lease, Seen, Step, StepOutcome, Store, Ticket, Vm } from '@linstock/core';

/**
 * Rent, observe, decide, perform, commit. The engine knows no VM, only a program and a store.
 *
 * - One worker per subject, by rent and fence; one step at a time; a step whose rent is lost is aborted.
 * - No input but the row: timer, hint and wake all mean "look at it".
 * - Nothing is saved on the way out, because nothing needs saving: stopping is the crash path with manners.
 */
export type Program = {
  observe(vm: Vm): Promise<Seen>;
  decide(vm: Vm, seen: Seen, now: Instant): Decision;
  perform(step: Step, vm: Vm, ticket: Ticket): Promise<StepOutcome>;
};

export type EngineParts = {
  store: Store;
  program: Program;
  /** wall clock, `ms` */
  now(): Instant;
  /** resolves after that time or when the signal fires; injected so that tests own time */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  worker: string;
  /** subjects in work at once: most of a turn is waiting for tools, so more than cores */
  atOnce: number;
  onTurn?(vm: Vm, entry: { decision: string; outcome: string; ms: number }): void;
};

/** A rent is renewed when a third of it is over; it lasts 30 s in the store. */
const renewEveryMs = 10_000;
/** Upper bound of an idle sleep: hints may be lost, so the table is read at least this often. */
const longestSleepMs = 5_000;

export class Engine {
  readonly #parts: EngineParts;
  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /** Works until the signal fires; rejects only on a bug. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, sleep, atOnce } = this.#parts;
    const inWork = new Set<Promise<void>>();
    let bug: { error: unknown } | null = null;
    let nudge = new AbortController();
    const unsubscribe = store.onWake(() => nudge.abort());
    const stop = (): void => nudge.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted && bug === null) {
        const wakeup = nudge;
        const { leases, forMs } = await this.#look(atOnce - inWork.size);
        for (const lease of leases) {
          const work: Promise<void> = this.serve(lease, signal)
            .catch((error: unknown) => {
              bug = { error };
            })
            .finally(() => {
              inWork.delete(work);
              nudge.abort();
            });
          inWork.add(work);
        }
        if (leases.length > 0) continue;
        if (!wakeup.signal.aborted) await sleep(forMs, wakeup.signal);
        if (wakeup.signal.aborted && !signal.aborted) nudge = new AbortController();
      }
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', stop);
      await Promise.allSettled(inWork);
    }
    if (bug !== null) throw (bug as { error: unknown }).error;
  }

  /** What is due, or for how long nothing is. A store that cannot answer now (its disk is full) is asked again later. */
  async #look(room: number): Promise<{ leases: readonly Lease[]; forMs: number }> {
    const { store, now, worker } = this.#parts;
    // at the limit a due row cannot be rented: only a worker that ends can change that, and it nudges
    if (room <= 0) return { leases: [], forMs: longestSleepMs };
    try {
      const leases = await store.rent(worker, now(), room);
      if (leases.length > 0) return { leases, forMs: 0 };
      const due = await store.nextDue();
      return { leases, forMs: due === null ? longestSleepMs : Math.max(0, Math.min(due - now(), longestSleepMs)) };
    } catch (error) {
      stumbleOf(error, 'rent'); // throws what is a bug
      return { leases: [], forMs: longestSleepMs };
    }
  }

  /** Rents what is due and serves each until it waits or rests; how many there were. Tests drive time with this. */
  async tick(signal: AbortSignal): Promise<number> {
    const { store, now, worker, atOnce } = this.#parts;
    const leases = await store.rent(worker, now(), atOnce);
    for (const lease of leases) await this.serve(lease, signal);
    return leases.length;
  }

  /** Turns of one subject, until it waits, rests, stumbles or is lost. */
  async serve(first: Lease, signal: AbortSignal): Promise<void> {
    const { store, program, now } = this.#parts;
    let lease = first;
    while (!signal.aborted) {
      const began = now();
      let what = 'observe';
      try {
        const seen = await program.observe(lease.vm);
        const decision = program.decide(lease.vm, seen, now());
        what = nameOf(decision);
        if (decision.do === 'rest') return await store.nap(lease, null, now());
        if (decision.do === 'wait') return await store.nap(lease, now() + decision.forMs, now());
        let change: Change;
        if (decision.do === 'record') change = decision.change;
        else {
          const outcome = await this.#perform(lease, decision, signal);
          if (outcome.is === 'overtaken') return;
          if (outcome.is === 'busy') return await store.nap(lease, now() + outcome.lookAgainInMs, now());
          change = decision.then;
        }
        const next = await store.commit(lease, change, now(), this.#history(lease.vm, what, 'done', began));
        if (next === null) return; // another worker has it now; what was done will be found done
        lease = next;
      } catch (error) {
        if (signal.aborted) return; // the rent runs out, and the next worker looks again
        const fault = stumbleOf(error, what);
        this.#history(lease.vm, what, fault.code, began);
        return await this.#stumble(lease, fault, signal);
      }
    }
  }

  /** The reason is kept where people read it. A disk too full even for that must not end the controller: the rent runs out by itself. */
  async #stumble(lease: Lease, fault: Fault, signal: AbortSignal): Promise<void> {
    const { store, now, sleep } = this.#parts;
    try {
      await store.stumble(lease, fault, now());
    } catch (error) {
      stumbleOf(error, 'keep the reason'); // throws what is a bug
      await sleep(longestSleepMs, signal);
    }
  }

  async #perform(
    lease: Lease,
    decision: Decision & { do: 'perform' },
    signal: AbortSignal,
  ): Promise<{ is: 'done' } | { is: 'busy'; lookAgainInMs: number } | { is: 'overtaken' }> {
    const over = new AbortController();
    const lost = new AbortController();
    const keeping = this.#keepRent(lease, over.signal, lost);
    try {
      const ticket = { fence: lease.fence, signal: anySignal([signal, lost.signal]) };
      return await this.#parts.program.perform(decision.step, lease.vm, ticket);
    } catch (error) {
      if (lost.signal.aborted) return { is: 'overtaken' }; // the step was told to let go: whoever has the VM now looks at what is there
      throw error;
    } finally {
      over.abort();
      await keeping;
    }
  }

  /** Renews the rent until the step is over; a rent that is lost, or cannot be renewed, ends the step. Never rejects. */
  async #keepRent(lease: Lease, over: AbortSignal, lost: AbortController): Promise<void> {
    const { store, now, sleep } = this.#parts;
    try {
      while (!over.aborted) {
        await sleep(renewEveryMs, over);
        if (!over.aborted && !(await store.renew(lease, now()))) return lost.abort(new Error('the rent was lost'));
      }
    } catch (error) {
      lost.abort(error); // the database does not answer: without a rent nobody may act
    }
  }

  #history(
    vm: Vm,
    decision: string,
    outcome: string,
    began: Instant,
  ): { at: Instant; phase: string; decision: string; outcome: string; ms: number } {
    const at = this.#parts.now();
    this.#parts.onTurn?.(vm, { decision, outcome, ms: at - began });
    return { at, phase: vm.phase, decision, outcome, ms: at - began };
  }
}

function nameOf(decision: Decision): string {
  switch (decision.do) {
    case 'perform':
      return decision.step;
    case 'record':
      return decision.change.phase ? `→ ${decision.change.phase}` : 'record';
    case 'wait':
    case 'rest':
      return decision.do;
  }
}

/**
 * A failed tool or system call is a stumble: it will be tried again, and the fault says why.
 * Anything else is a bug of ours and ends the process: a supervisor restarts it, and the rows are as they were.
 */
export function stumbleOf(error: unknown, step: string): Fault {
  if (FaultError.is(error)) return error.fault;
  if (error instanceof Error && 'stumble' in error && typeof error.stumble === 'string') {
    return { code: 'tool-failed', data: { step, hint: error.stumble } };
  }
  if (error instanceof Error && 'syscall' in error && 'code' in error) return systemFault(error as NodeJS.ErrnoException, step);
  throw error;
}

function systemFault(error: NodeJS.ErrnoException, step: string): Fault {
  const path = error.path ?? 'the state folder';
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return { code: 'host-disk-full', data: { path, freeMiB: 0 } };
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return { code: 'host-lacks-permission', data: { what: `${error.syscall} ${path}`, hint: error.code } };
    default:
      return { code: 'tool-failed', data: { step, hint: `${error.syscall ?? 'system call'} ${path}: ${error.code ?? error.message}` } };
  }
}
