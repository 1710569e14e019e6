import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isId } from '@linstock/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anOperation, aVm, testIds, testRandom } from '@linstock/testkit';
import { startWriter } from '@linstock/testkit/store-process';
import { testStore } from '@linstock/testkit/store-suite';
import { openStore } from './index.ts';
import { knownSchema } from './migrations/migrations.ts';

testStore('the store on SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-store-'));
  return {
    open: (options) => openStore({ url: `sqlite:${join(folder, 'linstock.db')}`, ...options }),
    drop: () => rm(folder, { recursive: true, force: true }),
  };
});

describe('a SQLite file', () => {
  let folder: string;
  let path: string;
  const openIt = (): ReturnType<typeof openStore> => openStore({ url: `sqlite:${path}`, ids: testIds(), random: testRandom() });
  const sql = (text: string): void => {
    const database = new DatabaseSync(path);
    database.exec(text);
    database.close();
  };
  /** Every file of the folder with its digest; a -shm by its name only: it is memory shared by processes, not data. */
  const picture = async (): Promise<string[]> => {
    const digest = async (name: string): Promise<string> =>
      createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex');
    const names = (await readdir(folder)).toSorted();
    return Promise.all(names.map(async (name) => (name.endsWith('-shm') ? name : `${name} ${await digest(name)}`)));
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-store-'));
    path = join(folder, 'linstock.db');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const made = async (): Promise<void> => {
    const store = await openIt();
    await store.write('add', (tx) => tx.addVm(aVm(), anOperation()));
    await store.close();
  };

  it('is brought up to date from the first schema, with its VMs', async () => {
    await made();
    sql(`drop table builds; drop table golden_versions; drop table golden_tags; drop table golden_deeds; drop table cases;
      drop index boots_news; alter table boots drop column news; alter table boots drop column news_told;
      update meta set value = 1 where name = 'schema';
      update vms set settings = json_remove(settings, '$.vmmVersion', '$.firecracker')`);
    const store = await openIt();
    expect(await store.read((tx) => tx.vms())).toEqual([aVm()]);
    expect(await store.read((tx) => tx.goldenRecords())).toEqual([]);
    expect(await store.read((tx) => tx.cases())).toEqual([]);
    await store.close();
  });

  it('is one file when it is closed', async () => {
    await made();
    expect(await readdir(folder)).toEqual(['linstock.db']);
  });

  it.each(['closed', 'cut off'])('is refused and left as it was when its schema is newer (%s)', async (how) => {
    await made();
    if (how === 'closed') sql(`update meta set value = 99 where name = 'schema'`);
    else {
      // the change is only in the log: what a power cut leaves behind
      const database = new DatabaseSync(path);
      database.exec(`update meta set value = 99 where name = 'schema'`);
      await copyFile(path, `${path}.copy`);
      await copyFile(`${path}-wal`, `${path}.copy-wal`);
      await copyFile(`${path}-shm`, `${path}.copy-shm`);
      database.close();
      path = `${path}.copy`;
    }
    const before = await picture();
    await expect(openIt()).rejects.toMatchObject({ fault: { code: 'database-newer', data: { folder, found: 99, known: knownSchema } } });
    expect(await picture()).toEqual(before);
  });

  it.each([
    ['text', async () => writeFile(path, 'this is no database\n'.repeat(300))],
    ['a database of somebody else', async () => sql('create table guests (name text)')],
    [
      'a damaged database',
      async () => {
        await made();
        const file = await open(path, 'r+');
        const { size } = await file.stat();
        await file.write(Buffer.alloc(size - 8_192, 0x5a), 0, size - 8_192, 8_192);
        await file.close();
      },
    ],
  ])('is refused and left as it was when it is %s', async (_, make) => {
    await make();
    const before = await picture();
    await expect(openIt()).rejects.toMatchObject({ fault: { code: 'database-corrupt', data: { path } } });
    expect(await picture()).toEqual(before);
  });

  it('may be empty', async () => {
    await writeFile(path, '');
    await made();
    expect(await (await openIt()).read((tx) => tx.vms())).toEqual([aVm()]);
  });

  it.each([
    ['vms', 'settings', `row ${aVm().id}, column settings: `],
    ['vms', 'phase', `row ${aVm().id}, column phase: 'oops{' is none of new, rooting, `],
    ['goldens', 'manifest', `row ${aVm().settings.golden.digest}, column manifest: `],
    ['operations', 'state', `column state: 'oops{' is none of running, `],
  ])('names row and column when %s.%s cannot be read', async (table, column, says) => {
    await made();
    sql(`pragma ignore_check_constraints = on; update ${table} set ${column} = 'oops{'`);
    const store = await openIt();
    const reading = store.read(async (tx) => [await tx.vms(), await tx.operation(anOperation().id)]);
    await expect(reading).rejects.toMatchObject({
      fault: { code: 'database-corrupt', data: { path: `table ${table}`, hint: expect.stringContaining(says) } },
    });
    await store.close();
  });

  it('has every acknowledged write after the writer was killed', { timeout: 60_000 }, async () => {
    const random = testRandom(3);
    const acknowledged = new Map<string, number>();
    for (let life = 1; life <= 6; life += 1) {
      const writer = startWriter(`sqlite:${path}`, life);
      let left = 20 + Math.floor(random() * 150);
      for await (const line of writer.lines) {
        const [what, id, version] = line.split(' ');
        // the last line may be cut in the middle
        if (id !== undefined && isId('vm', id))
          acknowledged.set(id, what === 'moved' && version ? Number(version) : (acknowledged.get(id) ?? 1));
        if ((left -= 1) === 0) writer.kill(); // what it still wrote before it died is read as well
      }
      await writer.ended;
      const store = await openIt();
      const vms = new Map((await store.read((tx) => tx.vms())).map((vm) => [String(vm.id), vm]));
      for (const [id, version] of acknowledged) expect(vms.get(id)?.version ?? `${id} is lost`).toBeGreaterThanOrEqual(version);
      const events = await store.read((tx) => tx.events({ after: 0, limit: 100_000 }));
      expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
      const [leases, boots] = await store.read(async (tx) => [await tx.leases(0), await tx.boots()]);
      expect(leases.map((l) => l.boot).toSorted()).toEqual(boots.map((b) => b.id).toSorted());
      await store.close();
      const database = new DatabaseSync(path);
      expect(database.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
      expect(database.prepare('pragma foreign_key_check').all()).toEqual([]);
      database.close();
    }
    expect(acknowledged.size).toBeGreaterThan(100);
  });

  it('lets two processes write in turns', { timeout: 60_000 }, async () => {
    const writer = startWriter(`sqlite:${path}`, 1);
    let store: Awaited<ReturnType<typeof openIt>> | null = null;
    let mine = 0;
    for await (const _ of writer.lines) {
      store ??= await openIt();
      if (mine < 30) await store.write('emit', (tx) => tx.emit('test.made', 'x', { i: (mine += 1) }, 1));
      else writer.kill();
    }
    await writer.ended;
    const events = (await store?.read((tx) => tx.events({ after: 0, limit: 100_000 }))) ?? [];
    expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter((e) => e.type === 'test.made')).toHaveLength(30);
    await store?.close();
  });
});
