import type { HostId, Proof, VmId } from '@linstock/contract';
import {
  looksAtConditions,
  owned,
  type Host,
  type Marked,
  type Seen,
  type Step,
  type StepOutcome,
  type Ticket,
  type Vm,
} from '@linstock/core';
import type { Fuse } from './fuse.ts';

type Unit = { alive: boolean; ran: boolean; guest: 'unknown' | 'up' | 'paused' | 'panicked'; bootIn: number; off: boolean };

/** The machine: survives every crash of the daemon. Its time moves only when told. */
export class SimWorld {
  disks = new Set<string>();
  /** name of the slot → boot that owns it */
  slots = new Map<string, string>();
  units = new Map<string, Unit>();
  launches: string[] = [];
  fences = new Map<string, number>();
  hostBoot = 'host-boot-1';
  /** the most live VMMs that one VM ever had at once: more than one is the worst thing there is */
  mostAliveOfOneVm = 0;
  ownerOf = new Map<string, string>();
  /** guests whose kernel panics instead of answering */
  panics = false;
  /** ticks a guest needs until it answers */
  bootTicks = 3;

  reboot(): void {
    this.hostBoot += '+';
    this.slots.clear();
    this.units.clear();
  }
  tick(): void {
    const alive = new Map<string, number>();
    for (const [boot, unit] of this.units) {
      if (unit.alive && unit.guest === 'unknown' && (unit.bootIn -= 1) <= 0) unit.guest = this.panics ? 'panicked' : 'up';
      if (unit.alive && unit.off && unit.guest !== 'paused') unit.alive = false;
      if (unit.alive) {
        const vm = this.ownerOf.get(boot) ?? '?';
        alive.set(vm, (alive.get(vm) ?? 0) + 1);
      }
    }
    this.mostAliveOfOneVm = Math.max(this.mostAliveOfOneVm, ...alive.values());
  }
  left(): { disks: string[]; slots: string[]; units: string[] } {
    return { disks: [...this.disks], slots: [...this.slots.keys()], units: [...this.units.keys()] };
  }
}

/** How the design is broken on purpose, to see that the crash matrix notices. */
export type Sabotage = 'launch-without-adoption' | 'empty-unit-taken-for-ended' | 'network-kept' | 'fence-ignored';

export type SimHostOptions = {
  world: SimWorld;
  power: Fuse;
  /** breaks a tool instead of the power */
  tools?: Fuse;
  /** each effect is done twice */
  twice?: boolean;
  /** steps that never work */
  broken?: ReadonlySet<Step>;
  sabotage?: Sabotage | null;
};

/** A simulated host: a real program over a world of maps, not a bag of stubs. */
export class SimHost implements Host {
  readonly id: HostId = 'host_sim';
  readonly #o: SimHostOptions;
  constructor(options: SimHostOptions) {
    this.#o = options;
  }

  async observe(vm: Vm): Promise<Seen> {
    const { world, sabotage } = this.#o;
    const unit = vm.claim ? world.units.get(vm.claim.id) : undefined;
    return {
      hostBoot: world.hostBoot,
      vmm: sightOf(unit, sabotage === 'empty-unit-taken-for-ended'),
      proof: looksAtConditions.has(vm.phase) ? simProof(unit) : null,
    };
  }

  async perform(step: Step, vm: Vm, ticket: Ticket): Promise<StepOutcome> {
    const { world, power, tools, twice, broken, sabotage } = this.#o;
    const seen = world.fences.get(vm.id) ?? 0;
    if (ticket.fence < seen && sabotage !== 'fence-ignored') throw stumble('a worker with a newer fence has been here');
    world.fences.set(vm.id, Math.max(seen, ticket.fence));
    power.spot(`before ${step}`);
    tools?.spot(step);
    if (broken?.has(step)) throw stumble('the tool is broken for ever');
    this.#effect(step, vm);
    if (twice) this.#effect(step, vm);
    power.spot(`after ${step}`);
    return { is: 'done' };
  }

