import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '@linstock/core';
import { openStore } from '@linstock/store';
import { anOperation, aNetwork, aVm, Fuse, SimHost, SimWorld, TestClock, testIds } from '@linstock/testkit';
import { Reclaim } from './reclaim.ts';

const clock = new TestClock();
const world = new SimWorld();
let store: Store;
let host: SimHost;
let reclaim: Reclaim;
const vm = aVm({ phase: 'idle', wish: 'stopped' });

beforeEach(async () => {
  store = await openStore({ url: 'sqlite::memory:', ids: testIds(), random: () => 0.5 });
  await store.write('vm', async (tx) => {
    await tx.addNetwork(aNetwork());
    await tx.addVm(vm, anOperation({ subject: vm.id }));
  });
  Object.assign(world, new SimWorld());
  host = new SimHost({ world, power: new Fuse(null) });
  reclaim = new Reclaim({ store, host, mark: 'beef', now: clock.now });
});
afterEach(() => store.close());

/** Two passes, further apart than the grace time. */
async function twice(): Promise<Awaited<ReturnType<Reclaim['pass']>>> {
  await reclaim.pass();
  clock.advance(60_000);
  return reclaim.pass();
}

it('keeps what a VM owns', async () => {
  world.disks.add(vm.id);
  expect((await twice()).removed).toEqual([]);
  expect([...world.disks]).toEqual([vm.id]);
});

it('removes what nobody claims, and only after a while', async () => {
  world.disks.add('vm_stranger');
  world.units.set('boot_stranger', { alive: true, ran: true, guest: 'up', bootIn: 0, off: false });
  expect((await reclaim.pass()).removed).toEqual([]);
  clock.advance(1_000);
  expect((await reclaim.pass()).removed).toEqual([]);
  clock.advance(60_000);
  expect((await reclaim.pass()).removed.map((m) => m.name).toSorted()).toEqual(['boot_stranger', 'vm_stranger']);
  expect(world.left()).toEqual({ disks: [], slots: [], units: [] });
  const types = (await store.read((tx) => tx.events({ after: 0, limit: 100 }))).map((e) => e.type);
  expect(types.filter((t) => t.startsWith('reclaim.'))).toEqual([
    'reclaim.unclaimed',
    'reclaim.unclaimed',
    'reclaim.removed',
    'reclaim.removed',
  ]);
});

it('keeps what was claimed while it looked', async () => {
  world.disks.add('vm_late');
  await reclaim.pass();
  clock.advance(60_000);
  const claimed = aVm({ id: 'vm_late', name: 'late', phase: 'idle', wish: 'stopped' });
  host.remove = async (_, unclaimed) => {
    await store.write('claim', (tx) => tx.addVm(claimed, anOperation({ id: 'op_late', subject: claimed.id })));
    return unclaimed();
  };
  expect((await reclaim.pass()).removed).toEqual([]);
  expect([...world.disks]).toEqual(['vm_late']);
});

it('goes on to the others when one cannot be removed, and looks at every VM whatever happens', async () => {
  world.disks.add('vm_stuck').add('vm_stranger');
  const remove = host.remove.bind(host);
  host.remove = async (marked, unclaimed) => {
    if (marked.name === 'vm_stuck') throw Object.assign(new Error('busy'), { stumble: 'device busy' });
    return remove(marked, unclaimed);
  };
  for (const lease of await store.rent('w', clock.now(), 10)) await store.nap(lease, null, clock.now());
  const { removed, failed } = await twice();
  expect(removed.map((m) => m.name)).toEqual(['vm_stranger']);
  expect(failed).toMatchObject([{ what: { name: 'vm_stuck' }, why: { data: { hint: 'device busy' } } }]);
  expect(await store.rent('w', clock.now(), 10)).toHaveLength(1);
});

it('ends on a bug instead of repeating it every minute', async () => {
  world.disks.add('vm_stranger');
  host.remove = async () => {
    throw new TypeError('x is not a function');
  };
  await expect(twice()).rejects.toThrow(TypeError);
});
