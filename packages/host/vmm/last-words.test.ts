import { expect, test } from 'vitest';
import { lastWords } from './last-words.ts';

test('last words are the last lines that say something, on one line', () => {
  expect(lastWords('a\n\nb\r\n\u001b[31mc\u001b[0m\n \n', 2)).toBe('b | c');
  expect(lastWords('')).toBe('');
});
test('when there is no room for all, the last line is the one that stays', () => {
  expect(lastWords(`${'x'.repeat(499)}\nbecause`)).toBe('because');
  expect(lastWords('y'.repeat(100_000)).length).toBeLessThanOrEqual(500);
});
