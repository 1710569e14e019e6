import pg from 'pg';
import { afterAll, expect, it } from 'vitest';
import { anOperation, aVm, testIds } from '@linstock/testkit';
import { startPostgres } from '@linstock/testkit/postgres';
import { testStore } from '@linstock/testkit/store-suite';
import { openStore } from './index.ts';
import { knownSchema } from './migrations/migrations.ts';

const postgres = await startPostgres();

if ('skipped' in postgres) {
  it.skip(`the store on PostgreSQL (${postgres.skipped})`);
} else {
  afterAll(() => postgres.stop());
  testStore('the store on PostgreSQL', async () => {
    const { url, drop } = await postgres.create();
    return { open: (options) => openStore({ url, ...options }), drop };
  });

  it('refuses a newer PostgreSQL database and leaves it as it was', async () => {
    const { url, drop } = await postgres.create();
    const options = { url, ids: testIds(), random: () => 0.5 };
    await (await openStore(options)).close();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(`update meta set value = 99 where name = 'schema'`);
    await expect(openStore(options)).rejects.toMatchObject({ fault: { code: 'database-newer', data: { found: 99, known: knownSchema } } });
    expect((await client.query(`select value from meta where name = 'schema'`)).rows).toEqual([{ value: '99' }]);
    await client.end();
    await drop();
  });

  it('migrates once when many open an empty database at the same moment', async () => {
    const { url, drop } = await postgres.create();
    const stores = await Promise.all([1, 2, 3, 4].map((n) => openStore({ url, ids: testIds(n), random: () => 0.5 })));
    for (const store of stores) expect(await store.read((tx) => tx.vms())).toEqual([]);
    await Promise.all(stores.map((store) => store.close()));
    await drop();
  });

  it('hears of what another controller wrote', async () => {
    const { url, drop } = await postgres.create();
    const [a, b] = [
      await openStore({ url, ids: testIds(1), random: () => 0.5 }),
      await openStore({ url, ids: testIds(2), random: () => 0.5 }),
    ];
    const heard = Promise.all([new Promise<void>((resolve) => b.onWake(resolve)), new Promise<void>((resolve) => b.onEvents(resolve))]);
    await a.write('add', (tx) => tx.addVm(aVm(), anOperation()));
    await heard;
    expect(await b.read((tx) => tx.vms())).toEqual([aVm()]);
    await Promise.all([a.close(), b.close()]);
    await drop();
  });
}
