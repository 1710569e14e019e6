import { access, constants } from 'node:fs/promises';
import { FaultError, type GoldenManifest } from '@linstock/contract';
import { exportGolden, faultOfRefusal, importGoldenFile, ImageStore, Paths } from '@linstock/host';
import { findGolden } from './api/plan-vm.ts';
import { clock } from './clock.ts';
import type { Progress } from './progress.ts';

export type GoldenFileOptions = { stateFolder: string; file: string; signal: AbortSignal; progress: Progress };

/** A version as one file that another installation can take in. Needs no controller. */
export async function exportGoldenFile(o: GoldenFileOptions & { golden: string }): Promise<{ golden: GoldenManifest; bytes: number }> {
  const store = await open(o.stateFolder, constants.R_OK);
  const exported = await exportGolden(store, findGolden(await store.all(), o.golden, []), {
    path: o.file,
    signal: o.signal,
    progress: o.progress,
  });
  if (!exported.ok) throw faultOfRefusal(exported, o.file);
  return { golden: exported.golden, bytes: exported.bytes };
}

/** Takes such a file in, as the next version of its name. Needs no controller; one that runs sees it. */
export async function importFromGoldenFile(
  o: GoldenFileOptions,
): Promise<{ golden: GoldenManifest; from: { name: string; version: number }; made: boolean }> {
  process.umask(0o077); // what is made here is for its owner only
  const store = await open(o.stateFolder, constants.W_OK);
  const imported = await importGoldenFile(store, { path: o.file, signal: o.signal, progress: o.progress });
  if (!imported.ok) throw faultOfRefusal(imported, o.stateFolder);
  const { golden, from, made } = imported;
  return { golden, from, made };
}

async function open(stateFolder: string, mode: number): Promise<ImageStore> {
  const { images } = new Paths(stateFolder);
  await access(images, mode).catch((cause: unknown) => {
    throw new FaultError(
      'host-lacks-permission',
      { what: `using the images in ${images}`, hint: 'it is made by `linstock up`; be the user whom the controller runs as' },
      { cause },
    );
  });
  const store = new ImageStore({ folder: images, now: clock.now });
  if (mode === constants.W_OK) await store.open();
  return store;
}
