/**
 * The VMMs of this host. A VM names one, with or without a version; the newest that fits launches its next boot. Whatever runs is attended
 * by one driver per name, which needs no binary: a boot outlives an upgrade of the host, and also the removal of what started it.
 */
import type { BootId, HostFacts, Network, VmmFacts } from '@linstock/contract';
import { chooseVmm, type Marked, parseVersion, type StepOutcome, type VmmChoice } from '@linstock/core';
import type { Paths } from './tools/paths.ts';
import type { Starter } from './tools/starter.ts';
import { Units } from './tools/units.ts';
import { FirecrackerVmm } from './vmm/firecracker/driver.ts';
import { idsOf, type FirecrackerHost } from './vmm/firecracker/plan.ts';
import { newest } from './vmm/firecracker/versions.ts';
import { QemuVmm } from './vmm/qemu/driver.ts';
import { StubVmm } from './vmm/stub/driver.ts';
import type { Vmm } from './vmm/vmm.ts';

export type VmmsParts = {
  mark: string;
  paths: Paths;
  facts: HostFacts;
  /** what the stub executes, when it is not its own guest */
  stub?: string | null;
  starter?: Starter;
};

export class Vmms {
  readonly #facts: HostFacts;
  readonly #make: (facts: VmmFacts) => Vmm;
  readonly #made = new Map<VmmFacts, Vmm>();
  readonly #attending: Readonly<Record<VmmChoice['name'], Vmm>>;

  constructor(o: VmmsParts) {
    const { mark, paths, facts } = o;
    const units = Units.open({ mark, ends: paths.ends, ...(o.starter ? { starter: o.starter } : {}) });
    const { accelerator, tscKhz } = facts;
    this.#facts = facts;
    this.#make = (one) => {
      switch (one.name) {
        case 'qemu':
          return new QemuVmm({ host: { qemu: one.path, accelerator, tscKhz }, version: one.version, units });
        case 'firecracker':
          return new FirecrackerVmm({ host: firecrackerHost(one, mark, paths), units });
        case 'stub':
          return new StubVmm({ units, program: o.stub ?? null });
      }
    };
    const gone = { path: '', version: newest, usable: false, why: '', confinement: '', abilities: [] };
    this.#attending = {
      qemu: this.#make({ ...gone, name: 'qemu', jailer: null }),
      // with a jailer wherever there may be jails, whether or not one would be used today
      firecracker: this.#make({ ...gone, name: 'firecracker', jailer: units.cgroup === null ? null : '' }),
      stub: this.#make({ ...gone, name: 'stub', jailer: null }),
    };
  }

  /** The one that launches; throws `vmm-unable` when none of this host can. */
  launching(choice: VmmChoice, network: Pick<Network, 'kind' | 'name'>): Vmm {
    const chosen = chooseVmm(this.#facts.vmms, choice, network);
    const made = this.#made.get(chosen) ?? this.#make(chosen);
    this.#made.set(chosen, made);
    return made;
  }

  /** The one that looks at, commands and ends what runs, of whichever version. */
  attending(name: VmmChoice['name']): Vmm {
    return this.#attending[name];
  }

  async inventory(): Promise<readonly Marked[]> {
    const found = new Map<string, Marked>();
    for (const vmm of Object.values(this.#attending)) for (const one of await vmm.inventory()) found.set(one.name, one);
    return [...found.values()];
  }

  /** Ends what nobody knows any more, whatever it is: to end a boot that is none of theirs is nothing to the other drivers. */
  async end(boot: BootId, folder: string, signal: AbortSignal): Promise<StepOutcome> {
    for (const vmm of Object.values(this.#attending)) {
      const outcome = await vmm.end(boot, folder, signal);
      if (outcome.is !== 'done') return outcome;
    }
    return { is: 'done' };
  }
}

function firecrackerHost(one: VmmFacts, mark: string, paths: Paths): FirecrackerHost {
  const version = parseVersion(one.version);
  if (version === null) throw new Error(`${one.version} is no version of Firecracker`); // the survey read it with the same parser
  return {
    firecracker: one.path,
    version,
    jailer:
      one.jailer === null
        ? null
        : { path: one.jailer, base: paths.jails, ids: idsOf(mark), cgroup: `linstock-${mark}`, pidNamespace: true },
    userNetwork: 'refused',
  };
}
