/** Kernels built from an order, over our own fragment. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { BuildOrder } from '@linstock/contract';
import { buildKernel, Paths, type BuiltKernel, type ImageStore } from '@linstock/host';
import { holdFile } from '@linstock/store';
import { clone } from './build-info.ts';
import type { Progress } from './progress.ts';

const BUILT_IN = 'microvm';

export async function buildKernelIn(
  images: ImageStore,
  stateFolder: string,
  order: Extract<BuildOrder, { what: 'kernel' }>,
  o: { signal: AbortSignal; progress: Progress },
): Promise<BuiltKernel> {
  const { series, name, jobs, fragments } = order;
  const ground = { name: BUILT_IN, text: await readFile(join(clone, 'guest', 'kernel', `${BUILT_IN}.config`), 'utf8') };
  return buildKernel(images, {
    series,
    fragments: [ground, ...fragments],
    name: name ?? `${BUILT_IN}-${series.replaceAll('.', '-')}`,
    jobs: jobs ?? availableParallelism(),
    builds: new Paths(stateFolder).kernelBuilds,
    hold: holdFolder,
    began: (log) => o.progress({ name: `write the log ${log}` }),
    progress: o.progress,
    signal: o.signal,
  });
}

/** A lock of the kernel, which ends with the process that holds it. */
async function holdFolder(folder: string): ReturnType<Parameters<typeof buildKernel>[1]['hold']> {
  return holdFile(join(folder, 'lock'));
}
