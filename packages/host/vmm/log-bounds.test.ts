import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockBytes, boundedLogs, holeIn } from './log-bounds.ts';

const MiB = 1_024 * 1_024;
const bounds = { headBytes: 65_536, tailBytes: MiB };

test.each([
  ['nothing yet', 0, 0, null],
  ['head and tail', 65_536 + MiB, 0, null],
  ['one byte less than twice the tail behind the head', 65_536 + 2 * MiB - 1, 0, null],
  ['twice the tail behind the head', 65_536 + 2 * MiB, 0, { from: 65_536, to: 65_536 + MiB }],
  ['not a multiple of the block', 65_536 + 2 * MiB + 4_097, 0, { from: 65_536, to: 65_536 + MiB + 4_096 }],
  ['little behind the last hole', 65_536 + 3 * MiB - 1, 65_536 + MiB, null],
  ['enough behind the last hole', 65_536 + 3 * MiB, 65_536 + MiB, { from: 65_536, to: 65_536 + 2 * MiB }],
  ['a new keeper, which knows of no hole', 9 * MiB, 0, { from: 65_536, to: 8 * MiB }],
  ['a file that was made anew', 10, 8 * MiB, null],
] as const)('%s', (_, size, lastEnd, hole) => {
  expect(holeIn(size, bounds, lastEnd)).toEqual(hole);
});

test('a file that grows as it likes keeps its head and its tail, and has never more than head and two tails and a block', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3 * MiB), { maxLength: 40 }), fc.constantFrom(...Object.values(boundedLogs)), (steps, of) => {
      let size = 0;
      let end = 0;
      for (const step of steps) {
        size += step;
        const hole = holeIn(size, of, end);
        if (hole !== null) {
          expect(hole.from).toBeGreaterThanOrEqual(of.headBytes);
          expect(size - hole.to).toBeGreaterThanOrEqual(of.tailBytes);
          expect([hole.from % blockBytes, hole.to % blockBytes, hole.to > Math.max(hole.from, end)]).toEqual([0, 0, true]);
          end = hole.to;
        }
        const kept = end === 0 ? size : of.headBytes + blockBytes + (size - end);
        expect(kept).toBeLessThanOrEqual(of.headBytes + 2 * of.tailBytes + 2 * blockBytes);
      }
    }),
  );
});
