import { FaultError, type GoldenDeed, type GoldenManifest, type GoldenTag, type GoldenView, type RootfsFinding } from '@linstock/contract';
import { diffGoldens, goldenRecordOf, usableGoldens, type GoldenRecord, type Vm } from '@linstock/core';
import { document } from './answer.ts';
import type { Handlers } from './app.ts';
import type { Caller } from './caller.ts';
import { createVm } from './create-vm.ts';
import { onceIn } from './once.ts';
import type { Parts } from './parts.ts';
import { findGolden } from './plan-vm.ts';
import { waitOn } from './waiting.ts';

type GoldenHandlers = Pick<
  Handlers,
  | 'golden.abandon'
  | 'golden.delete'
  | 'golden.lint'
  | 'golden.list'
  | 'golden.show'
  | 'golden.verify'
  | 'golden.promote'
  | 'golden.rollback'
  | 'golden.history'
  | 'golden.diff'
>;

/** Of its name in that of its VM, which has 63 characters and ends with an id. */
const mostGoldenName = 20;

export function goldenHandlers(parts: Parts): GoldenHandlers {
  const { store, host, ids, now } = parts;
  const once = onceIn(parts);

  const show = async (manifest: GoldenManifest, caller: Caller): Promise<GoldenView> =>
    waitOn(
      parts,
      async (tx) => viewOf(manifest, await tx.goldenRecords(), await tx.goldenTags()),
      ({ state }) => state !== 'verifying',
      caller.waitMs,
      caller.signal,
    );
  const known = async (): Promise<{ goldens: readonly GoldenManifest[]; tags: readonly GoldenTag[] }> => {
    const there = await host.goldens();
    return store.read(async (tx) => ({ goldens: usableGoldens(there, await tx.goldenRecords()), tags: await tx.goldenTags() }));
  };
  const found = async (wanted: string): Promise<GoldenManifest> => {
    const { goldens, tags } = await known();
    return findGolden(goldens, wanted, tags);
  };
  const deed = (caller: Caller, what: GoldenDeed['what'], version: number, more: Partial<GoldenDeed> = {}): GoldenDeed => ({
    at: now(),
    by: caller.who,
    what,
    version,
    tag: null,
    from: null,
    boot: null,
    reason: null,
    ...more,
  });

  return {
    'golden.list': async () => {
      const [there, builds] = [await host.goldens(), await parts.goldenBuilds.all()];
      return store.read(async (tx) => {
        const [records, tags] = [await tx.goldenRecords(), await tx.goldenTags()];
        return document<'golden.list'>({
          items: usableGoldens(there, records).map((one) => viewOf(one, records, tags)),
          tags: [...tags],
          builds,
        });
      });
    },
    'golden.show': async ({ params }, caller) => document<'golden.show'>(await show(await found(params.id), caller)),
    'golden.lint': async ({ params }) => {
      const golden = await found(params.id);
      return document<'golden.lint'>({ golden: `${golden.name}@${golden.version}`, findings: [...(await host.lint(golden))] });
    },
    'golden.verify': async ({ params, body }, caller) => {
      const golden = await found(params.id);
      if (body.waive === undefined) refuseFaulty(golden, await host.lint(golden));
      const [goldens, facts] = await Promise.all([host.goldens(), host.facts()]);
      await once(caller, `golden.verify ${params.id}`, async (tx) => {
        const record = goldenRecordOf(golden, await tx.goldenRecords());
        if (record.state === 'verifying') return {};
        const id = ids.next('vm', now());
        const name = `verify-${golden.name.slice(0, mostGoldenName)}-${golden.version}-${id.slice('vm_'.length)}`;
        const { vm, operation } = await createVm(tx, parts, { id, name, golden: `${golden.name}@${golden.version}` }, caller.who, {
          goldens,
          facts,
        });
        await tx.addVm(vm, operation);
        await tx.keepGolden(
          { ...record, state: 'verifying', vm: vm.id, boot: null, why: null },
          deed(caller, 'verify', golden.version, { reason: body.waive ?? null }),
        );
        return {};
      });
      const view = await show(golden, caller);
      return document<'golden.verify'>(view, { status: view.state === 'verifying' ? 202 : 200 });
    },
    'golden.promote': async ({ params, body }, caller) => {
      const { id: name, tag } = params;
      const golden = findGolden((await known()).goldens, `${name}@${body.version}`, []);
      const { replayed: _, ...moved } = await once(caller, `golden.promote ${name}:${tag}`, async (tx) => {
        const { state, boot, why } = goldenRecordOf(golden, await tx.goldenRecords());
        if (state !== 'active' && body.waive === undefined)
          throw new FaultError('golden-not-proved', { golden: `${name}@${body.version}`, state, why: why ?? 'nobody has proved it' });
        const evidence = { boot, reason: body.waive ?? null };
        return tx.moveTag({ golden: name, tag, ifRevision: body.ifRevision }, deed(caller, 'promote', body.version, evidence));
      });
      return document<'golden.promote'>(moved);
    },
    'golden.rollback': async ({ params, body }, caller) => {
      const { id: name, tag } = params;
      const { goldens, tags } = await known();
      findGolden(goldens, `${name}:${tag}`, tags); // it is there
      const { replayed: _, ...moved } = await once(caller, `golden.rollback ${name}:${tag}`, async (tx) => {
        const before = (await tx.goldenDeeds(name, mostDeeds)).find((one) => one.tag === tag)?.from ?? null;
        if (before === null)
          throw new FaultError('golden-tag-unknown', {
            golden: name,
            tag: `${tag} that was at another version before`,
            known: tagsOf(name, tags),
          });
        const { boot } = goldenRecordOf(findGolden(goldens, `${name}@${before}`, []), await tx.goldenRecords());
        return tx.moveTag(
          { golden: name, tag, ifRevision: body.ifRevision },
          deed(caller, 'rollback', before, { boot, reason: body.reason ?? null }),
        );
      });
      return document<'golden.rollback'>(moved);
    },
    'golden.delete': async ({ params }, caller) => {
      const golden = await found(params.id);
      const called = `${golden.name}@${golden.version}`;
      await once(caller, `golden.delete ${called}`, async (tx) => {
        const by = [
          ...(await tx.vms()).filter((vm) => usesIt(vm, golden)).map((vm) => `VM ${vm.name}`),
          ...(await tx.goldenTags())
            .filter((one) => one.golden === golden.name && one.version === golden.version)
            .map(({ tag }) => `tag ${tag}`),
        ];
        if (by.length > 0) throw new FaultError('golden-in-use', { golden: called, by: by.slice(0, mostNamed).join(', ') });
        const record = goldenRecordOf(golden, await tx.goldenRecords());
        await tx.keepGolden({ ...record, state: 'deleted', vm: null, why: null }, deed(caller, 'delete', golden.version));
        return {};
      });
      return document<'golden.delete'>(await show(golden, caller), { status: 202 });
    },
    'golden.abandon': async ({ params }) => {
      const build = (await parts.goldenBuilds.all()).find((one) => `${one.name}@${one.version}` === params.id);
      if (build === undefined) throw new FaultError('not-found', { noun: 'build of the golden version', id: params.id });
      if (build.state === 'building') throw new FaultError('golden-building', { golden: params.id, by: build.by });
      await parts.goldenBuilds.forget(build);
      return document<'golden.abandon'>(build);
    },
    'golden.history': async ({ params, query }) => {
      findGolden((await known()).goldens, params.id, []);
      return store.read(async (tx) => document<'golden.history'>({ items: [...(await tx.goldenDeeds(params.id, query.limit))] }));
    },
    'golden.diff': async ({ params }) => {
      const [from, to] = [await found(params.id), await found(params.other)];
      return document<'golden.diff'>(diffGoldens(from, to, await host.differences(from, to)));
    },
  };
}

