import { FaultError, type GoldenDeed, type GoldenManifest, type GoldenTag, type GoldenView } from '@linstock/contract';
import { diffGoldens, type GoldenRecord, type Reader } from '@linstock/core';
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
  'golden.list' | 'golden.show' | 'golden.verify' | 'golden.promote' | 'golden.rollback' | 'golden.history' | 'golden.diff'
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
  const known = async (): Promise<{ goldens: readonly GoldenManifest[]; tags: readonly GoldenTag[] }> => ({
    goldens: await host.goldens(),
    tags: await store.read((tx) => tx.goldenTags()),
  });
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
      const goldens = await host.goldens();
      return store.read(async (tx) => {
        const [records, tags] = [await tx.goldenRecords(), await tx.goldenTags()];
        return document<'golden.list'>({ items: goldens.map((one) => viewOf(one, records, tags)), tags: [...tags] });
      });
    },
    'golden.show': async ({ params }, caller) => document<'golden.show'>(await show(await found(params.id), caller)),
    'golden.verify': async ({ params }, caller) => {
      const golden = await found(params.id);
      const [goldens, facts] = await Promise.all([host.goldens(), host.facts()]);
      await once(caller, `golden.verify ${params.id}`, async (tx) => {
        const record = recordOf(golden, await tx.goldenRecords());
        if (record.state === 'verifying') return {};
        const id = ids.next('vm', now());
        const name = `verify-${golden.name.slice(0, mostGoldenName)}-${golden.version}-${id.slice('vm_'.length)}`;
        const { vm, operation } = await createVm(tx, parts, { id, name, golden: `${golden.name}@${golden.version}` }, caller.who, {
          goldens,
          facts,
        });
        await tx.addVm(vm, operation);
        await tx.keepGolden({ ...record, state: 'verifying', vm: vm.id, boot: null, why: null }, deed(caller, 'verify', golden.version));
        return {};
      });
      const view = await show(golden, caller);
      return document<'golden.verify'>(view, { status: view.state === 'verifying' ? 202 : 200 });
    },
    'golden.promote': async ({ params, body }, caller) => {
      const { id: name, tag } = params;
      const golden = findGolden(await host.goldens(), `${name}@${body.version}`, []);
      const { replayed: _, ...moved } = await once(caller, `golden.promote ${name}:${tag}`, async (tx) => {
        const { state, boot, why } = recordOf(golden, await tx.goldenRecords());
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
        const { boot } = recordOf(findGolden(goldens, `${name}@${before}`, []), await tx.goldenRecords());
        return tx.moveTag(
          { golden: name, tag, ifRevision: body.ifRevision },
          deed(caller, 'rollback', before, { boot, reason: body.reason ?? null }),
        );
      });
      return document<'golden.rollback'>(moved);
    },
    'golden.history': async ({ params, query }) => {
      findGolden(await host.goldens(), params.id, []);
      return store.read(async (tx) => document<'golden.history'>({ items: [...(await tx.goldenDeeds(params.id, query.limit))] }));
    },
    'golden.diff': async ({ params }) => document<'golden.diff'>(diffGoldens(await found(params.id), await found(params.other))),
  };
}

/** Further back nobody rolls back in one step. */
const mostDeeds = 1_000;

/** A version without a record, or whose number now belongs to other content, is a draft. */
function recordOf(golden: GoldenManifest, records: Awaited<ReturnType<Reader['goldenRecords']>>): GoldenRecord {
  const { name, version, digest } = golden;
  const record = records.find((one) => one.name === name && one.version === version && one.digest === digest);
  return record ?? { name, version, digest, state: 'draft', vm: null, boot: null, why: null };
}

function viewOf(golden: GoldenManifest, records: readonly GoldenRecord[], tags: readonly GoldenTag[]): GoldenView {
  const { state, why, boot, vm } = recordOf(golden, records);
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
