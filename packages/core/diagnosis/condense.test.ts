import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Condenser } from './condense.ts';
import { linesOf } from './text.ts';

const condenser = (): Condenser => new Condenser((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));

test('a small text stays as it is, however it is cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 500 }), fc.nat({ max: 20 }), (text, step) => {
      const bytes = new TextEncoder().encode(text);
      const taken = condenser();
      for (let i = 0; i < bytes.length; i += step + 1) taken.feed(bytes.subarray(i, i + step + 1));
      const document = taken.document('host', 'host');
      expect(document.cut).toBeNull();
      expect(document.text).toBe(new TextDecoder().decode(bytes).replace(/\n$/, ''));
    }),
  );
});

test('of a long console the panic in the middle is kept, under its own number, and so is the end', () => {
  const filler = `${'x'.repeat(119)}\n`;
  const taken = condenser();
  const encoder = new TextEncoder();
  let line = 0;
  const put = (text: string, times = 1): void => {
    line += times * (text.split('\n').length - 1);
    taken.feed(encoder.encode(text.repeat(times)));
  };
  put('[    0.000000] Linux version 6.1.0\n');
  put(filler, 40_000);
  put('[   99.000000] Kernel panic - not syncing: in the middle\n');
  const panic = line;
  for (let i = 0; i < 10; i++) put(filler, 4_000);
  put('the last line\n');
  const document = taken.document('console', 'console');
  expect(document.cut).toMatch(/^of \d+ bytes the beginning, the end and 1 lines between them$/);
  expect(document.text.length).toBeLessThan(4 << 20);
  const lines = linesOf(document);
  expect(lines.find((l) => l.body.startsWith('Kernel panic'))?.line).toBe(panic);
  expect(lines.find((l) => l.body === 'the last line')?.line).toBe(line);
});

test('gigabytes without a newline cost no more than their ends', () => {
  const taken = condenser();
  const piece = new Uint8Array(1 << 20).fill(65);
  for (let i = 0; i < 64; i++) taken.feed(piece);
  expect(taken.document('console', 'console').text.length).toBeLessThan(4 << 20);
});
