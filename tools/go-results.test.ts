import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readGoEvents } from './go-results.ts';

const stream = (...events: object[]): string => events.map((event) => JSON.stringify({ Package: 'agent', ...event })).join('\n');

test('leaves are counted, parents and packages are not', () => {
  const output = stream(
    { Action: 'run', Test: 'TestA' },
    { Action: 'pass', Test: 'TestA/one' },
    { Action: 'pass', Test: 'TestA/two' },
    { Action: 'pass', Test: 'TestA' },
    { Action: 'output', Test: 'TestB', Output: '    b_test.go:3: needs root\n' },
    { Action: 'output', Test: 'TestB', Output: '--- SKIP: TestB (0.00s)\n' },
    { Action: 'skip', Test: 'TestB' },
    { Action: 'pass' },
  );
  expect(readGoEvents(output)).toEqual({ passed: 2, failed: 0, skipped: 1, lines: ['  skipped: agent TestB: b_test.go:3: needs root'] });
});

test('a failing leaf is one failure, with its words', () => {
  const output = stream(
    { Action: 'output', Test: 'TestA/one', Output: '    a_test.go:9: got 1\n' },
    { Action: 'fail', Test: 'TestA/one' },
    { Action: 'fail', Test: 'TestA' },
    { Action: 'fail' },
  );
  expect(readGoEvents(output)).toEqual({
    passed: 0,
    failed: 1,
    skipped: 0,
    lines: ['  FAILED: agent TestA/one', '    a_test.go:9: got 1'],
  });
});

test('a package that does not build is one failure; one without tests is nothing', () => {
  expect(readGoEvents(stream({ Action: 'output', Output: 'FAIL agent [build failed]\n' }, { Action: 'fail' }))).toMatchObject({
    passed: 0,
    failed: 1,
  });
  expect(readGoEvents(stream({ Action: 'skip' }))).toMatchObject({ passed: 0, failed: 0, skipped: 0 });
});

test('a parent that failed by itself counts', () => {
  expect(readGoEvents(stream({ Action: 'pass', Test: 'TestA/one' }, { Action: 'fail', Test: 'TestA' }, { Action: 'fail' }))).toMatchObject({
    passed: 1,
    failed: 1,
  });
});

test('never throws', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.json(), fc.string())), (lines) => void readGoEvents(lines.join('\n'))));
});
