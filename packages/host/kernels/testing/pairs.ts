/** Kernels with the configurations they were built from, in a folder. For tests. */
import { join } from 'node:path';
import { listFolder } from '../../tools/files.ts';

export type KernelPair = { name: string; kernel: string; config: string };

export async function kernelPairsIn(folder: string): Promise<KernelPair[]> {
  const names = await listFolder(folder);
  return names
    .filter((name) => /\.(?:vmlinux|bzImage|Image)$/.test(name))
    .toSorted()
    .map((file) => ({ file, name: file.replace(/\.\w+$/, '') }))
    .filter(({ name }) => names.includes(`${name}.config`))
    .map(({ file, name }) => ({ name: file, kernel: join(folder, file), config: join(folder, `${name}.config`) }));
}
