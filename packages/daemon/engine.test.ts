import { expect, test } from 'vitest';
import { FaultError } from '@linstock/contract';
import { decideVm, type Store } from '@linstock/core';
import { openStore } from '@linstock/store';
import { Fuse, SimHost, SimWorld, testIds } from '@linstock/testkit';
import { Engine } from './engine.ts';

/** An engine over a real store whose next `rent` fails as told; how often it slept before it was stopped at the second sleep. */
async function runWith(failure: Error): Promise<{ rents: number; sleeps: number[] }> {
  const store = await openStore({ url: 'sqlite::memory:', ids: testIds(), random: () => 0.5 });
  let rents = 0;
  const failing: Store = Object.create(store, {
    rent: {
      value: async (...args: Parameters<Store['rent']>) => {
        rents += 1;
        if (rents === 1) throw failure;
        return store.rent(...args);
      },
    },
    nextDue: { value: () => store.nextDue() },
    onWake: { value: () => () => undefined },
  });
  const host = new SimHost({ world: new SimWorld(), power: new Fuse(null) });
  const over = new AbortController();
  const sleeps: number[] = [];
  const engine = new Engine({
    store: failing,
    program: { observe: host.observe.bind(host), decide: decideVm, perform: host.perform.bind(host) },
    now: () => 0,
    sleep: async (ms) => {
      sleeps.push(ms);
      if (sleeps.length === 2) over.abort();
    },
    worker: 'w',
    atOnce: 4,
  });
  try {
    await engine.run(over.signal);
  } finally {
    await store.close();
  }
  return { rents, sleeps };
}

test('a disk too full to rent is waited for, and does not end the engine', async () => {
  const full = new FaultError('host-disk-full', { path: '/state', freeMiB: 0 });
  expect(await runWith(full)).toEqual({ rents: 2, sleeps: [5_000, 5_000] });
});

test('a bug in the store ends it', async () => {
  await expect(runWith(new TypeError('a bug'))).rejects.toThrow('a bug');
});
