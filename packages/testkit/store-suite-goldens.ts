import type { BootId, GoldenDeed } from '@linstock/contract';
import type { GoldenRecord } from '@linstock/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { anId, testStart } from './builders.ts';
import { takeBoot, wayDown, type StoreStage } from './store-stage.ts';

const deed = (more: Partial<GoldenDeed> = {}): GoldenDeed => ({
  at: testStart,
  by: 'me',
  what: 'verify',
  version: 1,
  tag: null,
  from: null,
  boot: null,
  reason: null,
  ...more,
});
const draft = (more: Partial<GoldenRecord> = {}): GoldenRecord => ({
  name: 'tiny',
  version: 1,
  digest: 'd',
  state: 'draft',
  vm: null,
  boot: null,
  why: null,
  ...more,
});

/** Golden versions, their tags, and what happened to them. */
export function testGoldens(current: () => StoreStage): void {
  let stage: StoreStage;
  beforeEach(() => {
    stage = current();
  });

  describe('golden versions and tags', () => {
    it('keeps what is known of a version, and its latest word only', async () => {
      const vm = (await stage.add()).id;
      const verifying = draft({ state: 'verifying', vm });
      const active = draft({ state: 'active', boot: anId('boot') as BootId });
      await stage.store.write('t', (tx) => tx.keepGolden(draft({ version: 2, why: 'it is new' }), deed({ version: 2 })));
      await stage.store.write('t', (tx) => tx.keepGolden(verifying, deed()));
      expect(await stage.store.read((tx) => tx.goldenRecords({ state: 'verifying' }))).toEqual([verifying]);
      await stage.store.write('t', (tx) => tx.keepGolden(active, deed({ what: 'verified', boot: active.boot })));
      expect(await (await stage.open()).read((tx) => tx.goldenRecords())).toEqual([active, draft({ version: 2, why: 'it is new' })]);
      expect(await stage.store.read((tx) => tx.goldenDeeds('tiny', 2))).toEqual([deed({ what: 'verified', boot: active.boot }), deed()]);
      expect(await stage.store.read((tx) => tx.goldenDeeds('other', 9))).toEqual([]);
    });

    it('has a VM for as long as it is verified, and then none', async () => {
      await expect(stage.store.write('t', (tx) => tx.keepGolden(draft({ state: 'verifying' }), deed()))).rejects.toThrow();
      expect(await stage.store.read((tx) => tx.goldenRecords())).toEqual([]);
      expect(await stage.store.read((tx) => tx.goldenDeeds('tiny', 9))).toEqual([]);
    });

    it('moves a tag by compare and set, and tells where it was', async () => {
      const move = (version: number, ifRevision?: number): Promise<unknown> =>
        stage.store.write('t', (tx) => tx.moveTag({ golden: 'tiny', tag: 'stable', ifRevision }, deed({ what: 'promote', version })));
      expect(await move(1, 0)).toEqual({ golden: 'tiny', tag: 'stable', version: 1, revision: 1, movedAt: testStart, movedBy: 'me' });
      expect(await stage.faultOf(move(2, 0))).toEqual({
        code: 'golden-tag-moved',
        data: { golden: 'tiny', tag: 'stable', given: 0, current: 1 },
      });
      expect(await move(2, 1)).toMatchObject({ version: 2, revision: 2 });
      expect(await move(3)).toMatchObject({ version: 3, revision: 3 });
      expect(await stage.store.read((tx) => tx.goldenTags())).toMatchObject([{ tag: 'stable', version: 3 }]);
      expect((await stage.store.read((tx) => tx.goldenDeeds('tiny', 9))).map(({ tag, version, from }) => [tag, version, from])).toEqual([
        ['stable', 3, 2],
        ['stable', 2, 1],
        ['stable', 1, null],
      ]);
    });

    it('of two that move a tag at once from the same revision, one does', async () => {
      const move = (version: number): Promise<unknown> =>
        stage.store.write('t', (tx) => tx.moveTag({ golden: 'tiny', tag: 'stable', ifRevision: 0 }, deed({ what: 'promote', version })));
      const ends = await Promise.allSettled([move(1), move(2), move(3)]);
      expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await stage.store.read((tx) => tx.goldenDeeds('tiny', 9))).toHaveLength(1);
    });

    it('does not forget the boot that a version is known by', async () => {
      const vm = await stage.add();
      const lease = await stage.steps(await stage.rentOne(), { phase: 'rooting' }, { phase: 'idle' }, takeBoot);
      const boot = lease.vm.claim?.id as BootId;
      await stage.store.write('t', (tx) => tx.keepGolden(draft({ state: 'active', boot }), deed({ what: 'verified', boot })));
      await stage.wish(vm.id, 'absent', 'vm.delete');
      await stage.steps(
        lease,
        ...wayDown,
        { phase: 'idle', boot: { release: 'wished-absent' } },
        { phase: 'unrooting' },
        { phase: 'gone' },
      );
      stage.clock.advance(1_000);
      await stage.store.forget(stage.clock.now());
      expect((await stage.store.read((tx) => tx.boot(boot)))?.id).toBe(boot);
      await stage.store.write('t', (tx) => tx.keepGolden(draft({ state: 'active', boot: anId('boot', 7) as BootId }), deed()));
      await stage.store.forget(stage.clock.now());
      expect(await stage.store.read((tx) => tx.boot(boot))).toBeUndefined();
    });
  });
}