  #effect(step: Step, vm: Vm): void {
    const { world, power, sabotage } = this.#o;
    const slot = (): string => `${vm.settings.network.index}-${owned(vm).slot}`;
    switch (step) {
      case 'make-disk':
        world.disks.add(vm.id);
        return;
      case 'drop-disk':
        world.disks.delete(vm.id);
        return;
      case 'make-network': {
        const owner = world.slots.get(slot());
        if (owner !== undefined && owner !== owned(vm).id) throw stumble(`slot ${slot()} is owned by ${owner}`);
        world.slots.set(slot(), owned(vm).id);
        return;
      }
      case 'drop-network':
        if (sabotage !== 'network-kept' && world.slots.get(slot()) === owned(vm).id) world.slots.delete(slot());
        return;
      case 'launch': {
        const boot = owned(vm).id;
        if (world.units.get(boot)?.ran && sabotage !== 'launch-without-adoption') return; // adopt, or leave an ended one for observe to tell
        const unit: Unit = { alive: false, ran: false, guest: 'unknown', bootIn: world.bootTicks, off: false };
        world.units.set(boot, unit); // the anchor
        world.ownerOf.set(boot, vm.id);
        power.spot('unit made, nothing in it');
        unit.alive = unit.ran = true;
        world.launches.push(boot);
        power.spot('in the middle of launch');
        return;
      }
      case 'ask-off': {
        const unit = world.units.get(owned(vm).id);
        if (unit) {
          unit.off = true;
          if (unit.guest === 'paused') unit.guest = 'up'; // a guest that stands still cannot power off
        }
        return;
      }
      case 'pause':
      case 'resume': {
        const unit = world.units.get(owned(vm).id);
        if (unit?.alive) unit.guest = step === 'pause' ? 'paused' : 'up';
        return;
      }
      case 'end-vmm':
        world.units.delete(owned(vm).id);
        return;
    }
  }

  async inventory(): Promise<readonly Marked[]> {
    const { world } = this.#o;
    return [
      ...[...world.disks].map((name): Marked => ({ kind: 'disk', name, owner: name })),
      ...[...world.slots].map(([name, owner]): Marked => ({ kind: 'netns', name, owner })),
      ...[...world.units.keys()].map((name): Marked => ({ kind: 'vmm', name, owner: name })),
    ];
  }

  async remove(marked: Marked, unclaimed: () => Promise<boolean>): Promise<boolean> {
    const { world } = this.#o;
    if (!(await unclaimed())) return false;
    world.disks.delete(marked.name);
    world.slots.delete(marked.name);
    world.units.delete(marked.name);
    return true;
  }

  async *hints(): AsyncGenerator<VmId> {
    // the simulated world tells nothing by itself: correctness must not rest on hints
  }
}

const simCause = { code: 'boot.kernel-panic', title: 'The kernel panicked: simulated', consoleLine: 3, guestWord: false };

function sightOf(unit: Unit | undefined, emptyIsEnded: boolean): Seen['vmm'] {
  if (!unit || (!unit.alive && !unit.ran && !emptyIsEnded)) return { is: 'absent' }; // an empty unit without a trace never ran
  if (!unit.alive) return { is: 'ended', hint: 'powered off' };
  if (unit.guest === 'panicked')
    return { is: 'panicked', line: 'Kernel panic - not syncing: simulated', process: 'alive', cause: simCause };
  return { is: 'alive', guest: unit.guest };
}

function simProof(unit: Unit | undefined): Proof {
  const up = unit?.alive === true && unit.guest === 'up';
  const condition = {
    id: 'agent.ready',
    verdict: up ? 'proved' : 'unknown',
    asked: true,
    expected: 'an answer',
    observed: up ? 'answered' : 'nothing',
    evidence: [],
  } as const;
  return { verified: condition.verdict, at: 0, furthest: up ? condition.id : null, conditions: [{ ...condition, evidence: [] }] };
}

/** The shape in which a host's tools tell that they failed: retried, with the reason kept. */
function stumble(why: string): Error {
  return Object.assign(new Error(why), { stumble: why });
}
