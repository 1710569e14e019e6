import {
  FaultError,
  isId,
  type Fault,
  type Goal,
  type OperationId,
  type Reply,
  type VmAction,
  type VmId,
  type VmView,
} from '@linstock/contract';
import { chooseVmm, stateOf, allowedIn, type Reader, type Vm, type Wish } from '@linstock/core';
import { document, type Answer } from './answer.ts';
import type { Handlers } from './app.ts';
import type { Caller } from './caller.ts';
import type { Parts } from './parts.ts';
import { createVm, refuseFull } from './create-vm.ts';
import { diagnoseVm, takeEvidence } from './evidence.ts';
import { onceIn } from './once.ts';
import { vmView } from './views.ts';
import { waitFor } from './waiting.ts';

type VmHandlers = Pick<
  Handlers,
  | 'vm.create'
  | 'vm.list'
  | 'vm.show'
  | 'vm.wait'
  | 'vm.proof'
  | 'vm.evidence'
  | 'vm.diagnosis'
  | 'vm.start'
  | 'vm.stop'
  | 'vm.pause'
  | 'vm.resume'
  | 'vm.verify'
  | 'vm.delete'
  | 'vm.exec'
  | 'vm.console'
>;
type Action = 'vm.start' | 'vm.stop' | 'vm.pause' | 'vm.resume' | 'vm.verify' | 'vm.delete';

const wishes: Record<Action, { action: VmAction; wish: Wish; reprove?: true }> = {
  'vm.start': { action: 'start', wish: 'running' },
  'vm.stop': { action: 'stop', wish: 'stopped' },
  'vm.pause': { action: 'pause', wish: 'paused' },
  'vm.resume': { action: 'resume', wish: 'running' },
  'vm.verify': { action: 'verify', wish: 'running', reprove: true },
  'vm.delete': { action: 'delete', wish: 'absent' },
};

