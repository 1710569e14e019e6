/**
 * SQLite by node:sqlite: one connection, one transaction at a time (kysely queues for the connection),
 * each write flushed to the disk before it is acknowledged.
 */
import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { FaultError } from '@linstock/contract';
import {
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import { refuseNewer } from '../migrations/migrations.ts';
import type { Tables } from '../rows.ts';
import type { Dialect } from './dialect.ts';

/** Prepared statements kept; the store has about sixty, lists of values make a few more. */
const mostStatements = 200;
/** How long SQLite itself may wait for a lock, `ms`. Short, because it blocks the whole process meanwhile. */
const busyTimeout = 100;
/** How often a write asks again for the lock without blocking, 10 ms apart: about ten seconds with the above. */
const busyTries = 100;

const codes = { busy: 5, ioError: 10, corrupt: 11, full: 13, notADatabase: 26 } as const;

/** The primary result code of an error of SQLite; undefined for any other error. */
function codeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode % 256;
}

/** Runs something of SQLite; that the disk is full is nobody's bug, so it gets its name here. */
function sqlite<T>(database: DatabaseSync, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = codeOf(error);
    if (code !== codes.full && code !== codes.ioError) throw error;
    const path = dirname(database.location() ?? '.');
    const { bavail, bsize } = statfsSync(path);
    // the index beside the log (-shm) that cannot grow is told as an I/O error (SQLITE_IOERR_SHMSIZE), not as a full disk
    if (code === codes.ioError && bavail > 0) throw error;
    throw new FaultError('host-disk-full', { path, freeMiB: Math.floor((bavail * bsize) / 2 ** 20) }, { cause: error });
  }
}

type Prepared = { statement: StatementSync; reads: boolean };

class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, reads } = this.#prepare(query.sql);
    const parameters = query.parameters as SQLInputValue[];
    return sqlite(this.#database, () => {
      // `all` also where a write returns rows; it does not say how many rows a write without them has changed
      if (reads) return { rows: statement.all(...parameters) as R[] };
      return { rows: [], numAffectedRows: BigInt(statement.run(...parameters).changes) };
    });
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the store does not stream');
  }

  exec(text: string): void {
    sqlite(this.#database, () => this.#database.exec(text));
  }

  #prepare(text: string): Prepared {
    const known = this.#prepared.get(text);
    if (known) return known;
    const statement = this.#database.prepare(text);
    const prepared = { statement, reads: statement.columns().length > 0 };
    const oldest = this.#prepared.size >= mostStatements ? this.#prepared.keys().next().value : undefined;
    if (oldest !== undefined) this.#prepared.delete(oldest);
    this.#prepared.set(text, prepared);
    return prepared;
  }
}

class SqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: SqliteConnection;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#connection = new SqliteConnection(database);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteConnection> {
    return this.#connection;
  }

  async beginTransaction(connection: SqliteConnection, settings: TransactionSettings): Promise<void> {
    if (settings.accessMode === 'read only') return connection.exec('begin');
    // `immediate`: a deferred transaction that turns into a write may fail half way, this one only here
    for (let tries = 1; ; tries += 1) {
      try {
        return connection.exec('begin immediate');
      } catch (error) {
        if (codeOf(error) !== codes.busy || tries >= busyTries) throw error;
        await delay(10); // another process writes; waiting inside SQLite would stop this whole process
      }
    }
  }

  async commitTransaction(connection: SqliteConnection): Promise<void> {
    connection.exec('commit');
  }

  async rollbackTransaction(connection: SqliteConnection): Promise<void> {
    // after some errors, such as a full disk, SQLite has already rolled back; a second time would hide that error
    if (this.#database.isTransaction) connection.exec('rollback');
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#database.close();
  }
}

const corrupt = (path: string, hint: string, cause?: unknown): FaultError => new FaultError('database-corrupt', { path, hint }, { cause });

/**
 * Looks at a database that is already there, before anything may change it.
 * Without a -wal file nobody has it open and the main file is complete: `immutable` reads that and makes no file.
 * With one there are changes in it, or somebody has it open: it is read under SQLite's locks, and the log is left as it is.
 */
function examine(path: string): void {
  if (!existsSync(path) || statSync(path).size === 0) return;
  const url = pathToFileURL(path);
  if (!existsSync(`${path}-wal`)) url.searchParams.set('immutable', '1');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(url, { readOnly: true, timeout: busyTimeout });
    const [first] = database.prepare('pragma quick_check(1)').all();
    if (first?.['quick_check'] !== 'ok') throw corrupt(path, `the check says: ${String(first?.['quick_check'])}`);
    const tables = database.prepare(`select name from sqlite_schema where type = 'table'`).all();
    if (tables.length === 0) return;
    if (!tables.some((table) => table['name'] === 'meta')) throw corrupt(path, 'it is a database, but not one of Linstock');
    const schema = database.prepare(`select value from meta where name = 'schema'`).get();
    refuseNewer(Number(schema?.['value'] ?? 0), dirname(path));
  } catch (error) {
    const code = codeOf(error);
    if (code === codes.notADatabase || code === codes.corrupt)
      throw corrupt(path, error instanceof Error ? error.message : 'unreadable', error);
    throw error;
  } finally {
    database?.close();
  }
}

export function openSqlite(path: string): Dialect {
  const inMemory = path === ':memory:';
  if (!inMemory) examine(path);
  const database = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
  try {
    // FULL: a name is promised only when it is on the disk, so each commit is flushed
    database.exec('pragma journal_mode = wal; pragma synchronous = full;');
  } catch (error) {
    database.close();
    throw error;
  }
  const db = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new SqliteDriver(database),
      createIntrospector: (of) => new SqliteIntrospector(of),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
  return {
    db,
    types: { int: 'integer', real: 'real', table: ' strict' },
    manyWriters: false,
    schemaOf: async (at) => {
      const { rows } = await sql<{ n: number }>`select count(*) as n from sqlite_schema where type = 'table' and name = 'meta'`.execute(at);
      if (rows[0]?.n !== 1) return 0;
      return (await at.selectFrom('meta').select('value').where('name', '=', 'schema').executeTakeFirst())?.value ?? 0;
    },
    lock: async () => {},
    isConflict: () => false, // a write has the database for itself
    tell: async () => {},
    hear: async () => {},
    close: () => db.destroy(),
  };
}
