/**
 * The client of a Linstock controller.
 *
 *     await using linstock = connect({ url: 'http://127.0.0.1:7420' });
 *     const { vm } = await linstock.vms.create({ name: 'web' }, { until: 'verified' });
 *
 * `call` is the whole API, typed by the route table; the nouns on top of it are conveniences. It keeps no state but its
 * connections, decides nothing, and throws `FaultError` for every refusal.
 */
import type {
  BootView,
  BuildView,
  GoldenBuild,
  Case,
  CaseView,
  GoldenDeed,
  GoldenDiff,
  GoldenTag,
  GoldenView,
  Health,
  HostView,
  LinstockEvent,
  NetworkView,
  Operation,
  Reply,
} from '@linstock/contract';
import { usualBackOff, type BackOff } from './back-off.ts';
import { Calls, signalOf, type CallOptions, type EventOptions, type Input, type JsonRouteName } from './calls.ts';
import { readEvents } from './events.ts';
import { Transport } from './transport.ts';
import { Vms } from './vms.ts';

export type ConnectOptions = ({ url: string; unixSocket?: undefined } | { url?: undefined; unixSocket: string }) & {
  token?: string;
  /** ends every call of this client */
  signal?: AbortSignal;
  backOff?: BackOff;
  /** longest JSON answer that is read, `bytes` */
  maxReplyBytes?: number;
};

type Signal = { signal?: AbortSignal };
export type CaseListOptions = Signal & { state?: 'open' | 'closed' | 'all'; vm?: string; pageSize?: number };

/** One answer is held so long at most; then it is asked again. */
const longestHeldSeconds = 30;

export class Linstock {
  readonly vms: Vms;
  readonly #calls: Calls;
  readonly #backOff: BackOff;

  constructor(calls: Calls, backOff: BackOff) {
    this.#calls = calls;
    this.#backOff = backOff;
    this.vms = new Vms(calls, backOff);
  }

  /** Any route that answers one JSON document, by its name in the route table. */
  call<N extends JsonRouteName>(name: N, input: Input<N>, options: CallOptions = {}): Promise<Reply<N>> {
    return this.#calls.json(name, input, options);
  }