/** Further back nobody rolls back in one step. */
const mostDeeds = 1_000;

/** Errors of the look are boots that cannot be proved: one is not begun without a reason. */
function refuseFaulty({ name, version }: GoldenManifest, findings: readonly RootfsFinding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  const count = errors.length === 1 ? 'an error' : `${errors.length} errors`;
  const at = first.path === null ? '' : `${first.path}${first.line === null ? '' : `:${first.line}`}: `;
  throw new FaultError('golden-faulty', { golden: `${name}@${version}`, count, first: `${at}${first.what.replace(/\.$/, '')}` });
}

/** Of what stands in the way, so many are named. */
const mostNamed = 5;

function usesIt(vm: Vm, { name, version }: GoldenManifest): boolean {
  return vm.settings.golden.name === name && vm.settings.golden.version === version;
}

function viewOf(golden: GoldenManifest, records: readonly GoldenRecord[], tags: readonly GoldenTag[]): GoldenView {
  const { state, why, boot, vm } = goldenRecordOf(golden, records);
  return {
    ...golden,
    state,
    why,
    boot,
    vm,
    tags: tags.filter((one) => one.golden === golden.name && one.version === golden.version).map(({ tag }) => tag),
  };
}

function tagsOf(name: string, tags: readonly GoldenTag[]): string {
  return (
    tags
      .filter(({ golden }) => golden === name)
      .map(({ tag }) => tag)
      .join(', ') || 'none'
  );
}
