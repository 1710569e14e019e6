import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { encodeFrame, findSyncAck, FrameDecoder, frameKinds, headerBytes, maxPayloadBytes } from './frame.ts';
import type { Frame, FrameKind } from './frame.ts';

const kinds = Object.keys(frameKinds) as FrameKind[];

const someFrame: fc.Arbitrary<Frame> = fc
  .record({
    kind: fc.constantFrom(...kinds),
    stream: fc.integer({ min: 0, max: 0xffffffff }),
    more: fc.boolean(),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // what looks like the start of frames, inside of one
      fc.array(fc.constantFrom('LSK1', 'LSK', '\0', '\x05'), { maxLength: 40 }).map((parts) => Buffer.from(parts.join(''))),
    ),
  })
  .map((frame) => ({ ...frame, more: frame.more && frame.kind === 'reply', payload: Buffer.from(frame.payload) }));

/** Bytes cut anywhere. */
const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 });

function feedIn(bytes: Buffer, sizes: readonly number[]): { frames: Frame[]; decoder: FrameDecoder; broken: unknown } {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let broken: unknown = null;
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    const fed = decoder.feed(bytes.subarray(at, at + size));
    frames.push(...fed.frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload) })));
    broken = fed.broken;
    at += size;
  }
  return { frames, decoder, broken };
}

const noMagic = (bytes: Uint8Array): boolean => !Buffer.from(bytes).includes('L');

describe('the decoder', () => {
  test('gives back what was encoded, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(someFrame, { maxLength: 8 }), cuts, (frames, sizes) => {
        const { frames: got, decoder } = feedIn(Buffer.concat(frames.map(encodeFrame)), sizes);
        expect(got).toEqual(frames);
        expect(decoder.garbageBytes).toBe(0);
      }),
    );
  });

  test('skips and counts garbage between frames', () => {
    const garbage = fc.uint8Array({ maxLength: 60 }).filter(noMagic);
    fc.assert(
      fc.property(fc.array(fc.tuple(garbage, someFrame), { maxLength: 6 }), cuts, (pairs, sizes) => {
        const wire = Buffer.concat(pairs.flatMap(([noise, frame]) => [Buffer.from(noise), encodeFrame(frame)]));
        const { frames, decoder } = feedIn(wire, sizes);
        expect(frames).toEqual(pairs.map(([, frame]) => frame));
        expect(decoder.garbageBytes).toBe(pairs.reduce((sum, [noise]) => sum + noise.length, 0));
      }),
    );
  });

  test('means the same by the same bytes, however cut, whatever they are', () => {
    const hostile = fc
      .array(fc.oneof(fc.uint8Array({ maxLength: 50 }), someFrame.map(encodeFrame), fc.constant(Buffer.from('LSK1\x05\0\0\0'))), {
        maxLength: 12,
      })
      .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part))));
    fc.assert(
      fc.property(hostile, fc.integer({ min: 0, max: 600 }), fc.integer({ min: 0, max: 255 }), cuts, (bytes, at, value, sizes) => {
        if (at < bytes.length) bytes[at] = value;
        const whole = feedIn(bytes, [bytes.length + 1]);
        const pieces = feedIn(bytes, sizes);
        expect(pieces.frames).toEqual(whole.frames);
        expect(pieces.decoder.garbageBytes).toBe(whole.decoder.garbageBytes);
        expect(pieces.decoder.badFrames).toBe(whole.decoder.badFrames);
      }),
      { numRuns: 500 },
    );
  });

  test('finds a sync behind padding whatever an earlier host left half written', () => {
    const padding = Buffer.alloc(headerBytes + maxPayloadBytes);
    const sync = encodeFrame({ kind: 'sync', stream: 0, more: false, payload: Buffer.from('0123456789abcdef') });
    fc.assert(
      fc.property(someFrame, fc.double({ min: 0, max: 1, noNaN: true }), (frame, share) => {
        const torn = encodeFrame(frame);
        const cut = torn.subarray(0, Math.floor(share * torn.length));
        const { frames } = feedIn(Buffer.concat([cut, padding, sync]), [4096]);
        expect(frames.at(-1)).toMatchObject({ kind: 'sync' });
      }),
    );
  });

  test.each([
    ['an unknown kind', 4, 77],
    ['unknown flags', 5, 2],
    ['reserved bytes', 6, 1],
    ['a length over the limit', 12, 1],
    ['a wrong checksum', 16, 255],
  ])('takes %s for damage, and finds the frame behind it', (_, at, value) => {
    const bad = encodeFrame({ kind: 'stdin', stream: 1, more: false, payload: Buffer.from('hi') });
    bad[at] = bad[at] === value ? value ^ 1 : value;
    const good = encodeFrame({ kind: 'cancel', stream: 2, more: false, payload: Buffer.alloc(0) });
    const { frames, decoder } = feedIn(Buffer.concat([bad, good]), [1000]);
    expect(frames.map((frame) => frame.kind)).toEqual(['cancel']);
    expect(decoder.badFrames).toBe(1);
  });

  test('finds a whole frame that a torn one has swallowed', () => {
    const torn = encodeFrame({ kind: 'stdin', stream: 1, more: false, payload: Buffer.alloc(100, 'x') }).subarray(0, 30);
    const inside = encodeFrame({ kind: 'cancel', stream: 2, more: false, payload: Buffer.from('inside') });
    const { frames } = feedIn(Buffer.concat([torn, inside, Buffer.alloc(100)]), [7]);
    expect(frames.map((frame) => frame.kind)).toEqual(['cancel']);
  });

  test('gives up on endless noise and on endless damage', () => {
    expect(feedIn(Buffer.alloc(3_000_000), [65_536]).broken).toBe('noise');
    const bad = Buffer.from('LSK1\xff\0\0\0', 'latin1');
    const { broken, decoder } = feedIn(Buffer.concat(Array.from({ length: 1000 }, () => bad)), [8000]);
    expect(broken).toBe('damage');
    expect(decoder.badFrames).toBeLessThan(20);
  });
});

test('a sync-ack is found by its nonce behind anything', () => {
  const nonce = Buffer.from('fedcba9876543210');
  const ack = encodeFrame({
    kind: 'sync-ack',
    stream: 0,
    more: false,
    payload: Buffer.concat([nonce, Buffer.from('{}')]),
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), someFrame, fc.integer({ min: 0, max: 300 }), (noise, frame, cut) => {
      const before = Buffer.concat([Buffer.from(noise), encodeFrame(frame).subarray(0, cut)]);
      expect(findSyncAck(Buffer.concat([before, ack]), nonce)).toBe(before.length);
      expect(findSyncAck(before, nonce)).toBeNull();
    }),
  );
});

test('a payload over the limit is a bug of the caller', () => {
  const payload = Buffer.alloc(maxPayloadBytes + 1);
  expect(() => encodeFrame({ kind: 'stdin', stream: 1, more: false, payload })).toThrow(RangeError);
});
