import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OperationId } from '@linstock/contract';
import { decideVm, stateOf, type Change, type HistoryEntry, type Lease, type Step, type Store, type Vm, type Wish } from '@linstock/core';
import { openStore } from '@linstock/store';
import { Engine, type Program } from '@linstock/daemon';
import { aNetwork, aVm, Fuse, PowerCut, SimHost, SimWorld, testIds, type Sabotage } from '@linstock/testkit';

/** How the engine's side of the design is broken on purpose. */
export type DesignSabotage =
  | 'no-host-boot-check'
  | 'way-down-without-end'
  | 'claims-not-released'
  | 'no-deadline'
  | 'ask-off-forgotten'
  | 'autopsy-forgets-claim';

export type Trouble = {
  /** cut the power at the n-th spot */
  cutAt?: number;
  /** the host reboots with the power cut */
  reboot?: boolean;
  /** the worker stalls before its n-th step for longer than its rent; another one takes over, then the first goes on */
  stallAt?: number;
  /** what is wished for while it stalls */
  stallWish?: Wish;
  /** two workers look for work at the same moments, all the time */
  workers?: 2;
  /** break the n-th tool call once */
  breakAt?: number;
  twice?: boolean;
  broken?: ReadonlySet<Step>;
  /** wish this at turn n of the way up, instead of at rest */
  early?: { turn: number; wish: Wish };
  panics?: boolean;
  sabotage?: Sabotage | DesignSabotage | null;
};

export type Ending = {
  phase: string;
  state: string;
  fault: string | null;
  left: { disks: number; slots: number; units: number };
  leases: number;
  operations: readonly string[];
  spots: number;
  tools: number;
  launches: readonly string[];
  mostAliveOfOneVm: number;
  unfinishedBoots: number;
};

const turnMs = 200;
const mostTurns = 4_000;
const hostSabotages: ReadonlySet<string> = new Set<Sabotage>([
  'launch-without-adoption',
  'empty-unit-taken-for-ended',
  'network-kept',
  'fence-ignored',
]);

