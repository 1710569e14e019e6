import type { BootView, Diagnosis, EvidenceBundle, Goal, Operation, Reply, VmSpecInput, VmView } from '@linstock/contract';
import type { BackOff } from './back-off.ts';
import { signalOf, type CallOptions, type Calls } from './calls.ts';
import { Exec } from './exec.ts';
import { waitFor, type Waited, type WaitOptions } from './waiting.ts';

type ActionName = 'vm.start' | 'vm.stop' | 'vm.pause' | 'vm.resume' | 'vm.verify' | 'vm.delete';

export type ActOptions = WaitOptions &
  Pick<CallOptions, 'idempotencyKey' | 'ifMatch'> & {
    /** what to wait for; `accepted` (at once) when absent */
    until?: Goal;
    /** told as soon as the wish is recorded, before any waiting */
    onAccepted?: (vm: VmView) => void;
  };
export type CreateOptions = ActOptions;
export type DeleteOptions = ActOptions;

/** `reached: false` means that the time was up before the goal; the operation goes on. */
export type Changed = { vm: VmView; operation: Operation | null; reached: boolean };

export type ExecOptions = { timeoutMs?: number; cwd?: string; env?: Record<string, string>; signal?: AbortSignal };
export type ConsoleOptions = { boot?: string; from?: number; follow?: boolean; signal?: AbortSignal };
export type VmListOptions = { name?: string; deleted?: boolean; pageSize?: number; signal?: AbortSignal };

/**
 * The VMs of a controller. A change is two requests: the wish, whose answer names the VM at once, and then waiting.
 * A connection lost while waiting therefore never leaves a VM whose id nobody learned.
 */
export class Vms {
  readonly #calls: Calls;
  readonly #backOff: BackOff;
  constructor(calls: Calls, backOff: BackOff) {
    this.#calls = calls;
    this.#backOff = backOff;
  }

  async create(spec: VmSpecInput, options: CreateOptions = {}): Promise<Changed> {
    return this.#settle(await this.#calls.json('vm.create', { body: spec }, callOptions(options)), options);
  }

  /** Every VM, page after page. */
  async *list(options: VmListOptions = {}): AsyncGenerator<VmView> {
    let after: string | undefined;
    do {
      const page: Reply<'vm.list'> = await this.#calls.json(
        'vm.list',
        {
          query: {
            ...(after === undefined ? {} : { after }),
            ...(options.pageSize === undefined ? {} : { limit: options.pageSize }),
            ...(options.name === undefined ? {} : { name: options.name }),
            ...(options.deleted === undefined ? {} : { deleted: options.deleted ? 'true' : 'false' }),
          },
        },
        signalOf(options),
      );
      yield* page.items;
      // the same cursor again would never end
      if (page.next === after) return;
      after = page.next ?? undefined;
    } while (after !== undefined);
  }

  show(vm: string, options: { signal?: AbortSignal } = {}): Promise<VmView> {
    return this.#calls.json('vm.show', { params: { id: vm } }, options);
  }

  proof(vm: string, options: { signal?: AbortSignal } = {}): Promise<Reply<'vm.proof'>> {
    return this.#calls.json('vm.proof', { params: { id: vm } }, options);
  }

  /** Everything that can be told of its newest boot, as one document that another person can open. */
  evidence(vm: string, options: { signal?: AbortSignal } = {}): Promise<EvidenceBundle> {
    return this.#calls.json('vm.evidence', { params: { id: vm } }, options);
  }

  /** Why its newest boot is as it is, by evidence that is taken now. */
  diagnosis(vm: string, options: { signal?: AbortSignal } = {}): Promise<Diagnosis> {
    return this.#calls.json('vm.diagnosis', { params: { id: vm } }, options);
  }

  /** The newest boot of a VM; null before its first. */
  async boot(vm: string, options: { signal?: AbortSignal } = {}): Promise<BootView | null> {
    const { boot } = await this.show(vm, options);
    return boot === null ? null : this.#calls.json('boot.show', { params: { id: boot } }, options);
  }

  wait(vm: string, goal: Goal, options: WaitOptions = {}): Promise<Waited> {
    return waitFor(this.#calls, this.#backOff, vm, goal, options);
  }

  start(vm: string, options: ActOptions = {}): Promise<Changed> {
    return this.#act('vm.start', vm, options);
  }
  stop(vm: string, options: ActOptions = {}): Promise<Changed> {
    return this.#act('vm.stop', vm, options);
  }
  pause(vm: string, options: ActOptions = {}): Promise<Changed> {
    return this.#act('vm.pause', vm, options);
  }
  resume(vm: string, options: ActOptions = {}): Promise<Changed> {
    return this.#act('vm.resume', vm, options);
  }
  /** Has the conditions examined again. */
  verify(vm: string, options: ActOptions = {}): Promise<Changed> {
    return this.#act('vm.verify', vm, options);
  }
  delete(vm: string, options: DeleteOptions = {}): Promise<Changed> {
    return this.#act('vm.delete', vm, options);
  }

  /** Runs a command in the guest; resolves when the controller took it. */
  async exec(vm: string, argv: readonly string[], options: ExecOptions = {}): Promise<Exec> {
    const { signal, ...rest } = options;
    const answer = await this.#calls.stream('vm.exec', { params: { id: vm }, body: { argv: [...argv], ...rest } }, signalOf({ signal }));
    return new Exec(answer.body);
  }

  /** The raw serial output, as the guest wrote it: clean it before it reaches a terminal. */
  async *console(vm: string, options: ConsoleOptions = {}): AsyncGenerator<Uint8Array> {
    const query = {
      ...(options.boot === undefined ? {} : { boot: options.boot }),
      ...(options.from === undefined ? {} : { from: options.from }),
      ...(options.follow === true ? { follow: 'true' as const } : {}),
    };
    const answer = await this.#calls.stream('vm.console', { params: { id: vm }, query }, signalOf(options));
    try {
      yield* answer.body;
    } finally {
      answer.body.destroy(); // a caller who leaves the loop must not keep the connection
    }
  }

  async #act(name: ActionName, vm: string, options: ActOptions): Promise<Changed> {
    return this.#settle(await this.#calls.json(name, { params: { id: vm } }, callOptions(options)), options);
  }

  async #settle(reply: { vm: VmView; operation: Operation | null }, options: ActOptions): Promise<Changed> {
    options.onAccepted?.(reply.vm);
    if (options.until === undefined || options.until === 'accepted') return { ...reply, reached: true };
    const { vm, reached } = await this.wait(reply.vm.id, options.until, options);
    return { vm, operation: reply.operation, reached };
  }
}

function callOptions(options: ActOptions): CallOptions {
  return {
    ...signalOf(options),
    ...(options.idempotencyKey === undefined ? {} : { idempotencyKey: options.idempotencyKey }),
    ...(options.ifMatch === undefined ? {} : { ifMatch: options.ifMatch }),
  };
}
