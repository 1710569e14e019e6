import { sentenceOf, type BuildView } from '@linstock/contract';
import { moment, took, type Cell } from '../../render.ts';

export function stateCell({ state, cancelBy }: BuildView): Cell {
  if (state === 'running') return { text: cancelBy === null ? 'running' : 'ending', paint: 'yellow' };
  return state === 'succeeded' ? { text: state, paint: 'green' } : { text: state, paint: 'red' };
}

/** What came of it, in a word. */
export function resultOf({ result }: BuildView): string {
  switch (result?.what) {
    case undefined:
      return '-';
    case 'golden':
      return `${result.golden.name}@${result.golden.version}`;
    case 'rootfs':
      return result.rootfs.name;
    case 'kernel':
      return `${result.record.name}@${result.record.version}`;
  }
}

export function buildPairs(one: BuildView): (readonly [string, Cell | readonly string[]])[] {
  const { steps, endedAt, openedAt, fault } = one;
  return [
    ['build', one.id],
    ['of', one.subject],
    ['state', stateCell(one)],
    ...(fault === null ? [] : [['because', sentenceOf(fault)] as const]),
    ['result', resultOf(one)],
    ['by', one.by],
    ['asked', moment(openedAt)],
    ['ended', endedAt === null ? '-' : `${moment(endedAt)}  after ${took(endedAt - openedAt)}`],
    ...(one.tries > 1 ? [['begun', `${one.tries} times`] as const] : []),
    ['steps', steps.map(({ name, at }) => `${moment(at)}  ${name}`)],
  ];
}
