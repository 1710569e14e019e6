/** Kernels built in the process of whoever asks for them. */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildKernel, Paths, readFragmentFile, type BuiltKernel } from '@linstock/host';
import { holdFile } from '@linstock/store';
import { clone } from './build-info.ts';
import { openImages } from './image-store.ts';
import type { Progress } from './progress.ts';

export type BuildKernelOptions = {
  stateFolder: string;
  series: string;
  /** files, laid over the built-in one */
  fragments: readonly string[];
  name: string | undefined;
  jobs: number | undefined;
  began: (log: string) => void;
  signal: AbortSignal;
  progress: Progress;
};

const BUILT_IN = 'microvm';

export async function buildKernelHere(o: BuildKernelOptions): Promise<BuiltKernel> {
  const ground = { name: BUILT_IN, text: await readFile(join(clone, 'guest', 'kernel', `${BUILT_IN}.config`), 'utf8') };
  const over = await Promise.all(o.fragments.map((path) => readFragmentFile(path)));
  return buildKernel(await openImages(o.stateFolder), {
    series: o.series,
    fragments: [ground, ...over],
    name: o.name ?? `${BUILT_IN}-${o.series.replaceAll('.', '-')}`,
    jobs: o.jobs ?? availableParallelism(),
    builds: new Paths(o.stateFolder).kernelBuilds,
    hold: holdFolder,
    began: o.began,
    progress: o.progress,
    signal: o.signal,
  });
}

/** A lock of the kernel, which ends with the process that holds it. */
async function holdFolder(folder: string): ReturnType<Parameters<typeof buildKernel>[1]['hold']> {
  return holdFile(join(folder, 'lock'));
}
