/** Kernels in the image store, in the process of whoever asks: a controller that runs meanwhile finds them there. */
import { constants } from 'node:fs/promises';
import { FaultError, type KernelRecord } from '@linstock/contract';
import { isThere, keepKernel, KernelShelf, type KeptKernel } from '@linstock/host';
import { allowed, imagesOf, withImages } from './image-store.ts';
import type { Progress } from './progress.ts';

export type ImportKernelOptions = {
  stateFolder: string;
  file: string;
  name: string | undefined;
  config: string | undefined;
  modules: boolean;
  signal: AbortSignal;
  progress: Progress;
};

export async function importKernel(o: ImportKernelOptions): Promise<KeptKernel> {
  const { file: path, name, config: configPath, modules, signal, progress } = o;
  return withImages(o.stateFolder, (images) => keepKernel(images, { path, name, configPath, modules, signal, progress }));
}

/** To look is not to make: a folder without images has no kernels. */
export async function listKernels(stateFolder: string): Promise<{ items: KernelRecord[]; damaged: string[] }> {
  return new KernelShelf(await allowed(imagesOf(stateFolder), constants.R_OK)).all();
}

export async function deleteKernel(stateFolder: string, named: string): ReturnType<KernelShelf['delete']> {
  const images = await allowed(imagesOf(stateFolder), constants.W_OK);
  if (await isThere(images.folder)) await images.open();
  else throw new FaultError('image-refused', { say: `There is no kernel ${named}: ${images.folder} is not there.` });
  return new KernelShelf(images).delete(named);
}

/** The files of a kernel of the store, by its name; null when there is none of that name. */
export async function findKernel(stateFolder: string, named: string): Promise<{ path: string; configPath: string | undefined } | null> {
  const images = await allowed(imagesOf(stateFolder), constants.R_OK);
  const record = await new KernelShelf(images).find(named);
  if (record === undefined) return null;
  const { kernel, config } = record;
  return { path: images.blobPath(kernel.blob), configPath: config?.by === 'config-file' ? images.blobPath(config.blob) : undefined };
}
