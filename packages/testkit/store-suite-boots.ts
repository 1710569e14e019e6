import type { Fault, VmId } from '@linstock/contract';
import { slotsOf, type Lease } from '@linstock/core';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { aNetwork, aProof, anEntry, anId, someHostFacts, someSettings } from './builders.ts';
import { bootUp, proven, takeBoot, wayDown, type StoreStage } from './store-stage.ts';

const ended: Fault = { code: 'vmm-ended', data: { hint: 'killed' } };

/** The part of the suite about lives of VMs: claims, leases, records, and what is forgotten. */
export function testBootsAndSlots(current: () => StoreStage): void {
  let stage: StoreStage;
  beforeEach(() => {
    stage = current();
  });

  describe('boots and slots', () => {
    it('writes boot, claim and lease with the phase, and gives them back with it', async () => {
      await stage.store.write('facts', (tx) => tx.keepHostFacts(anId('host'), someHostFacts()));
      const vm = await stage.add();
      let lease = await stage.steps(await stage.rentOne(), { phase: 'rooting' }, { phase: 'idle' }, takeBoot);
      const { claim } = lease.vm;
      if (!claim) throw new Error('no claim');
      expect([lease.vm.phase, lease.vm.deadline, claim.slot, claim.hostBoot]).toEqual(['wiring', stage.clock.now() + 60_000, 0, 'hb']);
      expect(await stage.store.read((tx) => tx.leases(0))).toEqual([{ slot: 0, vm: vm.id, boot: claim.id }]);
      stage.clock.advance(5);
      lease = await stage.steps(lease, { phase: 'launching' }, { phase: 'booting' }, { phase: 'proving' }, proven);
      expect([lease.vm.verified, lease.vm.deadline]).toEqual(['proved', null]);
      lease = await stage.step(lease, { paused: true });
      await stage.wish(vm.id, 'stopped', 'vm.stop');
      stage.clock.advance(5);
      lease = await stage.steps(lease, ...wayDown, { phase: 'idle', boot: { release: 'wished-stopped' } });
      expect([lease.vm.claim, lease.vm.verified, lease.vm.paused, lease.vm.phase]).toEqual([null, null, false, 'idle']);
      expect(await stage.store.read((tx) => tx.leases(0))).toEqual([]);
      const record = await stage.store.read((tx) => tx.boot(claim.id));
      expect(record).toMatchObject({
        vm: vm.id,
        vmName: vm.name,
        kind: 'cold',
        accelerator: 'tcg',
        slot: 0,
        networkIndex: 0,
        startedAt: stage.clock.now() - 10,
        endedAt: stage.clock.now(),
        end: { reason: 'wished-stopped', actor: 'alice', exit: null },
        proof: aProof('proved'),
        fault: null,
      });
      expect(record?.milestones.map((m) => m.what)).toEqual(['wiring', 'launching', 'booting', 'proving', 'up', 'killing', 'unwiring']);
      expect(record?.milestones.map((m) => m.at - stage.clock.now())).toEqual([-10, -5, -5, -5, -5, 0, 0]);
      expect(await stage.typesOf()).toContain('boot.proved');
    });

    it('never overwrites a boot, and lists the newest first', async () => {
      const vm = await stage.add();
      let lease = await stage.steps(await stage.rentOne(), { phase: 'rooting' }, { phase: 'idle' });
      for (let i = 0; i < 3; i += 1) {
        stage.clock.advance(1_000);
        lease = await stage.steps(
          lease,
          takeBoot,
          { phase: 'killing', fault: ended },
          { phase: 'unwiring' },
          { phase: 'idle', boot: { release: 'host-rebooted' } },
        );
      }
      const boots = await stage.store.read((tx) => tx.boots({ vm: vm.id }));
      expect(boots.map((b) => b.startedAt)).toEqual([stage.clock.now(), stage.clock.now() - 1_000, stage.clock.now() - 2_000]);
      expect(boots.map((b) => b.fault)).toEqual([ended, ended, ended]);
      expect(boots[0]?.end).toEqual({ reason: 'vmm-ended', actor: 'guest', exit: null });
      expect((await stage.store.read((tx) => tx.boots({ limit: 1 }))).map((b) => b.id)).toEqual([boots[0]?.id]);
    });

    it('forgets old boots but the newest of a VM that is there, and VMs that went long ago', async () => {
      const stays = await stage.add();
      let lease = await stage.steps(await stage.rentOne(stays.id), { phase: 'rooting' }, { phase: 'idle' });
      for (let i = 0; i < 2; i += 1) {
        stage.clock.advance(1_000);
        lease = await stage.steps(lease, takeBoot, ...wayDown, { phase: 'idle', boot: { release: 'host-rebooted' } });
      }
      const goes = await stage.add();
      let going = await stage.steps(await stage.rentOne(goes.id), { phase: 'rooting' }, { phase: 'idle' }, takeBoot, ...wayDown, {
        phase: 'idle',
        boot: { release: 'wished-absent' },
      });
      await stage.wish(goes.id, 'absent', 'vm.delete');
      going = await stage.steps(going, { phase: 'unrooting' }, { phase: 'gone' });
      expect(going.vm.phase).toBe('gone');
      const kept = await stage.store.read((tx) => tx.boots({ vm: stays.id }));

      await stage.store.forget(stage.clock.now() - 1_000);
      expect((await stage.store.read((tx) => tx.bootIds())).length).toBe(3);
      stage.clock.advance(10);
      await stage.store.forget(stage.clock.now());
      expect(await stage.store.read((tx) => tx.bootIds())).toEqual([kept[0]?.id]);
      expect(await stage.store.read((tx) => tx.vm(goes.id))).toBeUndefined();
      expect(await stage.store.read((tx) => tx.vm(stays.id))).toMatchObject({ id: stays.id });
      expect(await stage.store.read((tx) => tx.history(goes.id, 10))).toEqual([]);
    });

    it('keeps the beginning of a timeline that never ends', async () => {
      await stage.add();
      let lease = await stage.steps(await stage.rentOne(), ...bootUp);
      for (let i = 0; i < 150; i += 1) lease = await stage.steps(lease, { phase: 'up' }, { phase: 'proving' });
      const milestones = (await stage.store.read((tx) => tx.boots()))[0]?.milestones ?? [];
      expect(milestones.slice(0, 4).map((m) => m.what)).toEqual(['wiring', 'launching', 'booting', 'proving']);
      expect(milestones.length).toBeGreaterThan(100);
      expect(milestones.length).toBeLessThan(250);
    });

    it('tells a VM that its network is full, and takes nothing', async () => {
      const network = aNetwork({ subnet: '10.0.0.0/30', gateway: '10.0.0.1' });
      expect(slotsOf(network)).toBe(1);
      const settings = someSettings({ network });
      const [a, b] = [await stage.add({ settings }), await stage.add({ settings })];
      const leases = await stage.store.rent('w', stage.clock.now(), 9);
      const [first, second] = await Promise.all([a, b].map(async (vm) => leases.find((l) => l.vm.id === vm.id)));
      if (!first || !second) throw new Error('both are due');
      const held = await stage.steps(first, { phase: 'rooting' }, { phase: 'idle' }, takeBoot);
      const refused = await stage.steps(second, { phase: 'rooting' }, { phase: 'idle' }, takeBoot);
      const fault = { code: 'network-full', data: { network: 'default', slots: 1 } };
      expect(refused.vm).toMatchObject({ phase: 'idle', claim: null, fault, deadline: null });
      expect(await stage.store.read((tx) => tx.boots({ vm: b.id }))).toEqual([]);
      expect(await stage.store.read((tx) => tx.leases(0))).toHaveLength(1);
      expect(await stage.store.read((tx) => tx.operationOf(b.id))).toBeUndefined();
      await stage.steps(held, ...wayDown, { phase: 'idle', boot: { release: 'wished-stopped' } });
      await stage.wish(b.id, 'running', 'vm.start');
      expect((await stage.step(refused, takeBoot)).vm.claim?.slot).toBe(0);
    });

    it('never gives a slot twice, and always the lowest that is free', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(7), { minLength: 4, maxLength: 30 }), fc.nat(98), async (order, index) => {
          const network = aNetwork({ index, subnet: '10.0.0.0/29' }); // five slots for eight VMs
          const fresh = new Map<VmId, Lease>();
          for (let i = 0; i < 8; i += 1) await stage.add({ settings: someSettings({ network }), phase: 'idle' });
          for (const lease of await stage.store.rent('w', stage.clock.now(), 9)) fresh.set(lease.vm.id, lease);
          const all = [...fresh.keys()];
          const held = new Map<VmId, number>();
          for (const n of order) {
            const id = all[n];
            const lease = id === undefined ? undefined : fresh.get(id);
            if (id === undefined || !lease) throw new Error('eight were made');
            const release = held.has(id);
            const next = await stage.step(lease, release ? { phase: 'idle', boot: { release: 'wished-stopped' } } : takeBoot);
            fresh.set(id, next);
            if (release) held.delete(id);
            else if (next.vm.claim) {
              const lowest = [0, 1, 2, 3, 4].find((slot) => ![...held.values()].includes(slot));
              expect(next.vm.claim.slot).toBe(lowest);
              held.set(id, next.vm.claim.slot);
            } else expect(held.size).toBe(5);
            const rows = await stage.store.read((tx) => tx.leases(index));
            expect(rows.map((r) => r.slot)).toEqual([...held.values()].toSorted((a, b) => a - b));
          }
          for (const id of held.keys()) {
            const lease = fresh.get(id);
            if (lease) await stage.step(lease, { phase: 'idle', boot: { release: 'wished-stopped' } });
          }
        }),
        { numRuns: 12, seed: 42 },
      );
    });

    it('gives slots apart to many that ask at once', async () => {
      for (let i = 0; i < 12; i += 1) await stage.add({ phase: 'idle' });
      const other = await stage.open();
      const leases = await stage.store.rent('w', stage.clock.now(), 20);
      const taken = await Promise.all(
        leases.map((l, i) => (i % 2 === 0 ? stage.store : other).commit(l, takeBoot, stage.clock.now(), anEntry())),
      );
      expect(taken.map((l) => l?.vm.claim?.slot ?? -1).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect(new Set(taken.map((l) => l?.vm.claim?.id)).size).toBe(12);
    });
  });
}
