/** The image store of a state folder, for commands that use it in their own process. */
import { access, constants } from 'node:fs/promises';
import { FaultError } from '@linstock/contract';
import { ImageStore, Paths } from '@linstock/host';
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

export async function openImages(stateFolder: string): Promise<ImageStore> {
  process.umask(0o077); // what is made here is for its owner only
  const { paths } = await openInstallation(stateFolder, clock.now());
  const images = await allowed(imagesOf(paths.state), constants.W_OK);
  await images.open();
  return images;
}
