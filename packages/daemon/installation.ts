import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { z } from 'zod';
import { ensureFolder, isThere, Paths, readTextIfThere, writeFirst } from '@linstock/host';

const schema = z.strictObject({
  id: z.string(),
  mark: z.string().regex(/^[0-9a-f]{4}$/),
  createdAt: z.number(),
});
/** Who this installation is: the mark stands in the name of everything it makes on the host. */
export type Installation = z.infer<typeof schema> & { paths: Paths; token: string };

/** Opens the state folder, or makes it. Repeating is harmless; of two that make it at once the first to rename wins, and both use that one. */
export async function openInstallation(stateFolder: string, now: number): Promise<Installation> {
  const paths = new Paths(stateFolder);
  if (!(await isThere(stateFolder))) {
    await ensureFolder(stateFolder);
    await chmod(stateFolder, 0o700); // disks, consoles and the database are nobody else's business
  }
  const installation = schema.parse(JSON.parse(await firstWritten(paths.installation, () => makeInstallation(now))));
  const header = await firstWritten(paths.authorization, () => `Authorization: Bearer ${randomBytes(24).toString('base64url')}`);
  return { ...installation, paths, token: header.trim().replace('Authorization: Bearer ', '') };
}

/** The text of a file, made now if nobody has made it before. */
async function firstWritten(path: string, make: () => string): Promise<string> {
  const known = await readTextIfThere(path);
  if (known !== undefined) return known;
  await writeFirst(path, `${make()}\n`, 0o600);
  return (await readTextIfThere(path)) ?? '';
}

function makeInstallation(now: number): string {
  const id = randomBytes(16).toString('hex');
  return JSON.stringify({ id, mark: id.slice(0, 4), createdAt: now });
}
