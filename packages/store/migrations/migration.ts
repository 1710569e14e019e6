import type { Types } from '../dialects/dialect.ts';

/** One step of the schema, forwards. `number` is its place among all. */
export type Migration = { number: number; name: string; statements: (types: Types) => readonly string[] };