export function vmHandlers(parts: Parts): VmHandlers {
  const { store, host, ids, now } = parts;
  const once = onceIn(parts);

  const view = async (tx: Reader, vm: Vm): Promise<VmView> => {
    const operation = await tx.operationOf(vm.id);
    const boot = vm.claim ? null : ((await tx.boots({ vm: vm.id, limit: 1 }))[0]?.id ?? null);
    return vmView(host.mark, vm, { operation, boot });
  };

  /** The reply to a wish: at once, or when the goal is reached, or when it cannot be any more, or when the wait is over. */
  const wished = async (
    id: VmId,
    operation: OperationId | null,
    goal: Goal,
    caller: Caller,
    status: number,
    replayed: boolean,
  ): Promise<{ body: Reply<'vm.create'>; status: number; etag: number; headers: Record<string, string> }> => {
    const { reach } = await waitFor(parts, id, goal, caller.waitMs, caller.signal);
    return store.read(async (tx) => {
      const vm = await tx.vm(id);
      if (vm === undefined) throw new FaultError('not-found', { noun: 'VM', id });
      const pending = reach.is === 'not-yet';
      return {
        status: pending ? 202 : status,
        etag: vm.version,
        headers: {
          ...(operation ? { location: `/v1/operations/${operation}` } : {}),
          ...(replayed ? { 'idempotent-replayed': 'true' } : {}),
        },
        body: {
          vm: await view(tx, vm),
          operation: operation ? ((await tx.operation(operation)) ?? null) : null,
          goal: { is: reach.is, why: reach.is === 'unreachable' ? reach.why : null },
        },
      };
    });
  };

  const act =
    <N extends Action>(name: N) =>
    async (call: { params: { id: string }; query: { until?: Goal | undefined } }, caller: Caller): Promise<Answer<N>> => {
      const { action, wish, reprove } = wishes[name];
      const facts = await host.facts();
      const made = await once(caller, `${name} ${call.params.id}`, async (tx) => {
        const vm = await find(tx, call.params.id);
        if (caller.ifMatch !== null && caller.ifMatch !== vm.version)
          throw new FaultError('version-stale', { given: caller.ifMatch, current: vm.version });
        const operation = ids.next('op', now());
        // deleting is legal from every state, and again
        if (vm.wish === 'absent' && action === 'delete')
          return { vm: vm.id, operation: ((await tx.operationOf(vm.id))?.id as OperationId | undefined) ?? null };
        const state = stateOf(vm);
        const standing = reprove && vm.wish !== 'running'; // a proof must not undo a pause that somebody just asked for
        if (standing || !allowedIn[state].includes(action))
          throw new FaultError('vm-state-forbids', { action, allowed: statesFor(action), id: vm.name, state });
        const { network, vmm, vmmVersion } = vm.settings;
        if (action === 'start') {
          chooseVmm(facts.vmms, { name: vmm, version: vmmVersion }, network);
          await refuseFull(tx, network);
        }
        const unable = action === 'pause' && vm.claim ? await host.whyNoPause(vm.claim.id) : null;
        if (unable !== null) throw new FaultError('vmm-unable', { what: 'pause this VM', ...unable });
        await tx.wish(vm.id, wish, { by: caller.who, operation, kind: name, now: now(), ...(reprove ? { reprove } : {}) });
        return { vm: vm.id, operation };
      });
      const { body, ...more } = await wished(made.vm, made.operation, call.query.until ?? 'accepted', caller, 202, made.replayed);
      return document<N>(body as Reply<N>, more);
    };

  return {
    'vm.create': async (call, caller) => {
      const [goldens, facts] = await Promise.all([host.goldens(), host.facts()]);
      const made = await once(caller, 'vm.create', async (tx) => {
        const { vm, operation } = await createVm(tx, parts, call.body, caller.who, { goldens, facts });
        await tx.addVm(vm, operation);
        return { vm: vm.id, operation: operation.id as OperationId };
      });
      const { body, ...more } = await wished(made.vm, made.operation, call.query.until ?? 'accepted', caller, 201, made.replayed);
      return document<'vm.create'>(body, more);
    },
    'vm.list': async ({ query }) => {
      return store.read(async (tx) => {
        const { newest } = await tx.eventBounds();
        const deleted = query.deleted === 'true';
        const goneAfter = deleted ? { goneAfter: 0 } : {};
        const after = query.after === undefined ? {} : { after: query.after as VmId };
        const vms =
          query.name === undefined
            ? await tx.vms({ limit: query.limit + 1, ...goneAfter, ...after })
            : (await tx.vmsNamed(query.name)).filter((vm) => deleted || vm.phase !== 'gone');
        const items = await Promise.all(vms.slice(0, query.limit).map((vm) => view(tx, vm)));
        return document<'vm.list'>({ items, next: vms.length > query.limit ? (items.at(-1)?.id ?? null) : null, seq: newest });
      });
    },
    'vm.show': async ({ params }) =>
      store.read(async (tx) => {
        const vm = await find(tx, params.id);
        return document<'vm.show'>(await view(tx, vm), { etag: vm.version });
      }),
    'vm.wait': async ({ params, query }, caller) => {
      const { id } = await store.read((tx) => find(tx, params.id));
      const { vm, reach } = await waitFor(parts, id, query.until, query.timeout * 1000, caller.signal);
      if (reach.is === 'unreachable')
        throw new FaultError('goal-unreachable', { id: vm?.name ?? params.id, goal: query.until, why: reach.why, ...causeIn(reach.fault) });
      if (vm === undefined) throw new FaultError('not-found', { noun: 'VM', id: params.id });
      return store.read(async (tx) => document<'vm.wait'>({ reached: reach.is === 'reached', vm: await view(tx, vm) }));
    },
    'vm.proof': async ({ params }) =>
      store.read(async (tx) => {
        const vm = await find(tx, params.id);
        const boot = vm.claim ? await tx.boot(vm.claim.id) : (await tx.boots({ vm: vm.id, limit: 1 }))[0];
        return document<'vm.proof'>({ vm: await view(tx, vm), boot: boot?.id ?? null, proof: boot?.proof ?? null });
      }),
    'vm.evidence': async ({ params }, caller) => {
      const vm = await store.read((tx) => find(tx, params.id));
      return document<'vm.evidence'>(await takeEvidence(parts, vm, caller.signal));
    },
    'vm.diagnosis': async ({ params }, caller) => {
      const vm = await store.read((tx) => find(tx, params.id));
      return document<'vm.diagnosis'>(await diagnoseVm(parts, vm, caller.signal));
    },
    'vm.start': act('vm.start'),
    'vm.stop': act('vm.stop'),
    'vm.pause': act('vm.pause'),
    'vm.resume': act('vm.resume'),
    'vm.verify': act('vm.verify'),
    'vm.delete': act('vm.delete'),
    'vm.exec': async ({ params, body }, caller) => {
      const vm = await store.read((tx) => find(tx, params.id));
      const state = stateOf(vm);
      if (!allowedIn[state].includes('exec'))
        throw new FaultError('vm-state-forbids', { action: 'exec', allowed: statesFor('exec'), id: vm.name, state });
      const frames = await host.exec(vm, body, caller.signal);
      return { is: 'stream', contentType: 'application/x-ndjson', chunks: lines(frames) };
    },
    'vm.console': async ({ params, query }, caller) => {
      const boot = await store.read(async (tx) => {
        const vm = await find(tx, params.id);
        const asked = query.boot === undefined ? undefined : await tx.boot(query.boot);
        if (query.boot !== undefined) return asked?.vm === vm.id ? asked : undefined;
        return (await tx.boots({ vm: vm.id, limit: 1 }))[0];
      });
      if (boot === undefined) throw new FaultError('not-found', { noun: 'boot of', id: query.boot ?? params.id });
      const chunks = host.console(boot.id, { from: query.from ?? null, follow: query.follow === 'true', signal: caller.signal });
      return { is: 'stream', contentType: 'application/octet-stream', chunks, headers: { 'linstock-boot': boot.id } };
    },
  };
}

/** By id, or by a name that one VM bears. A deleted one is found as such until the store forgets it. */
export async function find(tx: Reader, given: string): Promise<Vm> {
  if (isId('vm', given)) {
    const vm = await tx.vm(given);
    if (vm) return vm;
    throw new FaultError('not-found', { noun: 'VM', id: given });
  }
  const [vm, other] = await tx.vmsNamed(given);
  if (vm === undefined) throw new FaultError('not-found', { noun: 'VM', id: given });
  if (other && vm.phase !== 'gone') throw new FaultError('name-ambiguous', { noun: 'VM', name: given });
  return vm; // of deleted ones of that name the newest
}

/** What a program needs of the fault that ends a wait: its code, and the cause when one is known. */
function causeIn(fault: Fault | undefined): Fault['data'] {
  if (fault === undefined) return {};
  const known = Object.entries(fault.data).filter(([name]) => ['cause', 'title', 'consoleLine'].includes(name));
  return { fault: fault.code, ...Object.fromEntries(known) };
}

function statesFor(action: VmAction): string {
  const states = Object.entries(allowedIn).filter(([, actions]) => actions.includes(action));
  return states.map(([state]) => state).join(' or ');
}

async function* lines(frames: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const frame of frames) yield `${JSON.stringify(frame)}\n`;
}
