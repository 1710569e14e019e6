import type { Migration } from './migration.ts';

/** The first schema. Forward only: what is released is never edited, a later file changes it. */
export const begin: Migration = {
  number: 1,
  name: 'begin',
  statements: ({ int, real, table }) => [
    `create table goldens (
      digest text primary key,
      manifest text not null
    )${table}`,
    `create table vms (
      id text primary key,
      name text not null,
      golden text not null references goldens (digest),
      settings text not null,
      wish text not null,
      wish_no ${int} not null,
      wish_by text not null,
      phase text not null,
      claim_boot text,
      claim_slot ${int},
      claim_host_boot text,
      verified text,
      reprove ${int} not null,
      paused ${int} not null,
      deadline ${int},
      stumble text,
      fault text,
      created_at ${int} not null,
      gone_at ${int},
      version ${int} not null,
      due ${int},
      wake_seq ${int} not null,
      rented_by text,
      rent_until ${int},
      fence ${int} not null,
      tries ${int} not null,
      turns ${int} not null,
      check ((claim_boot is null) = (claim_slot is null) and (claim_boot is null) = (claim_host_boot is null)),
      check ((rented_by is null) = (rent_until is null)),
      check ((phase = 'gone') = (gone_at is not null))
    )${table}`,
    // a name is free again when its VM is gone
    `create unique index vms_name on vms (name) where gone_at is null`,
    `create index vms_gone on vms (gone_at) where gone_at is not null`,
    `create index vms_names on vms (name, gone_at)`,
    `create index vms_due on vms (due) where due is not null`,
    `create table boots (
      id text primary key,
      vm text not null references vms (id),
      vm_name text not null,
      kind text not null,
      started_at ${int} not null,
      ended_at ${int},
      end_reason text,
      end_actor text,
      end_exit text,
      golden_name text not null,
      golden_version ${int} not null,
      golden_digest text not null,
      vmm text not null,
      accelerator text not null,
      network_index ${int} not null,
      slot ${int} not null,
      milestones text not null,
      proof text,
      fault text,
      check ((ended_at is null) = (end_reason is null))
    )${table}`,
    // a VM has at most one life at a time
    `create unique index boots_unfinished on boots (vm) where ended_at is null`,
    `create index boots_vm on boots (vm, started_at, id)`,
    `create index boots_started on boots (started_at, id)`,
    `create table leases (
      network_index ${int} not null,
      slot ${int} not null,
      vm text not null unique references vms (id),
      boot text not null unique references boots (id),
      primary key (network_index, slot)
    )${table}`,
    `create table networks (
      id text primary key,
      idx ${int} not null unique,
      name text not null unique,
      kind text not null,
      subnet text not null,
      gateway text not null,
      bridge text,
      egress ${int} not null,
      isolated ${int} not null
    )${table}`,
    `create table operations (
      id text primary key,
      kind text not null,
      subject text not null,
      by_whom text not null,
      wish_no ${int} not null,
      state text not null,
      opened_at ${int} not null,
      ended_at ${int},
      fault text,
      check ((state = 'running') = (ended_at is null))
    )${table}`,
    // what moves a VM is one thing at a time; a later wish replaces it
    `create unique index operations_open on operations (subject) where state = 'running'`,
    `create table events (
      seq ${int} primary key,
      id text not null,
      source text not null,
      type text not null,
      subject text not null,
      time ${int} not null,
      data text not null
    )${table}`,
    `create index events_subject on events (subject, seq)`,
    `create table history (
      vm text not null references vms (id),
      n ${int} not null,
      at ${int} not null,
      phase text not null,
      decision text not null,
      outcome text not null,
      ms ${real} not null,
      primary key (vm, n)
    )${table}`,
    `create table host_facts (
      id text primary key,
      facts text not null,
      probed_at ${int} not null
    )${table}`,
    `create table answers (
      scope text primary key,
      body_hash text not null,
      status ${int} not null,
      body text not null,
      expires_at ${int} not null
    )${table}`,
    `create index answers_expiry on answers (expires_at)`,
    `insert into meta (name, value) values ('event_seq', 0)`,
  ],
};
