import { FaultError } from '@linstock/contract';
import { sql } from 'kysely';
import type { Dialect } from '../dialects/dialect.ts';
import { begin } from './0001-begin.ts';
import { goldens } from './0002-goldens.ts';
import { builds } from './0003-builds.ts';
import { cases } from './0004-cases.ts';
import type { Migration } from './migration.ts';

/** In the order in which they run. A gap or a swap is a bug of the release, so it stops at once. */
export const migrations: readonly Migration[] = [begin, goldens, builds, cases];

export const knownSchema = migrations.length;

export function refuseNewer(found: number, folder: string): void {
  if (found > knownSchema) throw new FaultError('database-newer', { folder, found, known: knownSchema });
}

/** Brings the schema up to date. All in one transaction: a migration that fails leaves the database as it was. */
export async function migrate(dialect: Dialect, folder: string, steps: readonly Migration[] = migrations): Promise<number> {
  for (const [i, step] of steps.entries()) {
    if (step.number !== i + 1) throw new Error(`migration ${step.name} has number ${step.number} but comes as ${i + 1}`);
  }
  return dialect.db.transaction().execute(async (db) => {
    await dialect.lock(db, { what: 'migrations' });
    const found = await dialect.schemaOf(db);
    refuseNewer(found, folder);
    const missing = steps.filter((step) => step.number > found);
    if (missing.length === 0) return found;
    if (found === 0) {
      await sql.raw(`create table meta (name text primary key, value ${dialect.types.int} not null)${dialect.types.table}`).execute(db);
      await db.insertInto('meta').values({ name: 'schema', value: 0 }).execute();
    }
    for (const step of missing) {
      for (const statement of step.statements(dialect.types)) await sql.raw(statement).execute(db);
    }
    await db.updateTable('meta').set({ value: steps.length }).where('name', '=', 'schema').execute();
    return steps.length;
  });
}
