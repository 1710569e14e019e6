import type { Fault, Instant, VmId } from '@linstock/contract';
import type { Vm } from '@linstock/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aClaim, aGolden, aNetwork, anEntry, anId, anOperation, aProof, aVm, someHostFacts, someSettings } from './builders.ts';
import { testBuilds } from './store-suite-builds.ts';
import { testCases } from './store-suite-cases.ts';
import { testGoldens } from './store-suite-goldens.ts';
import { testBootsAndSlots } from './store-suite-boots.ts';
import { bootUp, proven, StoreStage, takeBoot, wayDown, type StorePlace } from './store-stage.ts';

const full: Fault = { code: 'tool-failed', data: { step: 'make-disk', hint: 'no space' } };
const ended: Fault = { code: 'vmm-ended', data: { hint: 'killed' } };

/** What every Store must do. `makePlace` gives an empty place. */
export function testStore(name: string, makePlace: () => Promise<StorePlace>): void {
  describe(name, () => {
    let stage: StoreStage;

    beforeEach(async () => {
      stage = await StoreStage.make(makePlace);
    });
    afterEach(() => stage.drop());

    describe('records', () => {
      it('gives back what was put in, whole', async () => {
        const vm = await stage.add({
          settings: someSettings({
            golden: aGolden({ name: 'big', initrd: null }),
            vcpus: 3,
            network: aNetwork({ index: 4, bridge: null, kind: 'user' }),
          }),
          reprove: true,
          paused: true,
          verified: 'unknown',
          claim: aClaim({ slot: 3 }),
          deadline: stage.clock.now() + 5,
          fault: ended,
          stumble: full,
          version: 12,
        });
        expect(await stage.vmNow(vm.id)).toEqual(vm);
        const reopened = await stage.open();
        expect(await reopened.read((tx) => tx.vm(vm.id))).toEqual(vm);
        expect(await stage.store.read((tx) => tx.vm(anId('vm', 99)))).toBeUndefined();
      });

      it('keeps manifests of the same digest once and others apart', async () => {
        const one = await stage.add();
        const two = await stage.add({ settings: someSettings({ golden: aGolden({ version: 2 }) }) });
        const three = await stage.add();
        expect((await stage.store.read((tx) => tx.vms())).map((vm) => vm.settings.golden)).toEqual(
          [one, two, three].map((vm) => vm.settings.golden),
        );
        const shared = (await stage.vmNow(one.id)).settings.golden;
        expect(() => shared.bootArgs.push('oops')).toThrow(TypeError); // others hold the same object
      });

      it('keeps a name to one VM until that one is gone', async () => {
        const first = await stage.add({ name: 'web' });
        expect(await stage.faultOf(stage.add({ name: 'web' }))).toEqual({ code: 'vm-name-taken', data: { name: 'web', id: first.id } });
        await stage.wish(first.id, 'absent', 'vm.delete');
        await stage.steps(await stage.rentOne(), { phase: 'unrooting' }, { phase: 'gone' });
        expect((await stage.store.read((tx) => tx.vmsNamed('web'))).map((vm) => vm.id)).toEqual([first.id]);
        const second = await stage.add({ name: 'web' });
        expect((await stage.store.read((tx) => tx.vmsNamed('web'))).map((vm) => vm.id)).toEqual([second.id]);
        expect(await stage.store.read((tx) => tx.vmsNamed('other'))).toEqual([]);
      });

      it('lists in the order of making, in pages, with the gone ones on request', async () => {
        const made: Vm[] = [];
        for (let i = 0; i < 5; i += 1) made.push(await stage.add());
        const gone = made[1];
        if (!gone) throw new Error('five were made');
        await stage.wish(gone.id, 'absent', 'vm.delete');
        stage.clock.advance(10);
        await stage.steps(await stage.rentOne(gone.id), { phase: 'unrooting' }, { phase: 'gone' });
        const all = made.map((vm) => vm.id);
        const present = all.filter((id) => id !== gone.id);
        const list = async (where: { goneAfter?: Instant; after?: VmId; limit?: number }): Promise<VmId[]> =>
          (await stage.store.read((tx) => tx.vms(where))).map((vm) => vm.id);
        expect(await list({})).toEqual(present);
        expect(await list({ goneAfter: stage.clock.now() })).toEqual(all);
        expect(await list({ goneAfter: stage.clock.now() + 1 })).toEqual(present);
        const paged: VmId[] = [];
        for (let after: VmId | undefined, pages = 0; pages < 4; pages += 1, after = paged.at(-1)) {
          paged.push(...(await list({ limit: 2, ...(after === undefined ? {} : { after }) })));
        }
        expect(paged).toEqual(present);
      });

      it('keeps networks, refusing a name or a number twice', async () => {
        const network = aNetwork({ egress: false, isolated: true });
        await stage.store.write('net', (tx) => tx.addNetwork(network));
        expect(await stage.store.read((tx) => tx.network('default'))).toEqual(network);
        expect(await stage.store.read((tx) => tx.networks())).toEqual([network]);
        expect((await stage.faultOf(stage.store.write('net', (tx) => tx.addNetwork(aNetwork({ index: 1 }))))).code).toBe('network-clash');
        expect((await stage.faultOf(stage.store.write('net', (tx) => tx.addNetwork(aNetwork({ name: 'other' }))))).code).toBe(
          'network-clash',
        );
      });

      it('keeps the newest facts of a host', async () => {
        const id = anId('host');
        await stage.store.write('facts', (tx) => tx.keepHostFacts(id, someHostFacts()));
        await stage.store.write('facts', (tx) => tx.keepHostFacts(id, someHostFacts({ cores: 9 })));
        expect(await stage.store.read((tx) => tx.hostFacts(id))).toEqual(someHostFacts({ cores: 9 }));
        expect(await stage.store.read((tx) => tx.hostFacts(anId('host', 2)))).toBeUndefined();
      });

      it('keeps an answer for a day and forgets it then', async () => {
        const day = 24 * 3_600_000;
        const answer = { bodyHash: 'h', status: 202, body: { id: 'x', list: [1, null] } };
        await stage.store.write('answer', (tx) => tx.keepAnswer('k', answer, stage.clock.now()));
        expect(await stage.store.read((tx) => tx.answer('k', stage.clock.now() + day - 1))).toEqual(answer);
        expect(await stage.store.read((tx) => tx.answer('k', stage.clock.now() + day))).toBeUndefined();
        stage.clock.advance(day);
        const later = { ...answer, bodyHash: 'h2' };
        await stage.store.write('answer', (tx) => tx.keepAnswer('k', later, stage.clock.now()));
        expect(await stage.store.read((tx) => tx.answer('k', stage.clock.now()))).toEqual(later);
      });

      it('writes all of a transaction or nothing, events included', async () => {
        const before = await stage.events();
        const failing = stage.store.write('fails', async (tx) => {
          await tx.addNetwork(aNetwork());
          await tx.addVm(aVm(), anOperation());
          await tx.emit('x.y', 'z', {}, stage.clock.now());
          throw new Error('half way');
        });
        await expect(failing).rejects.toThrow('half way');
        expect(await stage.store.read((tx) => tx.vms())).toEqual([]);
        expect(await stage.store.read((tx) => tx.networks())).toEqual([]);
        expect(await stage.events()).toEqual(before);
        expect(await stage.store.nextDue()).toBeNull();
        await stage.add();
        expect((await stage.events()).map((e) => e.seq)).toEqual([1, 2]); // no number was lost with it
      });
    });

    describe('rents', () => {
      it('gives each VM to one of two racing workers, with fences that never go back', async () => {
        for (let i = 0; i < 20; i += 1) await stage.add();
        const other = await stage.open();
        const fences = new Map<VmId, number>();
        for (let round = 0; round < 5; round += 1) {
          const both = await Promise.all([stage.store, other, stage.store, other].map((s, i) => s.rent(`w${i}`, stage.clock.now(), 7)));
          const rented = both.flat();
          expect(new Set(rented.map((l) => l.vm.id)).size).toBe(rented.length);
          const rest = await stage.store.rent('w9', stage.clock.now(), 100);
          expect(rented.length + rest.length).toBe(20);
          for (const lease of [...rented, ...rest]) {
            expect(lease.fence).toBeGreaterThan(fences.get(lease.vm.id) ?? 0);
            fences.set(lease.vm.id, lease.fence);
          }
          expect(await stage.store.rent('w9', stage.clock.now(), 100)).toEqual([]);
          stage.clock.advance(30_000); // the rents run out
        }
      });

      it('gives what was on its way up a minute when somebody takes over, and looks at all', async () => {
        const vm = await stage.add();
        const held = await stage.steps(await stage.rentOne(), { phase: 'rooting', deadlineInMs: 300_000 });
        await stage.store.nap(held, null, stage.clock.now());
        stage.clock.advance(1_000_000);
        await stage.store.takeOver(stage.clock.now());
        const again = await stage.rentOne(vm.id);
        expect(again.vm.deadline).toBe(stage.clock.now() + 60_000);
      });

      it('calls a stumble over once a look went well', async () => {
        const vm = await stage.add();
        await stage.store.stumble(await stage.rentOne(), full, stage.clock.now());
        expect((await stage.vmNow(vm.id)).stumble).toEqual(full);
        stage.clock.advance(60_000);
        await stage.store.nap(await stage.rentOne(vm.id), null, stage.clock.now());
        expect((await stage.vmNow(vm.id)).stumble).toBeNull();
      });

      it('gives the rents of dead workers back at once when told that they are dead', async () => {
        await stage.add();
        const lease = await stage.rentOne();
        await stage.store.takeOver(stage.clock.now());
        expect(await stage.store.renew(lease, stage.clock.now())).toBe(false);
        const again = await stage.rentOne();
        expect(again.fence).toBeGreaterThan(lease.fence);
        expect(await stage.store.commit(lease, { phase: 'rooting' }, stage.clock.now(), anEntry())).toBeNull();
      });

      it('rents what is due longest, first', async () => {
        const late = await stage.add({ createdAt: stage.clock.now() + 20 });
        const early = await stage.add({ createdAt: stage.clock.now() + 10 });
        expect(await stage.store.rent('w', stage.clock.now(), 9)).toEqual([]);
        expect(await stage.store.nextDue()).toBe(stage.clock.now() + 10);
        stage.clock.advance(20);
        expect((await stage.store.rent('w', stage.clock.now(), 1)).map((l) => l.vm.id)).toEqual([early.id]);
        expect((await stage.store.rent('w', stage.clock.now(), 1)).map((l) => l.vm.id)).toEqual([late.id]);
      });

      it('writes nothing for a lease that was lost', async () => {
        await stage.add();
        const lost = await stage.rentOne();
        stage.clock.advance(30_000);
        const held = await stage.rentOne();
        const before = [await stage.vmNow(held.vm.id), await stage.events(), await stage.store.nextDue()];
        expect(await stage.store.commit(lost, { phase: 'rooting' }, stage.clock.now(), anEntry())).toBeNull();
        expect(await stage.store.renew(lost, stage.clock.now())).toBe(false);
        await stage.store.nap(lost, null, stage.clock.now());
        await stage.store.stumble(lost, full, stage.clock.now());
        expect([await stage.vmNow(held.vm.id), await stage.events(), await stage.store.nextDue()]).toEqual(before);
        expect(await stage.store.read((tx) => tx.history(held.vm.id, 9))).toEqual([]);
        expect((await stage.step(held, { phase: 'rooting' })).vm.phase).toBe('rooting');
      });

      it('takes progress from a rent that ran out but that nobody took', async () => {
        await stage.add();
        const lease = await stage.rentOne();
        stage.clock.advance(90_000);
        expect((await stage.step(lease, { phase: 'rooting' })).until).toBe(stage.clock.now() + 30_000);
        expect(await stage.store.rent('w2', stage.clock.now(), 1)).toEqual([]);
      });

      it('writes nothing after the lease was given back', async () => {
        await stage.add();
        const lease = await stage.rentOne();
        await stage.store.nap(lease, null, stage.clock.now());
        expect(await stage.store.commit(lease, { phase: 'rooting' }, stage.clock.now(), anEntry())).toBeNull();
        expect(await stage.store.renew(lease, stage.clock.now())).toBe(false);
      });

      it('keeps a rent that is renewed', async () => {
        await stage.add();
        const lease = await stage.rentOne();
        stage.clock.advance(29_999);
        expect(await stage.store.renew(lease, stage.clock.now())).toBe(true);
        stage.clock.advance(29_999);
        expect(await stage.store.rent('w2', stage.clock.now(), 1)).toEqual([]);
        expect(await stage.store.nextDue()).toBe(stage.clock.now() + 1);
      });

      it('sleeps until a time, or until woken', async () => {
        const vm = await stage.add();
        await stage.store.nap(await stage.rentOne(), stage.clock.now() + 100, stage.clock.now());
        expect(await stage.store.rent('w', stage.clock.now() + 99, 1)).toEqual([]);
        expect(await stage.store.nextDue()).toBe(stage.clock.now() + 100);
        stage.clock.advance(100);
        await stage.store.nap(await stage.rentOne(), null, stage.clock.now());
        expect(await stage.store.nextDue()).toBeNull();
        await stage.store.wake(vm.id, stage.clock.now());
        expect((await stage.rentOne()).vm.id).toBe(vm.id);
      });

      it('does not sleep through a wake that came after the rent', async () => {
        const vm = await stage.add();
        const lease = await stage.rentOne();
        await stage.wish(vm.id, 'absent', 'vm.delete');
        await stage.store.nap(lease, null, stage.clock.now());
        expect(await stage.store.nextDue()).toBe(stage.clock.now());
        const again = await stage.rentOne();
        expect(again.vm.wish).toBe('absent');
        await stage.store.nap(again, null, stage.clock.now());
        expect(await stage.store.nextDue()).toBeNull();
      });

      it('counts a wake before a commit as seen by it', async () => {
        const vm = await stage.add();
        const lease = await stage.rentOne();
        await stage.store.wake(vm.id, stage.clock.now());
        await stage.store.nap(await stage.step(lease, { phase: 'rooting' }), null, stage.clock.now());
        expect(await stage.store.nextDue()).toBeNull();
      });

      it('wakes all but the gone', async () => {
        const [a, b] = [await stage.add(), await stage.add()];
        await stage.wish(a.id, 'absent', 'vm.delete');
        for (const lease of await stage.store.rent('w', stage.clock.now(), 9)) {
          const last = lease.vm.id === a.id ? await stage.steps(lease, { phase: 'unrooting' }, { phase: 'gone' }) : lease;
          await stage.store.nap(last, null, stage.clock.now());
        }
        await stage.store.wake('all', stage.clock.now());
        expect((await stage.store.rent('w', stage.clock.now(), 9)).map((l) => l.vm.id)).toEqual([b.id]);
      });

      it('comes back after a stumble, later each time but never later than 30 s, and keeps why', async () => {
        const vm = await stage.add();
        const pauses: number[] = [];
        for (let i = 0; i < 12; i += 1) {
          await stage.store.stumble(await stage.rentOne(), full, stage.clock.now());
          const due = await stage.store.nextDue();
          if (due === null) throw new Error('a stumble must come back');
          pauses.push(due - stage.clock.now());
          stage.clock.advance(due - stage.clock.now());
        }
        for (const [i, pause] of pauses.entries()) {
          const whole = Math.min(30_000, 200 * 2 ** i);
          expect(pause).toBeGreaterThanOrEqual(whole / 2);
          expect(pause).toBeLessThanOrEqual(whole);
        }
        expect(new Set(pauses.slice(-4)).size).toBeGreaterThan(1); // jitter
        const stumbled = await stage.vmNow(vm.id);
        expect([stumbled.stumble, stumbled.version]).toEqual([full, vm.version + 1]);
        expect((await stage.typesOf()).filter((t) => t === 'vm.stumble')).toHaveLength(1);
        await stage.store.stumble(await stage.rentOne(), ended, stage.clock.now());
        expect([(await stage.vmNow(vm.id)).stumble, (await stage.vmNow(vm.id)).version]).toEqual([ended, vm.version + 2]);
        stage.clock.advance(30_000);
        expect((await stage.step(await stage.rentOne(), { phase: 'rooting' })).vm.stumble).toBeNull();
        stage.clock.advance(30_000);
        await stage.store.stumble(await stage.rentOne(), full, stage.clock.now());
        expect(await stage.store.nextDue()).toBeLessThanOrEqual(stage.clock.now() + 200); // progress started the count again
      });

      it('looks at once after a stumble when it was woken meanwhile', async () => {
        const vm = await stage.add();
        const lease = await stage.rentOne();
        await stage.store.wake(vm.id, stage.clock.now());
        await stage.store.stumble(lease, full, stage.clock.now());
        expect(await stage.store.nextDue()).toBe(stage.clock.now());
      });
    });

    testBootsAndSlots(() => stage);
    testGoldens(() => stage);
    testBuilds(() => stage);
    testCases(() => stage);

    describe('wishes and operations', () => {
      it('ends an operation once, when its wish has come true', async () => {
        const vm = await stage.add();
        const first = await stage.store.read((tx) => tx.operationOf(vm.id));
        if (!first) throw new Error('no operation');
        let lease = await stage.steps(await stage.rentOne(), ...bootUp.slice(0, -1));
        expect((await stage.operationNow(first.id)).state).toBe('running');
        stage.clock.advance(7);
        lease = await stage.steps(lease, { phase: 'proving' });
        expect(await stage.operationNow(first.id)).toMatchObject({ state: 'succeeded', endedAt: stage.clock.now(), fault: null });
        lease = await stage.steps(lease, proven);
        const pause = await stage.wish(vm.id, 'paused', 'vm.pause');
        expect((await stage.operationNow(pause)).state).toBe('running');
        lease = await stage.steps(lease, { paused: true });
        const resume = await stage.wish(vm.id, 'running', 'vm.resume');
        lease = await stage.steps(lease, { paused: false });
        const stop = await stage.wish(vm.id, 'stopped', 'vm.stop');
        lease = await stage.steps(lease, { phase: 'asking' }, ...wayDown, { phase: 'idle', boot: { release: 'wished-stopped' } });
        const remove = await stage.wish(vm.id, 'absent', 'vm.delete');
        await stage.steps(lease, { phase: 'unrooting' }, { phase: 'gone' });
        for (const id of [pause, resume, stop, remove]) expect((await stage.operationNow(id)).state).toBe('succeeded');
        const endings = (await stage.events()).filter((e) => e.type === 'operation.ended');
        expect(endings.map((e) => e.data['operation'])).toEqual([first.id, pause, resume, stop, remove]);
        expect(await stage.store.read((tx) => tx.operationOf(vm.id))).toBeUndefined();
      });

      it('fails an operation with the fault of its VM', async () => {
        const vm = await stage.add();
        const first = await stage.store.read((tx) => tx.operationOf(vm.id));
        const lease = await stage.steps(await stage.rentOne(), { phase: 'rooting' }, { phase: 'new', fault: full });
        expect(await stage.operationNow(first?.id ?? '')).toMatchObject({ state: 'failed', fault: full });
        const start = await stage.wish(vm.id, 'running', 'vm.start');
        expect((await stage.vmNow(vm.id)).fault).toBeNull();
        const late = await stage.steps(lease, { phase: 'rooting' }, { phase: 'idle' }, takeBoot, { phase: 'autopsy', fault: ended });
        expect((await stage.operationNow(start)).state).toBe('running'); // what is left of it is still to be taken down
        await stage.steps(late, ...wayDown, { phase: 'idle', boot: { release: 'vmm-ended' } });
        expect(await stage.operationNow(start)).toMatchObject({ state: 'failed', fault: ended });
      });

      it('replaces the open operation by a later wish', async () => {
        const vm = await stage.add();
        const first = await stage.store.read((tx) => tx.operationOf(vm.id));
        const second = await stage.wish(vm.id, 'absent', 'vm.delete');
        expect(await stage.operationNow(first?.id ?? '')).toMatchObject({ state: 'replaced', endedAt: stage.clock.now() });
        expect((await stage.store.read((tx) => tx.operationOf(vm.id)))?.id).toBe(second);
        expect(await stage.vmNow(vm.id)).toMatchObject({ wish: 'absent', wishNo: 2, wishBy: 'alice', version: 2 });
        expect(await stage.typesOf()).toEqual(['vm.created', 'vm.wish', 'operation.ended', 'vm.wish']);
      });

      it('ends the wish for a new proof only with a new proof', async () => {
        const vm = await stage.add();
        let lease = await stage.steps(await stage.rentOne(), ...bootUp);
        const verify = await stage.wish(vm.id, 'running', 'vm.verify', { reprove: true });
        lease = await stage.steps(lease, proven); // begun before the wish, so it is no answer to it
        expect([lease.vm.reprove, lease.vm.verified, (await stage.operationNow(verify)).state]).toEqual([true, 'proved', 'running']);
        lease = await stage.steps(lease, { phase: 'proving' });
        expect((await stage.operationNow(verify)).state).toBe('running');
        lease = await stage.steps(lease, { ...proven, proof: aProof('refuted') });
        expect([lease.vm.reprove, lease.vm.verified, (await stage.operationNow(verify)).state]).toEqual([false, 'refuted', 'succeeded']);
        expect((await stage.typesOf()).filter((t) => t.startsWith('boot.'))).toEqual(['boot.proved', 'boot.refuted']);
      });

      it('ends a wish for what is there already when the program rests', async () => {
        const vm = await stage.add({ phase: 'idle', wish: 'stopped' });
        const stop = await stage.wish(vm.id, 'stopped', 'vm.stop');
        await stage.store.nap(await stage.rentOne(), null, stage.clock.now());
        expect((await stage.operationNow(stop)).state).toBe('succeeded');
      });

      it('does not blame a stop for finding the VM dead', async () => {
        const vm = await stage.add();
        const lease = await stage.steps(await stage.rentOne(), ...bootUp, proven);
        const stop = await stage.wish(vm.id, 'stopped', 'vm.stop');
        const last = await stage.steps(lease, { phase: 'autopsy', fault: ended }, ...wayDown, {
          phase: 'idle',
          boot: { release: 'wished-stopped' },
        });
        expect([last.vm.fault, (await stage.operationNow(stop)).state]).toEqual([null, 'succeeded']);
        expect((await stage.store.read((tx) => tx.boots({ vm: vm.id })))[0]?.fault).toEqual(ended);
      });

      it('never brings a deleted VM back', async () => {
        const vm = await stage.add();
        expect((await stage.faultOf(stage.wish(anId('vm', 99), 'running', 'vm.start'))).code).toBe('not-found');
        await stage.wish(vm.id, 'absent', 'vm.delete');
        expect((await stage.faultOf(stage.wish(vm.id, 'running', 'vm.start'))).code).toBe('vm-state-forbids');
        await stage.wish(vm.id, 'absent', 'vm.delete');
        await stage.steps(await stage.rentOne(), { phase: 'unrooting' }, { phase: 'gone' });
        for (const to of ['running', 'absent'] as const)
          expect((await stage.faultOf(stage.wish(vm.id, to, 'vm.x'))).code).toBe('vm-state-forbids');
        expect((await stage.vmNow(vm.id)).phase).toBe('gone');
      });
    });

    describe('events and history', () => {
      it('numbers events without a gap under concurrent writers', async () => {
        const other = await stage.open();
        const vm = await stage.add();
        const writers = Array.from({ length: 40 }, async (_, i) =>
          (i % 2 === 0 ? stage.store : other).write('emit', async (tx) => {
            for (let k = 0; k <= i % 3; k += 1) await tx.emit('test.made', i % 4 === 0 ? vm.id : 'x', { i, k }, stage.clock.now());
            if (i % 5 === 0) throw new Error('rolled back');
          }),
        );
        await Promise.allSettled(writers);
        const all = await stage.events();
        expect(all.map((e) => e.seq)).toEqual(all.map((_, i) => i + 1));
        const made = all.filter((e) => e.type === 'test.made');
        expect(made).toHaveLength(Array.from({ length: 40 }, (_, i) => (i % 5 === 0 ? 0 : 1 + (i % 3))).reduce((a, b) => a + b, 0));
        expect(made.every((e) => Number(e.data['i']) % 5 !== 0)).toBe(true);
        expect(new Set((await stage.store.read((tx) => tx.events({ after: 0, limit: 999 }))).map((e) => e.id)).size).toBe(all.length);
        const about = await stage.store.read((tx) => tx.events({ after: 2, limit: 3, subject: vm.id }));
        expect(about.map((e) => e.subject)).toEqual([vm.id, vm.id, vm.id]);
        expect(await stage.store.read((tx) => tx.eventBounds())).toEqual({ oldest: 1, newest: all.length });
      });

      it('drops the oldest events and says so', async () => {
        expect(await stage.store.read((tx) => tx.eventBounds())).toEqual({ oldest: 1, newest: 0 });
        const small = await stage.open({ keepEvents: 10 });
        await small.write('many', async (tx) => {
          for (let i = 0; i < 1_005; i += 1) await tx.emit('test.made', 'x', { i }, stage.clock.now());
        });
        expect(await small.read((tx) => tx.eventBounds())).toEqual({ oldest: 996, newest: 1_005 });
      });

      it('keeps the newest 200 turns of each VM', async () => {
        const [a, b] = [await stage.add(), await stage.add()];
        const leases = new Map((await stage.store.rent('w', stage.clock.now(), 9)).map((l) => [l.vm.id, l]));
        const [of, quiet] = [leases.get(a.id), leases.get(b.id)];
        if (!of || !quiet) throw new Error('both are due');
        await stage.step(quiet, { phase: 'rooting' });
        let lease = of;
        for (let i = 0; i < 210; i += 1) lease = await stage.step(lease, {}, { decision: `d${i}`, ms: 0.25 });
        const entries = await stage.store.read((tx) => tx.history(a.id, 1_000));
        expect([entries.length, entries[0]?.decision, entries.at(-1)?.decision]).toEqual([200, 'd209', 'd10']);
        expect(entries[0]).toEqual(anEntry({ at: stage.clock.now(), decision: 'd209', ms: 0.25 }));
        expect(await stage.store.read((tx) => tx.history(b.id, 1_000))).toHaveLength(1);
        expect(await stage.store.read((tx) => tx.history(a.id, 2))).toHaveLength(2);
        expect((await stage.vmNow(a.id)).version).toBe(a.version + 210);
      });

      it('tells listeners after the write, and only of what happened', async () => {
        const heard: string[] = [];
        const stop = stage.store.onWake(() => heard.push('wake'));
        stage.store.onEvents(() => heard.push('events'));
        await stage.store
          .write('fails', async (tx) => {
            await tx.addVm(aVm(), anOperation());
            throw new Error('no');
          })
          .catch(() => {}); // that it throws is another test
        await stage.store.write('nothing', (tx) => tx.vms());
        expect(heard).toEqual([]);
        const visible = new Promise<readonly Vm[]>((resolve, reject) => {
          stage.store.onWake(() => void stage.store.read((tx) => tx.vms()).then(resolve, reject));
        });
        const vm = await stage.add();
        expect(new Set(heard)).toEqual(new Set(['wake', 'events']));
        expect(await visible).toEqual([vm]);
        stop();
        heard.length = 0;
        await stage.store.wake(vm.id, stage.clock.now());
        await stage.store.nap(await stage.rentOne(), null, stage.clock.now());
        expect(heard.filter((h) => h === 'wake')).toEqual([]);
      });
    });

    it('opens again with everything that was there', async () => {
      const vm = await stage.add();
      const lease = await stage.steps(await stage.rentOne(), ...bootUp, proven);
      const before = [await stage.store.read((tx) => tx.vms()), await stage.store.read((tx) => tx.boots()), await stage.events()];
      await stage.store.close();
      stage.store = await stage.open();
      expect([await stage.store.read((tx) => tx.vms()), await stage.store.read((tx) => tx.boots()), await stage.events()]).toEqual(before);
      expect((await stage.step(lease, { paused: true })).vm.id).toBe(vm.id); // the lease outlives the process as well
      stage.clock.advance(30_000);
      expect((await stage.rentOne()).fence).toBeGreaterThan(lease.fence);
    });
  });
}
