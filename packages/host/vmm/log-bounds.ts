/**
 * What a VMM writes beside its console, kept in bounds as that is: bytes of the middle are given back to the disk by punching a hole. The file
 * is not cut, because Firecracker writes at the offset where it is, without O_APPEND (vmm/src/logger/logging.rs): what was cut would be
 * there again, as zeroes. Its log level is not lowered after the start either: that it has begun to end is an Info line (exit.ts).
 *
 * How a Firecracker that nothing happens to grows, measured with 1.9.1 and 1.16.1: each look costs 258 bytes of log, at one a minute 15 KB an
 * hour; each minute it writes a line of metrics, 4.5 KB or 5.4 KB: 0.3 MB an hour.
 */
import { bootFile } from '../tools/paths.ts';
import { firecrackerFile } from './firecracker/config.ts';

const KiB = 1_024;
/** Holes are made of whole blocks. */
export const blockBytes = 4 * KiB;

export type LogBounds = {
  /** at the beginning, never given back */
  headBytes: number;
  /** at the end: as much as this stays, twice as much may gather */
  tailBytes: number;
};

/** By the name of the file in the folder of a boot. */
export const boundedLogs: Readonly<Record<string, LogBounds>> = {
  // QEMU's own words, or those of a Firecracker that panics: a healthy one says nothing
  [bootFile.vmmLog]: { headBytes: 0, tailBytes: 1_024 * KiB },
  // a start is in the first 16 KiB, which each look reads
  [firecrackerFile.log]: { headBytes: 64 * KiB, tailBytes: 1_024 * KiB },
  // an end is explained by the last 512 KiB
  [firecrackerFile.metrics]: { headBytes: 0, tailBytes: 1_024 * KiB },
};

/** The bytes to be given back, of whole blocks; null while there are too few. `from` is where the last hole ended, 0 when none is known. */
export function holeIn(sizeBytes: number, bounds: LogBounds, lastEnd: number): { from: number; to: number } | null {
  const from = Math.ceil(bounds.headBytes / blockBytes) * blockBytes;
  const to = Math.floor((sizeBytes - bounds.tailBytes) / blockBytes) * blockBytes;
  return to - Math.max(from, lastEnd) >= bounds.tailBytes ? { from, to } : null;
}
