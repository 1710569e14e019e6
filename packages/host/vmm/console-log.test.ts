import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { ConsoleKeeper, type ConsoleChunk } from './console-log.ts';

let folder: string;
let log: string;
let clock: number;
const keeper = (limitBytes?: number): ConsoleKeeper =>
  new ConsoleKeeper({ folder, now: () => clock, ...(limitBytes === undefined ? {} : { limitBytes }) });
const guestWrites = (text: string | Buffer): void => appendFileSync(log, text);
const text = (chunk: ConsoleChunk): string => chunk.bytes.toString('latin1');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'linstock-console-'));
  log = join(folder, 'console.log');
  clock = 1_000;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a console that is not there yet is empty', async () => {
  expect(await keeper().tend()).toEqual({ oldest: 0, newest: 0 });
  expect(await keeper().tail(100)).toEqual({ from: 0, bytes: Buffer.alloc(0) });
  expect(await keeper().timeOf(0)).toBeNull();
});

test('range and tail', async () => {
  guestWrites('0123456789');
  expect(text(await keeper().read(3, 4))).toBe('3456');
  expect(await keeper().tail(4)).toEqual({ from: 6, bytes: Buffer.from('6789') });
  expect(await keeper().tail(400)).toEqual({ from: 0, bytes: Buffer.from('0123456789') });
  expect(text(await keeper().read(10, 4))).toBe('');
  expect(text(await keeper().read(99, 4))).toBe('');
});

test('each byte has the time at which it was first seen, also after a restart and a torn last line', async () => {
  const one = keeper();
  guestWrites('abc');
  await one.tend();
  clock = 2_000;
  await one.tend(); // nothing new
  guestWrites('de');
  await one.tend();
  guestWrites('f');
  expect(await Promise.all([0, 2, 3, 4, 5, 99].map((at) => one.timeOf(at)))).toEqual([1_000, 1_000, 2_000, 2_000, null, null]);
  appendFileSync(join(folder, 'console.times'), '6 30');
  writeFileSync(join(folder, 'console.times'), readFileSync(join(folder, 'console.times'), 'utf8').replace('6 30', '6 '));
  const two = keeper();
  expect(await Promise.all([0, 4, 5].map((at) => two.timeOf(at)))).toEqual([1_000, 2_000, null]);
  expect(await two.tend()).toEqual({ oldest: 0, newest: 6 });
  expect(await two.timeOf(5)).toBe(2_000);
});

test('times are thinned out, never without bound', async () => {
  const one = keeper();
  for (let i = 1; i <= 4_600; i += 1) {
    clock = i;
    guestWrites('x');
    await one.tend();
  }
  expect(readFileSync(join(folder, 'console.times'), 'utf8').split('\n').length).toBeLessThan(4_100);
  for (const offset of [0, 1_000, 4_599]) {
    const at = (await one.timeOf(offset)) ?? 0;
    expect(at).toBeGreaterThan(offset);
    expect(at).toBeLessThanOrEqual(offset + 8);
  }
});

