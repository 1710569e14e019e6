import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clockSampleBytes } from './tiny-guest.ts';
import { measureTscKhz, readCpuinfo, settleTscKhz } from './tsc.ts';

/** A host with this TSC, sampled with these gaps in microseconds; `stolen` µs pass within the reading of that sample. */
function samplesOf(khz: number, gapsUs: readonly number[], stolen: ReadonlyMap<number, number> = new Map()): Buffer {
  const bytes = Buffer.alloc(gapsUs.length * clockSampleBytes);
  let us = 0;
  gapsUs.forEach((gap, i) => {
    us += gap;
    const lost = stolen.get(i) ?? 0;
    const at = i * clockSampleBytes;
    bytes.writeBigUInt64LE(BigInt(Math.round((us * khz) / 1_000)), at);
    us += lost;
    bytes.writeUInt16LE((65_536 - (Math.floor((us * 1.193182) % 65_536) || 0)) % 65_536, at + 8);
    bytes.writeUInt32LE(400 + Math.round((lost * khz) / 1_000), at + 10);
  });
  return bytes;
}

describe('measureTscKhz', () => {
  test('property: finds the frequency, whatever the scheduler did in between', () => {
    const pauses = fc.array(fc.tuple(fc.nat(2_999), fc.integer({ min: 1_000, max: 200_000 })), { maxLength: 10 });
    fc.assert(
      fc.property(fc.integer({ min: 500_000, max: 6_000_000 }), pauses, pauses, (khz, between, within) => {
        const gaps = Array.from({ length: 3_000 }, () => 60);
        for (const [i, us] of between) gaps[i] = us;
        const found = measureTscKhz(samplesOf(khz, gaps, new Map(within)));
        expect(Math.abs((found ?? 0) - khz) / khz).toBeLessThan(0.0005);
      }),
      { numRuns: 50 },
    );
  });
  test('property: any bytes give an answer or none, never an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const khz = measureTscKhz(Buffer.from(bytes));
        expect(khz === null || (khz >= 100_000 && khz <= 10_000_000)).toBe(true);
      }),
    );
  });
  test('too few samples are no answer', () => {
    expect(measureTscKhz(Buffer.alloc(0))).toBeNull();
    expect(
      measureTscKhz(
        samplesOf(
          2_600_000,
          Array.from({ length: 20 }, () => 60),
        ),
      ),
    ).toBeNull();
  });
});

describe('what the host says itself', () => {
  const cpuinfo = 'processor\t: 0\ncpu MHz\t\t: 2596.128\nflags\t\t: fpu tsc constant_tsc\n';
  test('is read', () => {
    expect(readCpuinfo(cpuinfo)).toEqual({ constant: true, khz: 2_596_128 });
    expect(readCpuinfo('')).toEqual({ constant: false, khz: null });
  });
  test('is taken where it agrees with the measurement, and only there', () => {
    expect(settleTscKhz(2_596_120, readCpuinfo(cpuinfo)).tscKhz).toBe(2_596_128);
    expect(settleTscKhz(2_100_000, readCpuinfo(cpuinfo)).tscKhz).toBe(2_100_000);
    expect(settleTscKhz(2_100_000, { constant: true, khz: null }).tscKhz).toBe(2_100_000);
  });
  test('a counter that changes its speed is no clock', () => {
    expect(settleTscKhz(2_596_120, { constant: false, khz: 2_596_128 }).tscKhz).toBeNull();
    expect(settleTscKhz(null, readCpuinfo(cpuinfo)).tscKhz).toBeNull();
  });
});
