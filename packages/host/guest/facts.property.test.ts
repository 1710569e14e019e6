import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseFacts } from './facts.ts';
import { parseReply, type GuestRequestName } from './requests.ts';

const names: GuestRequestName[] = ['ping', 'facts', 'config', 'clock.set', 'reseed', 'poweroff', 'file.read', 'tcp.connect', 'icmp.ping'];

test('whatever a guest answers is parsed or refused, never thrown', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.oneof(fc.anything(), fc.jsonValue()), (name, value) => {
      expect(['ok', 'bad']).toContain(parseReply(name, value).is);
    }),
    { numRuns: 2000 },
  );
});

test('facts with any values under our names give parts that fit, or reasons', () => {
  const parts = ['cmdline', 'kernel', 'memory', 'links', 'routes', 'listening', 'init', 'random', 'errors', '__proto__'];
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...parts), fc.jsonValue()), (value) => {
      const parsed = parseFacts(value);
      expect(parsed.is).toBe('ok');
      expect(JSON.stringify(parsed).length).toBeLessThan(1_000_000);
    }),
  );
});

test('one bad part does not hide the others, and unknown fields are dropped', () => {
  const parsed = parseFacts({
    cmdline: 'console=ttyS0\u001b[2J',
    memory: { totalKiB: 112984, availableKiB: 90000, colour: 'red' },
    uptimeMs: -1,
    listening: Array.from({ length: 257 }, () => ({ address: '0.0.0.0', port: 22 })),
    links: null,
    resolvers: [],
    errors: { links: 'netlink: not there', cmdline: 7, 'no-such-part': 'x' },
    secret: true,
  });
  expect(parsed).toEqual({
    is: 'ok',
    value: {
      cmdline: 'console=ttyS0\uFFFD[2J',
      memory: { totalKiB: 112984, availableKiB: 90000 },
      resolvers: [],
      errors: {
        links: 'netlink: not there',
        listening: "the guest's answer does not fit: value: too_big",
        uptimeMs: "the guest's answer does not fit: value: too_small",
      },
    },
  });
});

test('facts that are no object are refused', () => {
  for (const value of [undefined, null, 7, 'x', []]) expect(parseFacts(value).is).toBe('bad');
});
