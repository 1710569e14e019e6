/**
 * What was found in kernels that were built with and without options, beside the configurations they were built from. The kernels themselves
 * are not kept; `host/kernels/testing/record.ts` makes the record from a folder of them. For tests.
 */
import { readFileSync } from 'node:fs';
import { readBanner } from '../banner.ts';
import type { EmbeddedArchive } from '../contents.ts';
import type { OptionEvidence } from '../options.ts';

export type RecordedKernel = {
  name: string;
  /** what was done to it */
  built: string;
  arch: string;
  banner: string;
  pvhEntry: number | null;
  archive: EmbeddedArchive | null;
  configMarkAt: number | null;
};

/** One character per kernel, in their order: of a needle `+` or `.`, of an option `y`, `m`, `n` or `-` where the configuration does not name it. */
export type KernelRecord = {
  kernels: readonly RecordedKernel[];
  needles: Readonly<Record<string, string>>;
  options: Readonly<Record<string, string>>;
};

export function readRecord(): KernelRecord {
  return JSON.parse(readFileSync(new URL('./kernels.json', import.meta.url), 'utf8')) as KernelRecord;
}

/** The evidence of one kernel, without its configuration. */
export function evidenceOf(record: KernelRecord, index: number): OptionEvidence {
  const kernel = record.kernels[index];
  if (kernel === undefined) throw new Error(`there are ${record.kernels.length} kernels in the record`);
  const { arch, banner, pvhEntry, archive, configMarkAt } = kernel;
  const hits = new Map(Object.entries(record.needles).map(([needle, found]) => [needle, found[index] === '+' ? [0x1000] : []]));
  return { arch, banner: readBanner(banner), config: null, proper: { hits, pvhEntry, archive, configMarkAt } };
}

/** The configuration of one kernel, as far as it was recorded. */
export function configTextOf(record: KernelRecord, index: number): string {
  const lines = Object.entries(record.options).map(([option, values]) => {
    const value = values[index];
    return value === 'y' || value === 'm' ? `CONFIG_${option}=${value}` : value === 'n' ? `# CONFIG_${option} is not set` : '';
  });
  const version = readBanner(record.kernels[index]?.banner ?? '')?.version?.text ?? '0.0.0';
  return [`# Linux/x86 ${version} Kernel Configuration`, ...lines].join('\n');
}
