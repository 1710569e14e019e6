import { newBuild } from '@linstock/core';
import type { BuildOrder, BuildResult, BuildView } from '@linstock/contract';
import { beforeEach, describe, expect, it } from 'vitest';
import { aGolden, anId } from './builders.ts';
import type { StoreStage } from './store-stage.ts';

const order: Extract<BuildOrder, { what: 'golden' }> = {
  what: 'golden',
  recipe: 'base',
  cwd: '/',
  name: null,
  kernel: null,
  use: 'as-built',
};
const result: BuildResult = { what: 'golden', golden: aGolden(), rootfs: null, built: true };

/** Builds: how far they are, that they end once, and that of the same one is under way. */
export function testBuilds(current: () => StoreStage): void {
  let stage: StoreStage;
  beforeEach(() => {
    stage = current();
  });
  const asked = async (n: number, what: BuildOrder = order): Promise<BuildView> => {
    const build = newBuild(anId('op', n), what, 'me', stage.clock.now());
    await stage.store.write('t', (tx) => tx.addBuild(build));
    return build;
  };
  const end = (id: string, ended: 'done' | 'failed'): Promise<void> => {
    const how = ended === 'done' ? { is: 'done' as const, result } : { is: 'failed' as const, fault: { code: 'bug' as const, data: {} } };
    return stage.store.write('t', (tx) => tx.endBuild(id, how, stage.clock.now()));
  };

  describe('builds', () => {
    it('are kept with how far they are, over an opening', async () => {
      const build = await asked(1);
      const far = { done: 1, total: null, unit: 'bytes' };
      const progress = { tries: 1, steps: [{ name: 'fetch', at: 5 }], far };
      await stage.store.write('t', (tx) => tx.keepBuild(build.id, { ...progress, began: 'fetch' }, stage.clock.now()));
      const other = await stage.open();
      expect(await other.read((tx) => tx.build(build.id))).toEqual({ ...build, ...progress });
      expect(await other.read((tx) => tx.operation(build.id))).toMatchObject({ kind: 'golden.build', state: 'running' });
      expect(await other.read((tx) => tx.build(anId('op', 9)))).toBeUndefined();
    });

    it('end once, and are listed newest first', async () => {
      const [one, two] = [await asked(1), await asked(2, { ...order, name: 'other' })];
      await end(one.id, 'done');
      await end(one.id, 'failed');
      expect(await stage.store.read((tx) => tx.build(one.id))).toMatchObject({ state: 'succeeded', result, fault: null });
      expect((await stage.store.read((tx) => tx.builds())).map(({ id }) => id)).toEqual([two.id, one.id]);
      expect((await stage.store.read((tx) => tx.builds({ running: true }))).map(({ id }) => id)).toEqual([two.id]);
      expect(await stage.store.read((tx) => tx.builds({ limit: 1 }))).toHaveLength(1);
    });

    it('of the same are under way one at a time, also when two ask at once', async () => {
      const ends = await Promise.allSettled([asked(1), asked(2), asked(3)]);
      const [running] = await stage.store.read((tx) => tx.builds({ running: true }));
      expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await stage.faultOf(asked(4))).toEqual({ code: 'build-under-way', data: { subject: 'golden base', id: running?.id } });
      await end(running?.id ?? '', 'failed');
      await asked(5);
    });

    it('are forgotten when they ended long ago', async () => {
      const [old, open] = [await asked(1), await asked(2, { ...order, name: 'other' })];
      await end(old.id, 'done');
      stage.clock.advance(1_000);
      await stage.store.forget(stage.clock.now());
      expect((await stage.store.read((tx) => tx.builds())).map(({ id }) => id)).toEqual([open.id]);
      expect(await stage.store.read((tx) => tx.operation(old.id))).toBeUndefined();
    });
  });
}
