import type { Ids, Store } from '@linstock/core';
import type { Dialect, Log } from './dialects/dialect.ts';
import { openPostgres } from './dialects/postgres.ts';
import { openSqlite } from './dialects/sqlite.ts';
import { migrate } from './migrations/migrations.ts';
import { SqlStore } from './store.ts';

export type StoreOptions = {
  /** `sqlite:/path/of/file` (`sqlite::memory:` for tests) or `postgres://…` */
  url: string;
  ids: Ids;
  /** 0 ≤ x < 1, for the jitter of retries */
  random: () => number;
  log?: Log;
  /** how many events are kept; readers that are further behind list again */
  keepEvents?: number;
};

/** Opens the database and brings its schema up to date. One that cannot be used is refused and left as it was. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { url, ids, random, log = () => {}, keepEvents = 100_000 } = options;
  const { dialect, where } = dialectOf(url, log);
  try {
    await migrate(dialect, where);
    const store = new SqlStore({ dialect, ids, random, log, keepEvents });
    await dialect.hear((hint) => store.hint(hint));
    return store;
  } catch (error) {
    await dialect.close();
    throw error;
  }
}

function dialectOf(url: string, log: Log): { dialect: Dialect; where: string } {
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length);
    if (path === '') throw new Error('sqlite: needs a path');
    return { dialect: openSqlite(path), where: path };
  }
  if (/^postgres(ql)?:\/\//.test(url)) return { dialect: openPostgres(url, log), where: 'PostgreSQL' };
  throw new Error(`a store is sqlite:/path or postgres://…, not ${url.split(':')[0]}:`); // the rest may hold a password
}
