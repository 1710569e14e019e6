import { FaultError, type BootView, type Network } from '@linstock/contract';
import { stateOf, type BootRecord } from '@linstock/core';
import { document } from './answer.ts';
import type { Handlers } from './app.ts';
import type { Parts } from './parts.ts';
import { findNetwork } from './plan-vm.ts';
import { eventStream } from './event-stream.ts';
import { bootView, networkView } from './views.ts';
import { find } from './vms.ts';

type OtherHandlers = Pick<
  Handlers,
  'health.show' | 'boot.list' | 'boot.show' | 'network.list' | 'network.show' | 'host.list' | 'operation.show' | 'event.list'
>;

export function otherHandlers(parts: Parts): OtherHandlers {
  const { store, host, build } = parts;
  const viewOf = async (record: BootRecord, networks: readonly Network[]): Promise<BootView> =>
    bootView(
      record,
      await host.bootDetails(
        record,
        networks.find((n) => n.index === record.networkIndex),
      ),
    );
  return {
    'health.show': async () => {
      const { vms, cases } = await store.read(async (tx) => ({ vms: await tx.vms(), cases: await tx.openCases() }));
      const onDisk = await build.onDisk();
      const { onDisk: _, ...facts } = build;
      return document<'health.show'>({ ...facts, onDisk, current: onDisk === build.running, vms: vms.length, cases });
    },
    'boot.list': async ({ query }) => {
      const { records, networks } = await store.read(async (tx) => {
        const vm = query.vm === undefined ? {} : { vm: (await find(tx, query.vm)).id };
        return { records: await tx.boots({ ...vm, limit: query.limit }), networks: await tx.networks() };
      });
      return document<'boot.list'>({ items: await Promise.all(records.map((record) => viewOf(record, networks))) });
    },
    'boot.show': async ({ params }) => {
      const { record, networks } = await store.read(async (tx) => ({ record: await tx.boot(params.id), networks: await tx.networks() }));
      if (record === undefined) throw new FaultError('not-found', { noun: 'boot', id: params.id });
      return document<'boot.show'>(await viewOf(record, networks));
    },
    'network.list': async () =>
      store.read(async (tx) => {
        const networks = await tx.networks();
        return document<'network.list'>({
          items: await Promise.all(networks.map(async (n) => networkView(host.mark, n, await tx.leases(n.index)))),
        });
      }),
    'network.show': async ({ params }) =>
      store.read(async (tx) => {
        const network = findNetwork(await tx.networks(), params.id);
        return document<'network.show'>(networkView(host.mark, network, await tx.leases(network.index)));
      }),
    'host.list': async () => {
      const facts = await host.facts();
      const vms = await store.read((tx) => tx.vms());
      const live = vms.filter((vm) => ['running', 'paused'].includes(stateOf(vm))).length;
      return document<'host.list'>({ items: [{ id: `host_${host.mark}`, name: 'local', facts, vms: live }] });
    },
    'operation.show': async ({ params }) => {
      const operation = await store.read((tx) => tx.operation(params.id));
      if (!operation) throw new FaultError('not-found', { noun: 'operation', id: params.id });
      return document<'operation.show'>(operation);
    },
    'event.list': async ({ query }, caller) => {
      const after = caller.lastEventId ?? query.after;
      const { oldest } = await store.read((tx) => tx.eventBounds());
      if (after > 0 && after < oldest - 1) throw new FaultError('events-compacted', { oldest });
      const subject = query.subject === undefined ? {} : { subject: query.subject };
      if (caller.wantsStream) {
        return { is: 'stream', contentType: 'text/event-stream', chunks: eventStream(parts, { after, ...subject, signal: caller.signal }) };
      }
      const items = await store.read((tx) => tx.events({ after, limit: query.limit, ...subject }));
      return document<'event.list'>({ items: [...items], lastSeq: items.at(-1)?.seq ?? after });
    },
  };
}
