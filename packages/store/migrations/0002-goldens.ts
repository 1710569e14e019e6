import type { Migration } from './migration.ts';

/** What is known of golden image versions: which were proved, where their tags are, and everything that happened to them. */
export const goldens: Migration = {
  number: 2,
  name: 'goldens',
  statements: ({ int, table }) => [
    // a version without a row is a draft: its manifest is on the host, and nobody has asked for more
    `create table golden_versions (
      name text not null,
      version ${int} not null,
      digest text not null,
      state text not null,
      vm text,
      boot text,
      why text,
      primary key (name, version),
      check ((state = 'verifying') = (vm is not null))
    )${table}`,
    `create table golden_tags (
      golden text not null,
      tag text not null,
      version ${int} not null,
      revision ${int} not null,
      moved_at ${int} not null,
      moved_by text not null,
      primary key (golden, tag)
    )${table}`,
    `create table golden_deeds (
      golden text not null,
      n ${int} not null,
      at ${int} not null,
      by_whom text not null,
      what text not null,
      version ${int} not null,
      tag text,
      from_version ${int},
      boot text,
      reason text,
      primary key (golden, n)
    )${table}`,
  ],
};
