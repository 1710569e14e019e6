import { FaultError } from '@linstock/contract';
import { document } from './answer.ts';
import type { Handlers } from './app.ts';
import type { Parts } from './parts.ts';
import { find } from './vms.ts';

type CaseHandlers = Pick<Handlers, 'case.list' | 'case.show'>;

export function caseHandlers({ store }: Parts): CaseHandlers {
  return {
    'case.list': async ({ query }) =>
      store.read(async (tx) => {
        const { state, limit, after } = query;
        const cases = await tx.cases({
          limit: limit + 1,
          ...(state === 'all' ? {} : { state }),
          ...(after === undefined ? {} : { after }),
          ...(query.vm === undefined ? {} : { vm: (await find(tx, query.vm)).id }),
        });
        const items = cases.slice(0, limit);
        return document<'case.list'>({ items: [...items], next: cases.length > limit ? (items.at(-1)?.id ?? null) : null });
      }),
    'case.show': async ({ params }) => {
      const found = await store.read((tx) => tx.case(params.id));
      if (found === undefined) throw new FaultError('not-found', { noun: 'case', id: params.id });
      return document<'case.show'>(found);
    },
  };
}