/** Plays a script of wishes on the real store and the simulated host, with one trouble, until all is at rest. */
export async function play(script: readonly Wish[], trouble: Trouble = {}): Promise<Ending> {
  // in memory where there is such a place: what is cut here is the process, the disk has its own test in the store suite
  const folder = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'linstock-crash-'));
  try {
    return await new Stage(folder, trouble).play(script);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class Stage {
  readonly #world = new SimWorld();
  readonly #ids = testIds();
  readonly #folder: string;
  readonly #trouble: Trouble;
  readonly #tools: Fuse;
  #power: Fuse;
  #spots = 0;
  #now = 1_000_000;
  #opened = 0;
  #steps = 0;

  constructor(folder: string, trouble: Trouble) {
    this.#folder = folder;
    this.#trouble = trouble;
    this.#world.panics = trouble.panics ?? false;
    this.#power = new Fuse(trouble.cutAt ?? null);
    this.#tools = new Fuse(trouble.breakAt ?? null, (spot) => {
      throw Object.assign(new Error('broken once'), { stumble: `${spot} broke once` });
    });
  }

  async play(script: readonly Wish[]): Promise<Ending> {
    let store = await this.#open();
    const vm = aVm({ phase: 'new', wish: script[0] ?? 'running', wishNo: 1 });
    await store.write('add', async (tx) => {
      await tx.addNetwork(vm.settings.network);
      await tx.addVm(vm, {
        id: 'op_1',
        kind: 'vm.create',
        subject: vm.id,
        by: 'test',
        state: 'running',
        openedAt: this.#now,
        endedAt: null,
        fault: null,
      });
    });
    let turns = 0;
    for (const [i, wish] of script.entries()) {
      if (i > 0) await this.#wish(store, vm, wish, `op_${i + 1}`);
      for (;;) {
        if ((turns += 1) > mostTurns) throw new Error(`no rest: ${JSON.stringify(await store.read((tx) => tx.vm(vm.id)))}`);
        this.#now += turnMs;
        this.#world.tick();
        const { early } = this.#trouble;
        if (early && turns === early.turn) await this.#wish(store, vm, early.wish, 'op_early');
        try {
          const served = await this.#tick(store);
          const due = await store.nextDue();
          if (served === 0 && due === null && !(early && turns < early.turn)) break;
          // nothing is due before then, so time passes without turns
          if (served === 0 && due !== null && due > this.#now) this.#now = Math.max(this.#now, due - turnMs);
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
          store = await this.#restart(store);
        }
      }
    }
    const ending = await this.#ending(store, vm);
    await store.close();
    return ending;
  }

  async #open(): Promise<Store> {
    const store = await openStore({ url: `sqlite:${join(this.#folder, 'linstock.db')}`, ids: this.#ids, random: () => 0.5 });
    this.#opened += 1;
    // what the daemon does at start: the loop that runs every minute is the loop that runs at start
    if (this.#opened > 1) await store.wake('all', this.#now);
    return store;
  }

  /** A new daemon on what the old one left: nothing of memory survives. */
  async #restart(store: Store): Promise<Store> {
    await store.close();
    this.#spots += this.#power.at;
    this.#power = new Fuse(null);
    if (this.#trouble.reboot) this.#world.reboot();
    this.#now += 31_000; // longer than a rent lasts: the dead worker's lease is over
    return this.#open();
  }

  async #tick(store: Store): Promise<number> {
    const signal = new AbortController().signal;
    const engines = [this.#engine(store, 'a'), ...(this.#trouble.workers === 2 ? [this.#engine(store, 'b')] : [])];
    const served = await Promise.all(engines.map((engine) => engine.tick(signal)));
    return served.reduce((sum, n) => sum + n, 0);
  }

  /** Sits in the middle of a step while another worker takes the VM over; what it does afterwards must change nothing. */
  async #stall(store: Store): Promise<void> {
    this.#now += 31_000; // longer than a rent lasts
    const { stallWish } = this.#trouble;
    if (stallWish) await this.#wish(store, aVm(), stallWish, 'op_early');
    for (let turn = 0; turn < (stallWish ? 30 : 6); turn += 1) {
      await this.#engine(store, 'other').tick(new AbortController().signal);
      this.#world.tick();
      this.#now += turnMs;
    }
  }

  #engine(store: Store, worker: string): Engine {
    const { sabotage = null, twice = false, broken = new Set<Step>() } = this.#trouble;
    const hostSabotage = sabotage !== null && hostSabotages.has(sabotage) ? (sabotage as Sabotage) : null;
    const host = new SimHost({ world: this.#world, power: this.#power, tools: this.#tools, twice, broken, sabotage: hostSabotage });
    const program: Program = {
      observe: (v) => host.observe(v),
      decide: sabotaged(sabotage),
      perform: async (step, v, ticket) => {
        this.#steps += 1;
        if (this.#steps === this.#trouble.stallAt) await this.#stall(store);
        return host.perform(step, v, ticket);
      },
    };
    return new Engine({
      store: fused(store, this.#power),
      program,
      now: () => this.#now,
      sleep: async (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
      worker: `${worker}${this.#opened}`,
      atOnce: 4,
    });
  }

  async #wish(store: Store, vm: Vm, wish: Wish, operation: string): Promise<void> {
    await store.write('wish', (tx) =>
      tx.wish(vm.id, wish, { by: 'test', operation: operation as OperationId, kind: `wish.${wish}`, now: this.#now }),
    );
  }

  async #ending(store: Store, vm: Vm): Promise<Ending> {
    const world = this.#world;
    const left = world.left();
    return store.read(async (tx) => {
      const end = await tx.vm(vm.id);
      if (!end) throw new Error('the VM has vanished from the store');
      const names = ['op_1', 'op_2', 'op_3', 'op_4', 'op_early'];
      const operations = await Promise.all(names.map((id) => tx.operation(id)));
      const boots = await tx.boots({ vm: vm.id });
      return {
        phase: end.phase,
        state: stateOf(end),
        fault: end.fault?.code ?? null,
        left: { disks: left.disks.length, slots: left.slots.length, units: left.units.length },
        leases: (await tx.leases(aNetwork().index)).length,
        operations: operations.flatMap((o) => (o ? [o.state] : [])),
        spots: this.#spots + this.#power.at,
        tools: this.#tools.at,
        launches: world.launches,
        mostAliveOfOneVm: world.mostAliveOfOneVm,
        unfinishedBoots: boots.filter((b) => b.endedAt === null).length,
      };
    });
  }
}

/** Power may fail before a commit and after it; inside, the database answers for itself (the store suite kills it there). */
function fused(store: Store, power: Fuse): Store {
  return new Proxy(store, {
    get(target, key) {
      if (key === 'commit') {
        return async (lease: Lease, change: Change, now: number, history: HistoryEntry): Promise<Lease | null> => {
          power.spot('before commit');
          const next = await target.commit(lease, change, now, history);
          power.spot('after commit');
          return next;
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** decideVm, or decideVm with one idea taken out. */
function sabotaged(sabotage: Trouble['sabotage']): Program['decide'] {
  switch (sabotage) {
    case 'no-host-boot-check':
      return (vm, seen, now) => decideVm(vm, { ...seen, hostBoot: vm.claim?.hostBoot ?? seen.hostBoot }, now);
    case 'way-down-without-end':
      return (vm, seen, now) => {
        const decision = decideVm(vm, seen, now);
        return decision.do === 'perform' && decision.step === 'end-vmm' ? { do: 'record', change: decision.then } : decision;
      };
    case 'claims-not-released':
      return (vm, seen, now) => {
        const decision = decideVm(vm, seen, now);
        if (decision.do !== 'perform' || decision.step !== 'drop-network') return decision;
        return { do: 'record', change: decision.then };
      };
    case 'no-deadline':
      return (vm, seen, now) => decideVm({ ...vm, deadline: null }, seen, now);
    case 'ask-off-forgotten':
      // a guest that powered off as asked is called "ended by itself" when the daemon died between asking and recording
      return (vm, seen, now) => {
        const gone = vm.phase === 'up' && vm.wish === 'stopped' && seen.vmm.is === 'ended';
        return gone
          ? { do: 'record', change: { phase: 'autopsy', deadlineInMs: null, fault: { code: 'vmm-ended', data: { hint: 'x' } } } }
          : decideVm(vm, seen, now);
      };
    case 'autopsy-forgets-claim':
      return (vm, seen, now) => (vm.phase === 'autopsy' ? { do: 'record', change: { phase: 'unwiring' } } : decideVm(vm, seen, now));
    default:
      return decideVm;
  }
}