  /** The event log: up to now, or with `follow` for ever. */
  events(options: EventOptions = {}): AsyncGenerator<LinstockEvent> {
    return readEvents(this.#calls, this.#backOff, options);
  }

  health(options: Signal = {}): Promise<Health> {
    return this.#calls.json('health.show', {}, options);
  }

  readonly boots = {
    list: async (query: Input<'boot.list'>['query'] = {}, options: Signal = {}): Promise<BootView[]> =>
      (await this.#calls.json('boot.list', { query }, options)).items,
    show: (id: string, options: Signal = {}): Promise<BootView> => this.#calls.json('boot.show', { params: { id } }, options),
  };
  readonly cases = {
    /** What is wrong with VMs now, or was, page after page. */
    list: (options: CaseListOptions = {}): AsyncGenerator<CaseView> => this.#cases(options),
    show: (id: string, options: Signal = {}): Promise<Case> => this.#calls.json('case.show', { params: { id } }, options),
  };
  readonly goldens = {
    list: async (options: Signal = {}): Promise<GoldenView[]> => (await this.#calls.json('golden.list', {}, options)).items,
    tags: async (options: Signal = {}): Promise<GoldenTag[]> => (await this.#calls.json('golden.list', {}, options)).tags,
    /** by `name`, `name@version` or `name:tag` */
    show: (id: string, options: Signal = {}): Promise<GoldenView> => this.#calls.json('golden.show', { params: { id } }, options),
    lint: (id: string, options: Signal = {}): Promise<Reply<'golden.lint'>> => this.#calls.json('golden.lint', { params: { id } }, options),
    /** Boots a throw-away VM of it; with `withinMs` until it is known whether it was proved, or the time is up. */
    verify: async (id: string, options: Signal & { withinMs?: number; waive?: string } = {}): Promise<GoldenView> => {
      const until = performance.now() + (options.withinMs ?? 0);
      const { withinMs: _, waive, ...call } = options;
      let view = await this.#calls.json('golden.verify', { params: { id }, body: waive === undefined ? {} : { waive } }, call);
      while (view.state === 'verifying' && performance.now() < until) {
        const waitSeconds = Math.max(1, Math.min(longestHeldSeconds, Math.ceil((until - performance.now()) / 1000)));
        view = await this.#calls.json('golden.show', { params: { id: `${view.name}@${view.version}` } }, { ...call, waitSeconds });
      }
      return view;
    },
    promote: (golden: string, tag: string, body: Input<'golden.promote'>['body'], options: Signal = {}): Promise<GoldenTag> =>
      this.#calls.json('golden.promote', { params: { id: golden, tag }, body }, options),
    rollback: (golden: string, tag: string, body: Input<'golden.rollback'>['body'] = {}, options: Signal = {}): Promise<GoldenTag> =>
      this.#calls.json('golden.rollback', { params: { id: golden, tag }, body }, options),
    delete: (id: string, options: Signal = {}): Promise<GoldenView> => this.#calls.json('golden.delete', { params: { id } }, options),
    /** a version whose build failed or was interrupted */
    abandon: (id: string, options: Signal = {}): Promise<GoldenBuild> => this.#calls.json('golden.abandon', { params: { id } }, options),
    history: async (golden: string, options: Signal & { limit?: number } = {}): Promise<GoldenDeed[]> =>
      (
        await this.#calls.json(
          'golden.history',
          { params: { id: golden }, query: options.limit === undefined ? {} : { limit: options.limit } },
          signalOf(options),
        )
      ).items,
    diff: (id: string, other: string, options: Signal = {}): Promise<GoldenDiff> =>
      this.#calls.json('golden.diff', { params: { id, other } }, options),
  };
  readonly networks = {
    list: async (options: Signal = {}): Promise<NetworkView[]> => (await this.#calls.json('network.list', {}, options)).items,
    show: (id: string, options: Signal = {}): Promise<NetworkView> => this.#calls.json('network.show', { params: { id } }, options),
  };
  readonly hosts = {
    list: async (options: Signal = {}): Promise<HostView[]> => (await this.#calls.json('host.list', {}, options)).items,
  };
  /** builds of images and kernels; a build goes on whoever waits for it */
  readonly builds = {
    start: (order: Input<'build.start'>['body'], options: CallOptions = {}): Promise<BuildView> =>
      this.#calls.json('build.start', { body: order }, options),
    list: async (options: Signal = {}): Promise<BuildView[]> => (await this.#calls.json('build.list', {}, options)).items,
    show: (id: string, options: CallOptions = {}): Promise<BuildView> => this.#calls.json('build.show', { params: { id } }, options),
    cancel: (id: string, options: CallOptions = {}): Promise<BuildView> => this.#calls.json('build.cancel', { params: { id } }, options),
  };
  readonly operations = {
    show: (id: string, options: Signal = {}): Promise<Operation> => this.#calls.json('operation.show', { params: { id } }, options),
  };

  async *#cases({ state, vm, pageSize, ...options }: CaseListOptions): AsyncGenerator<CaseView> {
    const asked = { ...(state && { state }), ...(vm === undefined ? {} : { vm }), ...(pageSize === undefined ? {} : { limit: pageSize }) };
    let after: string | undefined;
    do {
      const query: Input<'case.list'>['query'] = { ...asked, ...(after === undefined ? {} : { after }) };
      const page: Reply<'case.list'> = await this.#calls.json('case.list', { query }, options);
      yield* page.items;
      if (page.next === after) return; // the same cursor again would never end
      after = page.next ?? undefined;
    } while (after !== undefined);
  }

  /** Lets the connections go; calls under way fail. */
  close(): Promise<void> {
    return this.#calls.transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export function connect(o: ConnectOptions): Linstock {
  const transport = new Transport({
    url: o.url ?? 'http://localhost',
    ...(o.unixSocket === undefined ? {} : { unixSocket: o.unixSocket }),
    ...(o.token === undefined ? {} : { token: o.token }),
    ...(o.signal === undefined ? {} : { signal: o.signal }),
    ...(o.maxReplyBytes === undefined ? {} : { maxReplyBytes: o.maxReplyBytes }),
  });
  return new Linstock(new Calls(transport), o.backOff ?? usualBackOff);
}
