/** Where the configuration of a kernel is found, and whether it is believed. */
import { dirname, join } from 'node:path';
import { contradiction, readConfigText, whyNotOf } from '@linstock/core/kernel';
import type { Banner, KernelConfig, OptionEvidence } from '@linstock/core/kernel';
import { readWhole } from '../images/read-whole.ts';
import type { ImageRefusal } from '../images/refusal.ts';
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
  for (const file of given === undefined ? usualPlaces(kernelPath, evidence.banner) : [given]) {
    const read = await readWhole(file, MAX_CONFIG_BYTES);
    if (!read.ok && given !== undefined) return read;
    // Nothing of that name, or a folder (`~/.config`): nobody said that there was one.
    if (!read.ok) continue;
    const config = readConfigText((await unzippedText(read.bytes)) ?? read.bytes.toString('latin1'));
    const why = whyNot(config, evidence);
    if (why === null) return { ok: true, config: { file, config }, refused };
    refused.push({ file, why });
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
