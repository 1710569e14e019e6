/** The image store of a state folder, for commands that use it in their own process. */
import { access, constants, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FaultError } from '@linstock/contract';
import { ImageStore, isThere, listFolder, Paths, removeTree } from '@linstock/host';
import { clock } from './clock.ts';
import { openInstallation } from './installation.ts';

/** A folder that is not there is refused by nobody. */
export async function allowed(images: ImageStore, mode: number): Promise<ImageStore> {
  try {
    await access(images.folder, mode);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ENOTDIR')
      throw new FaultError(
        'host-lacks-permission',
        { what: `using the images in ${images.folder}`, hint: 'be the user whom the controller runs as' },
        { cause },
      );
  }
  return images;
}

export function imagesOf(stateFolder: string): ImageStore {
  return new ImageStore({ folder: new Paths(stateFolder).images, now: clock.now });
}

/**
 * Work on the images of a folder. When it comes to nothing in a folder that was not there before, and nothing was kept of it, the folder goes
 * again: only what is empty, and the two files that every new one has.
 */
export async function withImages<T>(stateFolder: string, work: (images: ImageStore) => Promise<T>): Promise<T> {
  const paths = new Paths(stateFolder);
  const made = !(await isThere(paths.state));
  const images = await openImages(stateFolder);
  try {
    return await work(images);
  } catch (error) {
    if (made) await removeIfNew(paths);
    throw error;
  }
}

async function removeIfNew(paths: Paths): Promise<void> {
  const own = [paths.installation, paths.authorization].map((path) => basename(path));
  await removeEmpty(paths.images);
  if (!(await listFolder(paths.state)).every((name) => own.includes(name))) return; // a controller, or what was kept
  for (const name of own) await removeTree(join(paths.state, name));
  await removeEmpty(paths.state);
}

/** Folders that hold nothing but folders that hold nothing. */
async function removeEmpty(folder: string): Promise<void> {
  for (const name of await listFolder(folder)) if ((await stat(join(folder, name))).isDirectory()) await removeEmpty(join(folder, name));
  // what is not empty stays
  await rmdir(folder).catch(() => {});
}

async function openImages(stateFolder: string): Promise<ImageStore> {
  process.umask(0o077); // what is made here is for its owner only
  const { paths } = await openInstallation(stateFolder, clock.now());
  const images = await allowed(imagesOf(paths.state), constants.W_OK);
  await images.open();
  return images;
}
