import { openStore } from '@linstock/store';
import { anEntry, anOperation, aVm, TestClock, testIds, testRandom } from './builders.ts';

/**
 * A program to be killed: writes without end and says each id once its write was acknowledged.
 * `node store-writer.ts URL SEED`, a new seed for each life.
 */
const [url, seed] = process.argv.slice(2);
if (url === undefined || seed === undefined) throw new Error('store-writer URL SEED');
const ids = testIds(Number(seed));
const clock = new TestClock();
const store = await openStore({ url, ids, random: testRandom() });

for (;;) {
  const now = clock.advance(1);
  const id = ids.next('vm', now);
  const vm = aVm({ id, name: `n-${seed}-${id.slice(8, 22)}`, phase: 'idle', createdAt: now });
  await store.write('add', (tx) => tx.addVm(vm, anOperation({ id: ids.next('op', now), subject: id, openedAt: now })));
  process.stdout.write(`added ${id}\n`); // a pipe: written when this returns
  for (const lease of await store.rent('writer', now, 1)) {
    const next = await store.commit(lease, { phase: 'wiring', boot: { take: 'hb' } }, now, anEntry({ at: now }));
    if (next) process.stdout.write(`moved ${lease.vm.id} ${next.vm.version}\n`);
    if (next) await store.nap(next, null, now);
  }
}
