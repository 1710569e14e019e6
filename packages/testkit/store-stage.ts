import { FaultError, type Fault, type Instant, type VmId } from '@linstock/contract';
import type { Change, HistoryEntry, Ids, Lease, Store, Vm } from '@linstock/core';
import { anEntry, anOperation, aProof, aVm, TestClock, testIds, testRandom } from './builders.ts';

export type StoreOpening = { ids: Ids; random: () => number; keepEvents?: number };

/** Somewhere a database can be: opened, closed, opened again (also twice at once), and dropped at the end. */
export type StorePlace = { open(options: StoreOpening): Promise<Store>; drop(): Promise<void> };

/** Changes as the program makes them: claim, the whole way up, the proof at its end, and the way down until the release. */
export const takeBoot: Change = { phase: 'wiring', boot: { take: 'hb' }, deadlineInMs: 60_000 };
export const bootUp: readonly Change[] = [
  { phase: 'rooting' },
  { phase: 'idle' },
  takeBoot,
  { phase: 'launching' },
  { phase: 'booting' },
  { phase: 'proving' },
];
export const proven: Change = { phase: 'up', reprove: false, deadlineInMs: null, proof: aProof('proved') };
export const wayDown: readonly Change[] = [{ phase: 'killing', deadlineInMs: null }, { phase: 'unwiring' }];

/** One test of a store: an empty place, a clock, and the moves that most tests make. */
export class StoreStage {
  readonly clock = new TestClock();
  readonly ids = testIds(7);
  /** the store under test; a test may close it and put another one here */
  store: Store;
  readonly #place: StorePlace;
  readonly #stores: Store[] = [];

  private constructor(place: StorePlace, store: Store) {
    this.#place = place;
    this.store = store;
    this.#stores.push(store);
  }

  static async make(makePlace: () => Promise<StorePlace>): Promise<StoreStage> {
    const place = await makePlace();
    return new StoreStage(place, await place.open({ ids: testIds(0), random: testRandom() }));
  }

  async drop(): Promise<void> {
    for (const opened of this.#stores) await opened.close().catch(() => {}); // a test may have closed it
    await this.#place.drop();
  }

  readonly open = async (more: Partial<StoreOpening> = {}): Promise<Store> => {
    const opened = await this.#place.open({ ids: testIds(this.#stores.length), random: testRandom(), ...more });
    this.#stores.push(opened);
    return opened;
  };
  readonly add = async (more: Partial<Vm> = {}, kind = 'vm.create'): Promise<Vm> => {
    const id = more.id ?? this.ids.next('vm', this.clock.now());
    const vm = aVm({ id, name: `n-${id.slice(-8)}`, createdAt: this.clock.now(), ...more });
    const operation = anOperation({
      id: this.ids.next('op', this.clock.now()),
      kind,
      subject: id,
      by: vm.wishBy,
      openedAt: this.clock.now(),
    });
    await this.store.write('add', (tx) => tx.addVm(vm, operation));
    return vm;
  };
  readonly rentOne = async (id?: VmId): Promise<Lease> => {
    const leases = await this.store.rent('w1', this.clock.now(), 1_000);
    const lease = id === undefined ? leases[0] : leases.find((l) => l.vm.id === id);
    if (!lease) throw new Error('nothing was due');
    return lease;
  };
  readonly step = async (lease: Lease, change: Change, entry: Partial<HistoryEntry> = {}): Promise<Lease> => {
    const next = await this.store.commit(
      lease,
      change,
      this.clock.now(),
      anEntry({ at: this.clock.now(), phase: lease.vm.phase, ...entry }),
    );
    if (!next) throw new Error('the lease was lost');
    return next;
  };
  readonly steps = async (lease: Lease, ...changes: readonly Change[]): Promise<Lease> => {
    let held = lease;
    for (const change of changes) held = await this.step(held, change);
    return held;
  };
  readonly wish = async (id: VmId, to: Vm['wish'], kind: string, more: { reprove?: true } = {}): Promise<string> => {
    const operation = this.ids.next('op', this.clock.now());
    await this.store.write('wish', (tx) => tx.wish(id, to, { by: 'alice', operation, kind, now: this.clock.now(), ...more }));
    return operation;
  };
  readonly vmNow = async (id: VmId): Promise<Vm> => {
    const vm = await this.store.read((tx) => tx.vm(id));
    if (!vm) throw new Error(`${id} is not there`);
    return vm;
  };
  readonly operationNow = async (id: string): Promise<{ state: string; fault: Fault | null; endedAt: Instant | null }> => {
    const operation = await this.store.read((tx) => tx.operation(id));
    if (!operation) throw new Error(`${id} is not there`);
    return operation;
  };
  readonly events = async (): Promise<readonly { seq: number; type: string; data: Record<string, unknown> }[]> =>
    this.store.read((tx) => tx.events({ after: 0, limit: 10_000 }));
  readonly typesOf = async (): Promise<string[]> => (await this.events()).map((e) => e.type);
  readonly faultOf = async (work: Promise<unknown>): Promise<Fault> => {
    const error = await work.then(
      () => null,
      (e: unknown) => e,
    );
    if (!FaultError.is(error)) throw new Error('no fault was thrown', { cause: error });
    return error.fault;
  };
}
