import type { Fault, Id, VmId } from '@linstock/contract';
import type { CaseChange, Lease } from '@linstock/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { aProof } from './builders.ts';
import { bootUp, proven, takeBoot, wayDown, type StoreStage } from './store-stage.ts';

const ended: Fault = { code: 'vmm-ended', data: { hint: 'killed' } };

/** Open diagnoses, and what they have not heard of yet. */
export function testCases(current: () => StoreStage): void {
  let stage: StoreStage;
  beforeEach(() => {
    stage = current();
  });

  const aCase = (vm: VmId, code = 'boot.init-not-found', more: Partial<CaseChange['case']> = {}): CaseChange['case'] => ({
    id: stage.ids.next('case', stage.clock.now()),
    code,
    title: 'There is no such init',
    layer: 'boot',
    confidence: 'likely',
    guestWord: false,
    vm,
    vmName: 'web',
    state: 'open',
    boots: 1,
    openedAt: stage.clock.now(),
    seenAt: stage.clock.now(),
    firstBoot: 'boot_1',
    boot: 'boot_1',
    closedAt: null,
    closed: null,
    diagnosis: { outcome: 'failed', phaseReached: 'kernel.started', causes: [], benign: [], ruledOut: [], missing: [] },
    ...more,
  });
  const keep = (is: CaseChange['is'], one: CaseChange['case']): Promise<void> =>
    stage.store.write('case', (tx) => tx.keepCase({ is, case: one }, stage.clock.now()));
  const news = () => stage.store.read((tx) => tx.bootNews(10));
  const running = async (): Promise<Lease> => {
    const { id } = await stage.add();
    return stage.steps(await stage.rentOne(id), ...bootUp);
  };

  describe('cases', () => {
    it('gives back what was put in, whole, and lists it without the diagnosis, page by page', async () => {
      const [a, b] = [(await stage.add()).id, (await stage.add()).id];
      const cases = [aCase(a), aCase(b), aCase(a, 'guest.net.x', { guestWord: true, confidence: 'proved', layer: 'guest.net' })];
      for (const one of cases) await keep('opened', one);
      const views = cases.map((one) => {
        const { diagnosis: _, ...view } = one;
        return view;
      });
      const other = await stage.open();
      expect(await other.read((tx) => tx.cases())).toEqual(views);
      expect(await other.read((tx) => tx.cases({ vm: a }))).toEqual([views[0], views[2]]);
      expect(await other.read((tx) => tx.cases({ state: 'closed' }))).toEqual([]);
      expect(await other.read((tx) => tx.cases({ after: String(cases[0]?.id), limit: 1 }))).toEqual([views[1]]);
      expect(await other.read((tx) => tx.case(String(cases[2]?.id)))).toEqual(cases[2]);
      expect(await other.read((tx) => tx.case('case_none'))).toBeUndefined();
      expect(await other.read((tx) => tx.openCases())).toEqual({ 'boot.init-not-found': 2, 'guest.net.x': 1 });
    });

    it('has each cause of a VM open once at a time, and again after it was closed', async () => {
      const { id } = await stage.add();
      const first = aCase(id);
      await keep('opened', first);
      await expect(keep('opened', aCase(id))).rejects.toThrow();
      await keep('seen', { ...first, boots: 2, boot: 'boot_2' });
      stage.clock.advance(5);
      await stage.store.write('close', (tx) => tx.closeCases(id, 'boot_3', stage.clock.now()));
      expect(await stage.store.read((tx) => tx.case(first.id))).toMatchObject({
        state: 'closed',
        boots: 2,
        closedAt: stage.clock.now(),
        closed: { why: 'verified', boot: 'boot_3' },
      });
      await keep('opened', aCase(id));
      expect((await stage.store.read((tx) => tx.cases({ vm: id }))).map((one) => one.state)).toEqual(['closed', 'open']);
      const told = (await stage.events()).filter((e) => e.type.startsWith('case.'));
      expect(told.map((e) => e.type)).toEqual(['case.opened', 'case.closed', 'case.opened']);
      expect(told[1]).toMatchObject({ subject: id, data: { case: first.id, code: first.code, why: 'verified', boot: 'boot_3' } });
    });

    it('writes a case, its event and what it heard together, or nothing of it', async () => {
      const lease = await stage.step(await running(), { ...proven, proof: aProof('refuted') });
      const before = await stage.events();
      const due = await news();
      const failing = stage.store.write('case', async (tx) => {
        await tx.keepCase({ is: 'opened', case: aCase(lease.vm.id) }, stage.clock.now());
        for (const one of due) await tx.tellNews(one);
        throw new Error('half way');
      });
      await expect(failing).rejects.toThrow('half way');
      expect([await stage.store.read((tx) => tx.cases()), await news(), await stage.events()]).toEqual([[], due, before]);
    });

    it('closes what is open of a VM in the transaction that records it gone', async () => {
      const { id } = await stage.add();
      const stays = (await stage.add()).id;
      await keep('opened', aCase(id));
      await keep('opened', aCase(stays));
      await stage.wish(id, 'absent', 'vm.delete');
      await stage.steps(await stage.rentOne(id), { phase: 'unrooting' }, { phase: 'gone' });
      expect(await stage.store.read((tx) => tx.cases({ state: 'closed' }))).toMatchObject([
        { vm: id, closed: { why: 'deleted', boot: null } },
      ]);
      expect(await stage.store.read((tx) => tx.cases({ state: 'open' }))).toMatchObject([{ vm: stays }]);
    });

    it('forgets closed ones when their time is over, never an open one', async () => {
      const { id } = await stage.add();
      await keep('opened', aCase(id));
      await stage.store.write('close', (tx) => tx.closeCases(id, 'boot_3', stage.clock.now()));
      const open = aCase(id);
      await keep('opened', open);
      await stage.store.forget(stage.clock.now());
      expect((await stage.store.read((tx) => tx.cases())).length).toBe(2);
      await stage.store.forget(stage.clock.now() + 1);
      expect((await stage.store.read((tx) => tx.cases())).map((one) => one.id as Id<'case'>)).toEqual([open.id]);
    });
  });

  describe('news of boots', () => {
    it('are a proof, each time, and a failure once the boot is over; told once, and not lost when more came meanwhile', async () => {
      let lease = await running();
      expect(await news()).toEqual([]);
      const boot = String(lease.vm.claim?.id) as Id<'boot'>;
      lease = await stage.step(lease, { ...proven, proof: aProof('refuted') });
      expect(await (await stage.open()).read((tx) => tx.bootNews(10))).toEqual([{ boot, news: 1 }]);
      lease = await stage.steps(lease, { phase: 'proving' }, proven);
      await stage.store.write('told', (tx) => tx.tellNews({ boot, news: 1 }));
      expect(await news()).toEqual([{ boot, news: 2 }]);
      await stage.store.write('told', (tx) => tx.tellNews({ boot, news: 2 }));
      await stage.store.write('told', (tx) => tx.tellNews({ boot, news: 1 })); // a slower one comes late
      expect(await news()).toEqual([]);
      lease = await stage.steps(lease, { phase: 'autopsy', fault: ended }, { ...wayDown[0], proof: aProof('refuted') }, wayDown[1] ?? {});
      expect(await news()).toEqual([]);
      await stage.step(lease, { phase: 'idle', boot: { release: 'vmm-ended' } });
      expect(await news()).toEqual([{ boot, news: 3 }]);
      expect(await stage.store.read((tx) => tx.bootEnds())).toEqual({ 'vmm-ended': 1 });
    });

    it('are none of a boot that ended as wished, and go with a boot that is forgotten', async () => {
      const { id } = await stage.add();
      let lease = await stage.steps(await stage.rentOne(id), { phase: 'rooting' }, { phase: 'idle' });
      lease = await stage.steps(lease, takeBoot, ...wayDown, { phase: 'idle', boot: { release: 'wished-stopped' } });
      expect(await news()).toEqual([]);
      stage.clock.advance(10);
      lease = await stage.steps(lease, takeBoot, { phase: 'autopsy', fault: ended }, ...wayDown);
      lease = await stage.step(lease, { phase: 'idle', boot: { release: 'x' } });
      expect((await news()).length).toBe(1);
      stage.clock.advance(10);
      await stage.steps(lease, takeBoot);
      expect(await stage.store.read((tx) => tx.bootEnds())).toEqual({ 'vmm-ended': 1, 'wished-stopped': 1, 'under-way': 1 });
      await stage.store.forget(stage.clock.now());
      expect(await news()).toEqual([]);
    });
  });
}
