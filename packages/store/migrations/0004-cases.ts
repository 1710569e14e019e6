import type { Migration } from './migration.ts';

/** Open diagnoses, and which news of boots they have not heard of yet. */
export const cases: Migration = {
  number: 4,
  name: 'cases',
  statements: ({ int, table }) => [
    `create table cases (
      id text primary key,
      vm text not null,
      vm_name text not null,
      code text not null,
      title text not null,
      layer text not null,
      confidence text not null,
      guest_word ${int} not null,
      boots ${int} not null,
      opened_at ${int} not null,
      seen_at ${int} not null,
      first_boot text not null,
      boot text not null,
      closed_at ${int},
      closed_why text,
      closed_boot text,
      diagnosis text not null,
      check ((closed_at is null) = (closed_why is null))
    )${table}`,
    // the same thing is wrong with a VM once at a time
    `create unique index cases_open on cases (vm, code) where closed_at is null`,
    `create index cases_vm on cases (vm, id)`,
    `create index cases_closed on cases (closed_at) where closed_at is not null`,
    // counts what was learned of a boot, in the transaction that records it; news_told: up to where cases know
    `alter table boots add column news ${int} not null default 0`,
    `alter table boots add column news_told ${int} not null default 0`,
    `create index boots_news on boots (id) where news > news_told`,
  ],
};
