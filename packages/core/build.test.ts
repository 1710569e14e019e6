import type { BuildOrder } from '@linstock/contract';
import { expect, test } from 'vitest';
import { decideBuild, MOST_TRIES, newBuild, subjectOf, type BuildDecision } from './build.ts';

const order: BuildOrder = { what: 'golden', recipe: 'base', cwd: '/', name: null, kernel: null, use: 'as-built' };
const asked = newBuild('op_1', order, 'me', 5);

test.each<[string, Partial<typeof asked>, boolean, BuildDecision]>([
  ['one that was just asked for', {}, false, { do: 'begin' }],
  ['one that is under way', { tries: 1 }, true, { do: 'wait' }],
  ['one whose controller was killed', { tries: 1 }, false, { do: 'begin' }],
  [
    'one that ended its controller each time',
    { tries: MOST_TRIES },
    false,
    { do: 'end', fault: { code: 'build-interrupted', data: { subject: 'golden base', tries: MOST_TRIES } } },
  ],
  ['one whose end is asked for', { tries: 1, cancelBy: 'me' }, true, { do: 'stop' }],
  [
    'the same where nobody is at it',
    { tries: 1, cancelBy: 'me' },
    false,
    { do: 'end', fault: { code: 'build-cancelled', data: { subject: 'golden base', by: 'me' } } },
  ],
  ['one that is over', { state: 'failed', cancelBy: 'me' }, false, { do: 'wait' }],
])('what is next for %s', (_, more, live, decision) => {
  expect(decideBuild({ ...asked, ...more }, live)).toEqual(decision);
});

test('two orders of the same name are of the same subject', () => {
  expect([subjectOf(order), subjectOf({ ...order, recipe: './x.json', name: 'base' })]).toEqual(['golden base', 'golden base']);
  expect(subjectOf({ what: 'kernel', series: '6.1', fragments: [], name: null, jobs: null })).toBe('kernel 6.1');
});
