/** The configuration that CONFIG_IKCONFIG puts into a kernel. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { configSpan, readConfigText } from '@linstock/core/kernel';
import type { KernelConfig } from '@linstock/core/kernel';

/** 120 to 300 KB; ten times that is none. */
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** From the place of its mark (`configMarkIn`); null when what is there does not unpack to one. */
export async function embeddedConfig(bytes: Buffer, markAt: number): Promise<KernelConfig | null> {
  const text = await embeddedConfigText(bytes, markAt);
  return text === null ? null : readConfigText(text);
}

export async function embeddedConfigText(bytes: Buffer, markAt: number): Promise<string | null> {
  const span = configSpan(bytes, markAt);
  return span === null ? null : unzippedText(bytes.subarray(span.from, span.to));
}

/** The text in gzip data; null when it is not gzip after all (the marks may stand in a kernel as plain text), or far too long. */
export async function unzippedText(bytes: Buffer): Promise<string | null> {
  try {
    return (await promisify(gunzip)(bytes, { maxOutputLength: MAX_CONFIG_BYTES })).toString('latin1');
  } catch {
    // zlib's reason says no more than that there is no configuration to be read: no way, no claim.
    return null;
  }
}
