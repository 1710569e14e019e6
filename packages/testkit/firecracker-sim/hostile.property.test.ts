/** Whatever comes in at the socket, the process lives and the next client is served. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { requestOf } from './client.ts';
import { HttpReader, MAX_PAYLOAD } from './http.ts';
import { JsonError, readJson } from './json.ts';
import { endpoints } from './requests.ts';
import { Bench, type Running } from './run.ts';

let bench: Bench;
let sim: Running;
beforeAll(async () => {
  bench = new Bench();
  sim = await bench.withApi('1.16.1', {}, ['--level', 'Off']);
});
afterAll(() => bench.done());

const served = async (): Promise<boolean> => (await sim.raw(requestOf('GET', '/version'))).status === 200;

const noise = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ maxLength: 2000 }).map((text) => Buffer.from(`${text}\r\n\r\n`)),
  fc
    .tuple(fc.constantFrom('GET', 'PUT', 'PATCH', 'DELETE', 'POST'), fc.webPath(), fc.json())
    .map(([method, path, body]) => Buffer.from(requestOf(method, path, body))),
  fc
    .tuple(fc.constantFrom(...endpoints), fc.oneof(fc.json(), fc.string()), fc.nat(60_000))
    .map(([{ method, path, id }, body, length]) =>
      Buffer.from(`${method} ${path}${id ? '/a' : ''} HTTP/1.1\r\nContent-Length: ${length}\r\n\r\n${body}`),
    ),
);

test('random bytes, in pieces, over and over', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(noise, { minLength: 1, maxLength: 4 }), fc.boolean(), async (pieces, halfClose) => {
      const connection = sim.connect();
      await connection.connected();
      for (const piece of pieces) connection.send(piece);
      if (halfClose) connection.halfClose();
      connection.destroy();
      // Not at once: there are ten places, and those of the runs before are given back a little later.
      await eventually(served);
      expect(sim.child.exitCode).toBeNull();
    }),
    { numRuns: 150 },
  );
});

test('a reader takes any bytes in any pieces, and gives the same for the same', () => {
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 4 }), (pieces) => {
      const run = (): string => {
        const reader = new HttpReader('1.16.1', MAX_PAYLOAD);
        const all: unknown[] = [];
        let rest = Buffer.concat(pieces);
        while (rest.length > 0) {
          const room = Math.max(1, reader.room);
          const { requests, answers } = reader.read(rest.subarray(0, room));
          all.push(requests, answers);
          rest = rest.subarray(room);
        }
        return JSON.stringify(all);
      };
      expect(run()).toBe(run());
    }),
  );
});

test('what JSON.parse takes is taken with the same value, what it refuses is refused', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json({ maxDepth: 6 }),
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.string({ unit: fc.constantFrom(...'{}[]",:0123.e-+truefalsn \\u'.split('')) }),
      ),
      (text) => {
        let expected: unknown;
        let fits = true;
        try {
          expected = JSON.parse(text);
        } catch {
          fits = false; // that is what is compared
        }
        let got: unknown;
        try {
          got = readJson(Buffer.from(text), { is: 'any' });
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
          // serde_json refuses numbers that become infinite, and halves of surrogate pairs.
          if (fits) expect((error as Error).message).toMatch(/number out of range|surrogate/);
          return;
        }
        expect(fits).toBe(true);
        expect(got).toEqual(expected);
      },
    ),
    { numRuns: 2000 },
  );
});
