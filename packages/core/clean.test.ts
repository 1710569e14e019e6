import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanText } from './clean.ts';

describe('cleanText', () => {
  it.each([
    ['plain text', 'plain text'],
    ['\u001b[0;1;31mFAILED\u001b[0m] x', 'FAILED] x'],
    ['/ # \u001b[6n', '/ # '.trimEnd()],
    ['\u001b]0;title\u0007rest', 'rest'],
    ['\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u001b]0;never ended', '0;never ended'],
    ['\u001bc\u001b(Breset', 'reset'],
    ['a\r\nb\tc', 'a b c'],
    ['a\u0000\u0008\u007f\u0080b', 'ab'],
    ['user\u202etxt.exe\u2066\u200b', 'usertxt.exe'],
    ['systemd-lo…rvice é', 'systemd-lo…rvice é'],
    ['\ud800x', '\ufffdx'],
  ])('%j', (dirty, clean) => expect(cleanText(dirty)).toBe(clean));

  it('limits length without cutting a character in two', () => {
    expect(cleanText('abcdef', 4)).toBe('abc…');
    expect(cleanText('ab😀cdef', 4)).toBe('ab…');
    expect(cleanText('x'.repeat(1_000_000), 10)).toHaveLength(10);
  });

  it('leaves nothing that a terminal obeys, and changes nothing the second time', () => {
    const hostile = fc
      .array(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.constantFrom('\u001b[', '\u001b]', '\u009b', '\u0007', '\u001b\\', '\u202e', '\r\n', '31m'),
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(hostile, (text) => {
        const clean = cleanText(text);
        // eslint-disable-next-line no-control-regex
        expect(clean).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        expect(cleanText(clean)).toBe(clean);
      }),
    );
  });
});
