import { FaultError, type BuildView } from '@linstock/contract';
import { newBuild } from '@linstock/core';
import { document } from './answer.ts';
import type { Handlers } from './app.ts';
import type { Caller } from './caller.ts';
import { onceIn } from './once.ts';
import type { Parts } from './parts.ts';
import { waitOn } from './waiting.ts';

type BuildHandlers = Pick<Handlers, 'build.start' | 'build.list' | 'build.show' | 'build.cancel'>;

export function buildHandlers(parts: Parts): BuildHandlers {
  const { store, ids, now } = parts;
  const once = onceIn(parts);
  const show = async (id: string, caller: Caller): Promise<BuildView> => {
    const build = await waitOn(
      parts,
      (tx) => tx.build(id),
      (seen) => seen?.state !== 'running',
      caller.waitMs,
      caller.signal,
    );
    if (build === undefined) throw new FaultError('not-found', { noun: 'build', id });
    return build;
  };
  return {
    'build.start': async ({ body }, caller) => {
      const { id } = await once(caller, `build ${body.what}`, async (tx) => {
        const build = newBuild(ids.next('op', now()), body, caller.who, now());
        await tx.addBuild(build);
        return { id: build.id };
      });
      return document<'build.start'>(await show(id, caller));
    },
    'build.list': async ({ query }) =>
      document<'build.list'>({ items: [...(await store.read((tx) => tx.builds({ limit: query.limit })))] }),
    'build.show': async ({ params }, caller) => document<'build.show'>(await show(params.id, caller)),
    'build.cancel': async ({ params }, caller) => {
      await once(caller, `build.cancel ${params.id}`, async (tx) => {
        const build = await tx.build(params.id);
        if (build === undefined) throw new FaultError('not-found', { noun: 'build', id: params.id });
        if (build.state === 'running') await tx.cancelBuild(params.id, caller.who, now());
        return {};
      });
      return document<'build.cancel'>(await show(params.id, caller));
    },
  };
}
