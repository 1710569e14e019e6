/** Where the configuration of a kernel is found, and whether it is believed. */
import { dirname, join } from 'node:path';
import { contradiction, readConfigText, whyNotOf } from '@linstock/core/kernel';
import type { Banner, KernelConfig, OptionEvidence } from '@linstock/core/kernel';
import { readWhole } from '../images/read-whole.ts';
import type { ImageRefusal } from '../images/refusal.ts';
import { isThere } from '../tools/files.ts';
import { MAX_CONFIG_BYTES, unzippedText } from './embedded-config.ts';

export type FoundConfig = {
  config: { file: string; config: KernelConfig } | null;
  refused: readonly { file: string; why: string }[];
};

/** The file that was given, or else the first of the usual places that holds a configuration of this very kernel. */
export async function findConfig(
  kernelPath: string,
  given: string | undefined,
  evidence: OptionEvidence,
): Promise<({ ok: true } & FoundConfig) | ImageRefusal> {
  const refused: { file: string; why: string }[] = [];
  const places = given === undefined ? usualPlaces(kernelPath, evidence.banner) : [given];
  for (const file of places) {
    if (given === undefined && !(await isThere(file))) continue;
    const read = await readWhole(file, MAX_CONFIG_BYTES);
    if (!read.ok && given !== undefined) return read;
    const text = read.ok ? ((await unzippedText(read.bytes)) ?? read.bytes.toString('latin1')) : null;
    const why = text === null ? 'it cannot be read' : whyNot(readConfigText(text), evidence);
    if (text !== null && why === null) return { ok: true, config: { file, config: readConfigText(text) }, refused };
    refused.push({ file, why: why ?? '' });
  }
  return { ok: true, config: null, refused };
}

function whyNot(config: KernelConfig, evidence: OptionEvidence): string | null {
  if (evidence.banner === null) return 'the kernel does not say which version it is, so nothing tells whether it belongs to it';
  return whyNotOf(config, evidence.banner, evidence.arch) ?? contradiction(evidence, config);
}

/** The release comes from the file: one that is not a plain name leads nowhere. */
function usualPlaces(kernelPath: string, banner: Banner | null): string[] {
  const beside = dirname(kernelPath);
  const named = banner !== null && /^[\w.+~-]{1,100}$/.test(banner.release) ? [`config-${banner.release}`] : [];
  return [...named.map((name) => join(beside, name)), ...named.map((name) => join('/boot', name)), join(beside, '.config')];
}
