/** What the commands share that keep kernels by name. */
import { access } from 'node:fs/promises';
import type { KernelRecord } from '@linstock/contract';
import { UsageError, type Tools } from '../../command.ts';
import { loadKernelStore } from '../../daemon-face.ts';
import type { Cell } from '../../render.ts';

const MiB = 1024 * 1024;

export function storeHere({ url }: Tools, what: string): void {
  if (url !== undefined) throw new UsageError(`${what} is about the kernels of this host: run it there, without --url`);
}

export function originOf({ from }: KernelRecord): string {
  switch (from.is) {
    case 'file':
      return from.file;
    case 'package':
      return `${from.package} ${from.version}`;
    case 'build':
      return `built from ${from.source.package} ${from.source.version}`;
  }
}

export function recordPairs(record: KernelRecord, made: boolean): (readonly [string, Cell | readonly string[]])[] {
  const { kernel, file, config, modules } = record;
  return [
    ['kernel', `${record.name}@${record.version}${made ? '' : ' (the same was there already)'}`],
    ['release', kernel.release],
    ['banner', kernel.banner],
    ['size', `${(kernel.bytes / MiB).toFixed(1)} MiB${file.format === 'bzImage' ? ', taken out of a bzImage' : ''}`],
    ['sha256', kernel.blob],
    [
      'config',
      config === null
        ? { text: 'none is known', paint: 'yellow' }
        : config.by === 'ikconfig'
          ? 'inside of the kernel (IKCONFIG)'
          : (config.file ?? config.by),
    ],
    ...(modules === null ? [] : [['modules', `${(modules.bytes / MiB).toFixed(1)} MiB`] as const]),
    ...(kernel.pvh ? [] : [['PVH', { text: 'no entry: QEMU microvm does not start it', paint: 'yellow' }] as const]),
    ['from', originOf(record)],
  ];
}

/**
 * A kernel as commands are given one: a file, or else the name of one that is kept here, with its configuration unless another is given. A
 * word that is neither stays what it is, and is then refused as a file that is not there.
 */
export async function kernelNamed(
  word: string,
  configPath: string | undefined,
  { stateFolder, signal }: Tools,
): Promise<{ path: string; configPath: string | undefined; signal: AbortSignal }> {
  const given = { path: word, configPath, signal };
  if (!/^[a-z][a-z0-9-]{0,62}(?:@\d{1,9})?$/.test(word) || (await isThere(word))) return given;
  const kept = await (await loadKernelStore()).findKernel(stateFolder, word);
  return kept === null ? given : { path: kept.path, configPath: configPath ?? kept.configPath, signal };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false; // what hinders is told when it is read
  }
}
