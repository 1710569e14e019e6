import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MOST_PAYLOAD_BYTES, closeOf, parseFrame } from './websocket-frame.ts';

const frame = (...bytes: number[]): ReturnType<typeof parseFrame> => parseFrame(Uint8Array.from(bytes));

test('a short, a medium and a split frame', () => {
  expect(frame(0x82, 2, 65, 66, 99)).toEqual({ is: 'frame', kind: 'binary', final: true, payload: Uint8Array.of(65, 66), bytes: 4 });
  expect(frame(0x02, 1, 65)).toMatchObject({ kind: 'binary', final: false });
  const medium = parseFrame(Uint8Array.from([0x82, 126, 1, 0, ...Array.from({ length: 256 }, () => 7)]));
  expect(medium).toMatchObject({ is: 'frame', bytes: 260 });
});

test('less than a frame is incomplete', () => {
  const whole = Uint8Array.from([0x82, 126, 0, 3, 1, 2, 3]);
  for (let length = 0; length < whole.length; length += 1) expect(parseFrame(whole.subarray(0, length))).toEqual({ is: 'incomplete' });
});

test.each([
  ['reserved bits', [0xc2, 0]],
  ['an unknown opcode', [0x83, 0]],
  ['a mask', [0x82, 0x80, 0, 0, 0, 0]],
  ['a long control frame', [0x88, 126, 0, 200]],
  ['a control frame in pieces', [0x08, 0]],
  ['a payload beyond the limit', [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ['a payload beyond all numbers', [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]],
])('%s: broken', (_, bytes) => {
  expect(parseFrame(Uint8Array.from(bytes)).is).toBe('broken');
});

test('code and reason of a close', () => {
  expect(closeOf(Uint8Array.of(0x03, 0xf3, 0x6e, 0x6f))).toEqual({ code: 1011, reason: 'no' });
  expect(closeOf(new Uint8Array())).toEqual({ code: 1005, reason: '' });
});

test('never throws and never promises more than there is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const found = parseFrame(bytes);
      if (found.is === 'frame') {
        expect(found.bytes).toBeLessThanOrEqual(bytes.length);
        expect(found.payload.length).toBeLessThanOrEqual(MOST_PAYLOAD_BYTES);
        closeOf(found.payload);
      }
    }),
  );
});
