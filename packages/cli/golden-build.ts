/** Golden versions that are being built, or could not be, as commands show them. Pure but for the question. */
import type { GoldenBuild } from '@linstock/contract';
import type { Tools } from './command.ts';
import { moment, type Cell, type Paint } from './render.ts';

const paints: Record<GoldenBuild['state'], Paint> = { building: 'yellow', interrupted: 'yellow', failed: 'red' };

export function buildCell({ state }: GoldenBuild): Cell {
  return { text: state, paint: paints[state] };
}

/** The one of that name, when it is still no version. */
export async function unfinished(named: string, { api, signal }: Tools): Promise<GoldenBuild | undefined> {
  if (!/@\d{1,9}$/.test(named)) return undefined;
  const { builds } = await (await api()).call('golden.list', {}, { signal });
  return builds.find((one) => `${one.name}@${one.version}` === named);
}

export function buildPairs(one: GoldenBuild, self: string): (readonly [string, Cell | readonly string[]])[] {
  const named = `${one.name}@${one.version}`;
  const { recipe, kernel, use } = one.order;
  return [
    ['golden', named],
    ['state', buildCell(one)],
    ...(one.why === null ? [] : [['because', one.why] as const]),
    ['recipe', recipe],
    ...(kernel === null ? [] : [['kernel', kernel] as const]),
    ...(use === 'as-built' ? [] : [['use', use] as const]),
    ['by', one.by],
    ['started', moment(one.startedAt)],
    ['ended', one.endedAt === null ? '-' : moment(one.endedAt)],
    ...(one.state === 'building' ? [] : [['next', nextOf(one, self)] as const]),
  ];
}

/** The same command goes on under the same number where it was interrupted; after a failure it takes a new one. */
function nextOf({ order, name, version, state }: GoldenBuild, self: string): string[] {
  const { recipe, kernel, use } = order;
  const from = /^(?:oci|docker-archive|docker):/.test(recipe) ? `--from ${recipe}` : recipe;
  const more = [
    order.name === null ? '' : ` --name ${order.name}`,
    kernel === null ? '' : ` --kernel ${kernel}`,
    use === 'as-built' ? '' : ` --${use}`,
  ];
  const again = `${self} golden build ${from}${more.join('')}`;
  return [...(state === 'interrupted' ? [again] : []), `${self} golden delete ${name}@${version}`];
}
