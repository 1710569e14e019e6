import { sentenceOf, type BootView, type NetworkView, type Operation, type VmView } from '@linstock/contract';
import {
  allowedIn,
  reachOfPort,
  slotsOf,
  stateOf,
  wiringOf,
  type BootDetails,
  type BootRecord,
  type Vm,
  type Wiring,
} from '@linstock/core';
import type { Network } from '@linstock/contract';

/** The lease of a VM's present boot as names and addresses; null when it has none. */
export function wiringOfVm(mark: string, vm: Vm): Wiring | null {
  return vm.claim
    ? wiringOf(
        mark,
        vm.settings.network,
        vm.claim.slot,
        vm.settings.ports.map((p) => p.port),
      )
    : null;
}

export function vmView(mark: string, vm: Vm, more: { operation: Operation | undefined; boot: string | null }): VmView {
  const state = stateOf(vm);
  const wiring = wiringOfVm(mark, vm);
  const { golden } = vm.settings;
  return {
    id: vm.id,
    name: vm.name,
    state,
    verified: vm.verified ?? 'unknown',
    allowed: [...allowedIn[state]],
    wish: vm.wish,
    phase: vm.phase,
    golden: { name: golden.name, version: golden.version, digest: golden.digest },
    vmm: vm.settings.vmm,
    vmmVersion: vm.settings.vmmVersion,
    memoryMiB: vm.settings.memoryMiB,
    vcpus: vm.settings.vcpus,
    network: vm.settings.network.name,
    address: wiring?.address ?? null,
    mac: wiring?.mac ?? null,
    reach: wiring ? vm.settings.ports.map((p) => ({ port: p.port, ...reachOfPort(wiring, p.port) })) : [],
    boot: vm.claim?.id ?? more.boot,
    fault: vm.fault,
    says: vm.fault ? sentenceOf(vm.fault) : null,
    stumble: vm.stumble,
    operation: more.operation?.state === 'running' ? more.operation.id : null,
    createdAt: vm.createdAt,
    version: vm.version,
  };
}

export function bootView(record: BootRecord, details: BootDetails): BootView {
  const { milestones, networkIndex: _, ...rest } = record;
  const timeline = [...milestones, ...details.reached]
    .toSorted((a, b) => a.at - b.at)
    .map((m) => ({ what: m.what, at: m.at, ms: Math.max(0, m.at - record.startedAt) }));
  return {
    ...rest,
    address: details.address,
    mac: details.mac,
    vmmVersion: details.vmmVersion,
    requestedArgs: [...details.requestedArgs],
    addedArgs: [...details.addedArgs],
    effectiveArgs: details.effectiveArgs,
    timeline,
    consoleBytes: details.consoleBytes,
  };
}

export function networkView(mark: string, network: Network, leases: readonly { slot: number; vm: string; boot: string }[]): NetworkView {
  return {
    ...network,
    slots: slotsOf(network),
    leases: leases.map((lease) => {
      const wiring = wiringOf(mark, network, lease.slot);
      return { slot: lease.slot, vm: lease.vm, boot: lease.boot, address: wiring.address, mac: wiring.mac };
    }),
  };
}
