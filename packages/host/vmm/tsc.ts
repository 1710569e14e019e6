/**
 * The frequency of the host's time stamp counter, from what `clockGuest` measured. Pure.
 *
 * A guest under TCG reads the host's TSC, and its PIT runs on the host's clock, so a guest can compare the two and neither a privilege
 * nor a kernel is needed. Measured: 0.2 to 0.4 s, five runs within 10 millionths of each other on a host with a load of 9 on 2 cores,
 * where the calibration of a stock Linux 6.1 gave up each time ("Unable to calibrate against PIT").
 */
import { clockSampleBytes } from './tiny-guest.ts';

const pitHz = 1_193_182;
const pitPeriod = 65_536;
/** What no processor with a constant TSC is outside of. */
const plausibleKhz = [100_000, 10_000_000] as const;
/** Below this the steps of the PIT (0.8 µs) weigh too much. */
const leastSeconds = 0.02;
/** How far the host's own opinion may be off to be believed: it is exact where a hypervisor told it, and changes with the load elsewhere. */
const agreement = 0.001;

type Sample = { tsc: bigint; pit: number; took: number };

/** null when the samples do not add up to an answer. */
export function measureTscKhz(bytes: Buffer): number | null {
  const samples = Array.from({ length: Math.floor(bytes.length / clockSampleBytes) }, (_, i): Sample => {
    const at = i * clockSampleBytes;
    return { tsc: bytes.readBigUInt64LE(at), pit: bytes.readUInt16LE(at + 8), took: bytes.readUInt32LE(at + 10) };
  });
  // where the reading took long, somebody else had the processor in between, and TSC and PIT are not of the same moment
  const quickest = Math.min(...samples.map((s) => s.took));
  const clean = samples.filter((s) => s.took <= quickest * 2);
  const steps = clean.slice(1).map((s, i) => {
    const before = clean[i] ?? s;
    return { tsc: Number(s.tsc - before.tsc), pit: (before.pit - s.pit + pitPeriod) % pitPeriod };
  });
  const ratios = steps
    .filter((s) => s.pit > 0 && s.tsc > 0)
    .map((s) => s.tsc / s.pit)
    .toSorted((a, b) => a - b);
  const usual = ratios[Math.floor(ratios.length / 2)];
  if (usual === undefined) return null;
  // a pause of a whole turn of the counter (55 ms) cannot be told from none: steps anywhere near that do not count
  const sure = steps.filter((s) => s.tsc > 0 && s.tsc < (usual * pitPeriod) / 2);
  const tsc = sure.reduce((sum, s) => sum + s.tsc, 0);
  const seconds = sure.reduce((sum, s) => sum + s.pit, 0) / pitHz;
  if (seconds < leastSeconds) return null;
  const khz = Math.round(tsc / seconds / 1_000);
  return khz >= plausibleKhz[0] && khz <= plausibleKhz[1] ? khz : null;
}

/** What the host's kernel says in /proc/cpuinfo: whether the counter is usable at all, and the frequency it would name. */
export function readCpuinfo(text: string): { constant: boolean; khz: number | null } {
  const flags = /^flags\s*:(.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
  const mhz = /^cpu MHz\s*:\s*(\d+\.?\d*)$/m.exec(text)?.[1];
  return { constant: flags.includes('constant_tsc'), khz: mhz === undefined ? null : Math.round(Number(mhz) * 1_000) };
}

export function settleTscKhz(
  measured: number | null,
  cpuinfo: { constant: boolean; khz: number | null },
): { tscKhz: number | null; why: string } {
  if (!cpuinfo.constant) return { tscKhz: null, why: 'the TSC of this processor is not constant' };
  if (measured === null) return { tscKhz: null, why: 'no frequency could be measured' };
  if (cpuinfo.khz !== null && Math.abs(cpuinfo.khz - measured) <= measured * agreement) {
    return { tscKhz: cpuinfo.khz, why: `measured ${measured} kHz, and /proc/cpuinfo agrees with ${cpuinfo.khz} kHz` };
  }
  return {
    tscKhz: measured,
    why: `measured ${measured} kHz; /proc/cpuinfo says ${cpuinfo.khz ?? 'nothing'}, which is the speed of the moment`,
  };
}
