/** PostgreSQL by pg. Rows are locked one by one; what must be alone takes an advisory lock for its transaction. */
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Tables } from '../rows.ts';
import type { Dialect, Hint, Lock, Log } from './dialect.ts';

/** First key of our advisory locks: 'lins'. The second one says what is locked. */
const lockSpace = 0x6c696e73;
const channel = 'linstock';
const mostConnections = 8;

/** Numbers of the types that PostgreSQL sends for `bigint` and `numeric`; ours are counts and milliseconds, far below 2^53. */
const int8 = 20;

/** Errors after which the same transaction may well succeed: serialization, deadlock, and a unique key that another one took first. */
const conflicts = new Set(['40001', '40P01', '23505']);

const lockKey = (lock: Lock): number => (lock.what === 'migrations' ? 0 : lock.what === 'intents' ? 1 : 1_000 + lock.network);

export function openPostgres(url: string, log: Log): Dialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: mostConnections,
    // of this pool only: the parsers of the pg module are global, and others in this process may use it
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') => (oid === int8 ? Number : pg.types.getTypeParser(oid, format ?? 'text')),
    } as pg.CustomTypesConfig,
  });
  // a connection that dies while idle is replaced by the pool; without a listener it would end the process
  pool.on('error', (error) => log('a database connection was lost', { hint: error.message }));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  let ear: pg.Client | null = null;

  return {
    db,
    types: { int: 'bigint', real: 'double precision', table: '' },
    manyWriters: true,
    schemaOf: async (at) => {
      const { rows } = await sql<{ there: boolean }>`select to_regclass('meta') is not null as there`.execute(at);
      if (rows[0]?.there !== true) return 0;
      return (await at.selectFrom('meta').select('value').where('name', '=', 'schema').executeTakeFirst())?.value ?? 0;
    },
    lock: async (at, lock) => {
      await sql`select pg_advisory_xact_lock(${lockSpace}::int, ${lockKey(lock)}::int)`.execute(at);
    },
    isConflict: (error) => error instanceof pg.DatabaseError && conflicts.has(error.code ?? ''),
    tell: async (at, hint) => {
      await sql`select pg_notify(${channel}, ${hint})`.execute(at);
    },
    hear: async (listener) => {
      ear = new pg.Client({ connectionString: url });
      // hints may be lost, and the program looks by the clock as well: it is said once and not mended
      ear.on('error', (error) => log('hints of other controllers are no longer heard', { hint: error.message }));
      ear.on('notification', ({ payload }) => {
        if (isHint(payload)) listener(payload);
      });
      await ear.connect();
      await ear.query(`listen ${channel}`);
    },
    close: async () => {
      await ear?.end();
      await db.destroy();
      if (!pool.ended && !pool.ending) await pool.end(); // kysely leaves a pool alone that it never used
    },
  };
}

function isHint(text: string | undefined): text is Hint {
  return text === 'wake' || text === 'events';
}
