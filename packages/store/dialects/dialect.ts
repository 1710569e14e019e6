import type { Kysely, Transaction } from 'kysely';
import type { Tables } from '../rows.ts';

/** What a transaction and the plain database have in common for a query. */
export type Db = Kysely<Tables> | Transaction<Tables>;

/** Words of the schema that differ. `table` follows the closing bracket of each table. */
export type Types = { int: string; real: string; table: string };

/** Something that only one transaction at a time may work on. */
export type Lock = { what: 'migrations' } | { what: 'intents' } | { what: 'slots'; network: number };

export type Hint = 'wake' | 'events';

/** All that differs between the databases. The store asks for abilities, never for a name. */
export type Dialect = {
  readonly db: Kysely<Tables>;
  readonly types: Types;
  /** several transactions write at once, so rows that are read in order to be changed must be locked */
  readonly manyWriters: boolean;
  /** the number of the schema that is there; 0 when there is none */
  schemaOf(db: Db): Promise<number>;
  /** held until the transaction ends; nothing to do where a transaction is alone anyway */
  lock(db: Db, lock: Lock): Promise<void>;
  /** the transaction lost against another one and may be run again */
  isConflict(error: unknown): boolean;
  /** tell other processes, when the transaction commits */
  tell(db: Db, hint: Hint): Promise<void>;
  /** hear what other processes tell; hints may be lost */
  hear(listener: (hint: Hint) => void): Promise<void>;
  close(): Promise<void>;
};

export type Log = (message: string, data: Record<string, unknown>) => void;
