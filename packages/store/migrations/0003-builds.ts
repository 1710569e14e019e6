import type { Migration } from './migration.ts';

/** Builds of images and kernels: what an operation needs to be known of more, so that it goes on after a crash. */
export const builds: Migration = {
  number: 3,
  name: 'builds',
  statements: ({ int, table }) => [
    `create table builds (
      operation text primary key references operations (id),
      work text not null,
      steps text not null,
      far text,
      tries ${int} not null,
      cancel_by text,
      result text
    )${table}`,
  ],
};