describe('the ring', () => {
  const limit = 64 * 1024;
  const flood = (blocks: number): void => {
    for (let i = 0; i < blocks; i += 1) guestWrites(Buffer.alloc(16 * 1024, 65 + (i % 26)));
  };

  test('gives old bytes back to the disk and keeps every offset', async () => {
    const one = keeper(limit);
    guestWrites('the beginning');
    flood(40);
    const { oldest, newest } = await one.tend();
    expect(one.trouble).toBeNull();
    expect(newest).toBe(statSync(log).size);
    expect(newest - oldest).toBeGreaterThanOrEqual(limit);
    expect(newest - oldest).toBeLessThan(limit + 8_192);
    expect(statSync(log).blocks * 512).toBeLessThan(limit * 1.5);
    const whole = readFileSync(log);
    expect((await one.read(newest - 100, 1_000)).bytes).toEqual(whole.subarray(newest - 100));
    // what is gone is not shown as zeroes
    const chunk = await one.read(0, 10);
    expect(chunk.from).toBe(oldest);
    expect(chunk.bytes).toEqual(whole.subarray(oldest, oldest + 10));
    expect(await keeper(limit).bounds()).toEqual({ oldest, newest });
    guestWrites('after');
    expect(text(await one.tail(5))).toBe('after');
  });

  test('within its limit nothing is lost', async () => {
    const one = keeper(limit);
    guestWrites('the beginning');
    flood(3);
    expect((await one.tend()).oldest).toBe(0);
    expect(text(await one.read(0, 13))).toBe('the beginning');
  });

  test('a disk that cannot do it: the trouble has words, and reading goes on', async (context) => {
    const one = keeper(limit);
    flood(40);
    // an append-only file can be written by QEMU and not be punched: the nearest thing to a filesystem without holes
    if (spawnSync('chattr', ['+a', log]).status !== 0) context.skip('needs root and chattr');
    try {
      await one.tend();
      expect(one.trouble).toContain('fallocate');
      guestWrites('after');
      await one.tend();
      expect(text(await one.tail(5))).toBe('after');
    } finally {
      spawnSync('chattr', ['-a', log]);
    }
  });

  test('the words of the VMM are kept in bounds as well', async () => {
    const path = join(folder, 'vmm.log');
    for (let i = 0; i < 6; i += 1) appendFileSync(path, Buffer.alloc(1024 * 1024, 97));
    appendFileSync(path, 'last words');
    await keeper().tend();
    expect(statSync(path).blocks * 512).toBeLessThan(2 * 1024 * 1024);
    expect(readFileSync(path).subarray(-10).toString()).toBe('last words');
  });

  test('so are log and metrics of a Firecracker: the log keeps its beginning, and both go on at the offset where they were', async () => {
    const one = keeper();
    await one.tend();
    const files = ['firecracker.log', 'metrics.ndjson'].map((name) => openSync(join(folder, name), 'w'));
    const writes = (text: string): void => files.forEach((file) => writeSync(file, text));
    writes('Successfully started microvm');
    for (let round = 0; round < 10; round += 1) {
      writes('a'.repeat(1024 * 1024));
      await one.tend();
    }
    writes('last words');
    for (let round = 0; round < 8; round += 1) await one.tend();
    for (const [n, file] of files.entries()) {
      expect(fstatSync(file).blocks * 512).toBeLessThan(2.5 * 1024 * 1024);
      const text = readFileSync(join(folder, n === 0 ? 'firecracker.log' : 'metrics.ndjson'), 'latin1');
      expect(text.startsWith('Successfully started microvm')).toBe(n === 0);
      expect(text.endsWith('alast words')).toBe(true);
      closeSync(file);
    }
    expect(one.trouble).toBeNull();
  });
});

describe('following', () => {
  test('shows what is there and what comes, and ends on abort', async () => {
    const abort = new AbortController();
    let seen = '';
    guestWrites('one ');
    const following = (async () => {
      for await (const chunk of keeper().follow({ from: 0, signal: abort.signal })) {
        expect(chunk.from).toBe(seen.length);
        seen += text(chunk);
      }
    })();
    await eventually(() => seen === 'one ');
    guestWrites('two ');
    await eventually(() => seen === 'one two ');
    guestWrites('three');
    await eventually(() => seen === 'one two three');
    abort.abort();
    await following;
  });

  test('starts before there is a console', async () => {
    const abort = new AbortController();
    const first = keeper().follow({ from: 0, signal: abort.signal }).next();
    guestWrites('hello');
    expect((await first).value).toMatchObject({ from: 0, bytes: Buffer.from('hello') });
    abort.abort();
  });

  test('ends with the boot, after the last byte', async () => {
    guestWrites('x'.repeat(200_000));
    let bytes = 0;
    for await (const chunk of keeper().follow({ from: 0, signal: new AbortController().signal, ended: async () => true })) {
      expect(chunk.bytes.length).toBeLessThanOrEqual(65_536);
      bytes += chunk.bytes.length;
    }
    expect(bytes).toBe(200_000);
  });

  test('a reader slower than the guest sees where it missed something', async () => {
    const one = keeper(64 * 1024);
    const reading = one.follow({ from: 0, signal: new AbortController().signal, ended: async () => true });
    guestWrites(Buffer.alloc(70_000, 97));
    expect((await reading.next()).value).toMatchObject({ from: 0 });
    guestWrites(Buffer.alloc(1_000_000, 98));
    const { oldest } = await one.tend();
    expect(oldest).toBeGreaterThan(70_000);
    const chunk = (await reading.next()).value;
    expect(chunk).toMatchObject({ from: oldest });
    expect(chunk?.bytes.every((byte) => byte === 98)).toBe(true);
    await reading.return();
  });
});

test('property: reading in pieces gives the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 60 }), async (bytes, step) => {
      writeFileSync(log, bytes);
      const parts: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += step) parts.push((await keeper().read(at, step)).bytes);
      expect(Buffer.concat(parts)).toEqual(Buffer.from(bytes));
    }),
    { numRuns: 30 },
  );
});
