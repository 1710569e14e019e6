import { expect, test } from 'vitest';
import { ConsoleFilter } from './console-filter.ts';

function filtered(text: string | Uint8Array): string {
  const filter = new ConsoleFilter();
  return filter.push(typeof text === 'string' ? new TextEncoder().encode(text) : text) + filter.end();
}

test.each([
  ['plain text, tab\tand ünïcödé 𝄞\n', 'plain text, tab\tand ünïcödé 𝄞\n'],
  ['[    0.000000] Linux version\r\n', '[    0.000000] Linux version\n'],
  ['\u001B[31mred\u001B[0m and \u001B[1;1Hhome', 'red and home'],
  ['title \u001B]0;evil\u0007done \u001B]52;c;Y2xpcA==\u001B\\end', 'title done end'],
  ['\u001BPdcs\u001B\\x\u001B^pm\u001B\\y\u001B_apc\u001B\\z', 'xyz'],
  ['\u001B(Bcharset \u001Bcreset \u001B7save', 'charset reset save'],
  ['\u009B31mC1 \u0085\u0090', 'C1 '],
  ['over\rwritten\b\u0007\u0000', 'overwritten'],
  ['\u202Eright to left\u2066\u200B\uFEFF', 'right to left'],
  ['\u001B]0;never ends\nnext line', '\nnext line'],
  ['\u001B[12', ''],
])('%j', (from, to) => expect(filtered(from)).toBe(to));

test('a sequence without an end cannot hide what follows', () =>
  expect(filtered(`\u001B]0;${'a'.repeat(1000)}`).length).toBeGreaterThan(500));
test('bytes that are no text do no harm', () => expect(filtered(Uint8Array.from([0xff, 0xfe, 0x41]))).toBe('\uFFFD\uFFFDA'));

test('the same wherever the chunks are cut', () => {
  const whole = new TextEncoder().encode('a\u001B[1;31mä\u001B]0;t\u0007b\u001B(Bc\n€');
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const filter = new ConsoleFilter();
    expect(filter.push(whole.subarray(0, cut)) + filter.push(whole.subarray(cut)) + filter.end()).toBe('aäbc\n€');
  }
});
