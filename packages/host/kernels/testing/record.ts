/**
 * Makes the record of kernels that tests stand on: `node packages/host/kernels/testing/record.ts FOLDER >
 * packages/core/kernel/testing/kernels.json`, then `npm run fix`. The folder holds pairs `NAME.vmlinux` (or .bzImage) and `NAME.config`, and
 * if it likes `NAME.built` with a line about what was done to it. A developer's tool; not used by the product.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { configValue, knownOptions, readConfigText } from '@linstock/core/kernel';
import { readTextIfThere } from '../../tools/files.ts';
import { inspectKernel } from '../inspect.ts';
import { kernelPairsIn } from './pairs.ts';

export async function recordOf(folder: string): Promise<object> {
  const kernels: object[] = [];
  const needles: Record<string, string> = {};
  const options: Record<string, string> = {};
  for (const { name, kernel, config } of await kernelPairsIn(folder)) {
    const seen = await inspectKernel({ path: kernel });
    if (!seen.ok) throw new Error(seen.say);
    const { arch, banner, proper } = seen.evidence;
    if (proper === null || banner === null) throw new Error(`${kernel} could not be read`);
    const { hits, pvhEntry, archive, configMarkAt } = proper;
    const built = ((await readTextIfThere(config.replace(/config$/, 'built'))) ?? '').trim();
    kernels.push({ name: basename(name), built, arch, banner: banner.text, pvhEntry: pvhEntry ?? null, archive, configMarkAt });
    for (const [needle, places] of hits) needles[needle] = (needles[needle] ?? '') + (places.length > 0 ? '+' : '.');
    const set = readConfigText(await readFile(config, 'latin1'));
    for (const option of knownOptions)
      options[option] = (options[option] ?? '') + (set.values.has(option) ? configValue(set, option) : '-');
  }
  return { kernels, needles, options };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await recordOf(process.argv[2] ?? '.'), null, 1)}\n`);
