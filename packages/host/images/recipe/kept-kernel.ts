/** What an image boots with when it is given a kernel of the store: that kernel alone, which must drive the guest by itself. */
import { readFile } from 'node:fs/promises';
import { leastMemoryMiB, readKernel } from '../golden-parts.ts';
import { REQUIRES, type BootParts } from '../boot-parts.ts';
import { faultOfRefusal, imageFault } from '../refusal.ts';
import type { ImageStore } from '../store.ts';
import { KernelShelf } from '../../kernels/shelf.ts';

/** Of what images require, this is for an initrd; without one the kernel itself sets the address of `ip=`. */
const forInitrd: readonly string[] = ['BLK_DEV_INITRD', 'RD_GZIP'];
export const REQUIRES_ALONE: readonly string[] = [...REQUIRES.filter((option) => !forInitrd.includes(option)), 'IP_PNP'].toSorted();

/** A fault when there is no such kernel, or it cannot boot alone. */
export async function bootPartsOfKept(store: ImageStore, named: string): Promise<{ called: string; parts: BootParts }> {
  const record = await new KernelShelf(store).find(named);
  if (record === undefined) throw imageFault(`There is no kernel ${named} in the store. "linstock kernel list" shows what there is.`);
  const called = `${record.name}@${record.version}`;
  if (!(await store.hold(record.kernel)))
    throw imageFault(`The file of the kernel ${called} is damaged or gone. Import or build it again.`);
  const { blob, bytes } = record.kernel;
  if (record.config === null)
    throw imageFault(
      `What is built into the kernel ${called} is not known, so whether it boots without an initrd is not either. Import it again with --config FILE.`,
    );
  const configText = await readFile(store.blobPath(record.config.blob), 'latin1');
  const read = await readKernel({ path: store.blobPath(blob), configText });
  if (!read.ok) throw faultOfRefusal(read, store.folder);
  const { facts, highestLoadEndBytes } = read.part;
  const missing = REQUIRES_ALONE.filter((option) => facts.config[option] !== 'y');
  if (missing.length > 0)
    throw imageFault(
      `The kernel ${called} boots without an initrd here, and these are not built into it: ${missing.map((option) => `CONFIG_${option}`).join(', ')}. Build it with them; "linstock kernel build" does.`,
    );
  const kernel = { blob, bytes, ...facts, package: null };
  return { called, parts: { kernel, initrd: null, leastMemoryMiB: leastMemoryMiB(highestLoadEndBytes, null) } };
}
