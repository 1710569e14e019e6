import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJsonText, type JsonText } from './json-text.ts';

function json(text: string): JsonText {
  const read = readJsonText(text);
  if (read.is === 'broken') throw new Error(`${read.why} at ${read.place.line}:${read.place.column}`);
  return read.json;
}

test('where keys and entries stand', () => {
  const { placeOf } = json('{\n  "a": [1, {"b/c": 2}],\n\t"d~": 3 }');
  expect(placeOf('/a')).toEqual({ line: 2, column: 3 });
  expect(placeOf('/a/1')).toEqual({ line: 2, column: 12 });
  expect(placeOf('/a/1/b~1c')).toEqual({ line: 2, column: 13 });
  expect(placeOf('/d~0')).toEqual({ line: 3, column: 2 });
});

test('what is not there is shown where its parent stands', () => {
  const { placeOf } = json('{"a":\n {"b": {}}}');
  expect(placeOf('/a/b/c')).toEqual({ line: 2, column: 3 });
  expect(placeOf('/x')).toEqual({ line: 1, column: 1 });
  expect(placeOf('')).toEqual({ line: 1, column: 1 });
});

test('keys that stand twice: the later counts, and both are said', () => {
  const read = json('{"a": 1, "b": {"c": 1, "c": 2}, "a": {"e": 3}}');
  expect(read.value).toEqual({ a: { e: 3 }, b: { c: 2 } });
  expect(read.doubled).toEqual(['/b/c', '/a']);
});

test('numbers that are not written as whole ones', () => {
  const read = json('{"a": 1.0, "b": [1e2, -0, -1, 10, 0]}');
  expect(read.value).toEqual({ a: 1, b: [100, -0, -1, 10, 0] });
  expect(read.unwhole).toEqual([
    { at: '/a', text: '1.0' },
    { at: '/b/0', text: '1e2' },
    { at: '/b/1', text: '-0' },
  ]);
});

test.each([
  ['', 1, 1, /ends where a value/],
  ['{"a": 1', 1, 8, /ends where a comma or }/],
  ['{"a": 1,\n}', 2, 1, /comma stands before }/],
  ['[1,]', 1, 4, /comma stands before ]/],
  ['{"a": 1 "b": 2}', 1, 9, /comma or } was expected/],
  ['{\n // here\n}', 2, 2, /comment/],
  ['{"a": # here', 1, 7, /comment/],
  ["{'a': 1}", 1, 2, /single quotes/],
  ['{a: 1}', 1, 2, /key in double quotes/],
  ['{"a" 1}', 1, 6, /colon/],
  ['{"a": True}', 1, 7, /value was expected.*True/],
  ['{"a": 01}', 1, 8, /comma or }/],
  ['{"a": "x\n"}', 1, 7, /does not end in its line/],
  ['{"a": "\\x"}', 1, 7, /backslash/],
  ['{"a": "x', 1, 7, /does not end/],
  ['{"a": "\\ud800"}', 1, 7, /surrogate/],
  ['{} {}', 1, 4, /behind the end/],
  ['\ufeff{}', 1, 1, /byte order mark/],
  ['['.repeat(200), 1, 129, /128 deep/],
])('%j is said where it is broken', (text, line, column, why) => {
  const read = readJsonText(text);
  expect(read).toMatchObject({ is: 'broken', place: { line, column } });
  expect(read.is === 'broken' && read.why).toMatch(why);
});

test('bytes that are no UTF-8', () => {
  expect(readJsonText(Uint8Array.from([0x7b, 0xff, 0x7d]))).toMatchObject({ is: 'broken', why: expect.stringMatching(/UTF-8/) as string });
  expect(readJsonText(new TextEncoder().encode('{"ä": 1}'))).toMatchObject({ is: 'json', json: { value: { ä: 1 } } });
});

test('a long key in a deep place costs nothing', () => {
  const many = `{"${'k'.repeat(400_000)}": {${Array.from({ length: 20_000 }, (_, i) => `"${i}": 1`).join(',')}, "1": 2}}`;
  const read = json(many);
  expect(read.placeOf(`/${'k'.repeat(400_000)}/7`)).toEqual({ line: 1, column: 1 });
  expect(read.doubled).toEqual([]);
});

/** What JSON.parse makes of it; undefined where it refuses. */
function theirs(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

test('what JSON.parse takes is taken as the same value, and nothing else is', () => {
  const texts = fc.oneof(
    fc.json({ maxDepth: 6 }),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'{}[]",:0123456789.eE+-truefalsnu\\ \n/'.split('')) }),
    // valid JSON with one character changed
    fc.tuple(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:0.e-\\ '.split(''), '')).map(([text, at, other]) => {
      const i = at % (text.length + 1);
      return text.slice(0, i) + other + text.slice(i + 1);
    }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const read = readJsonText(text);
      const value = theirs(text);
      if (read.is === 'json') expect(read.json.value).toEqual(value);
      else {
        // the two differences that are meant
        if (value !== undefined) expect(read.why).toMatch(/surrogate|deep/);
        expect([read.why, read.fix]).not.toContain('');
        expect(read.place.line).toBeGreaterThan(0);
      }
    }),
    { numRuns: 1_000 },
  );
});
