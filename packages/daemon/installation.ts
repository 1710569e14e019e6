import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureFolder, Paths, readIfThere, writeDurably } from '@linstock/host';

const schema = z.strictObject({
  id: z.string(),
  mark: z.string().regex(/^[0-9a-f]{4}$/),
  createdAt: z.number(),
});
/** Who this installation is: the mark stands in the name of everything it makes on the host. */
export type Installation = z.infer<typeof schema> & { paths: Paths; token: string };

/** Opens the state folder, or makes it. Repeating is harmless; two at once agree, since files appear by rename. */
export async function openInstallation(stateFolder: string, now: number): Promise<Installation> {
  const paths = new Paths(stateFolder);
  await ensureFolder(stateFolder);
  const known = await readIfThere(paths.installation);
  const installation = known === undefined ? await makeInstallation(paths, now) : schema.parse(JSON.parse(known.toString('utf8')));
  const tokenPath = join(stateFolder, 'token');
  let token = (await readIfThere(tokenPath))?.toString('utf8').trim();
  if (!token) {
    token = randomBytes(24).toString('base64url');
    await writeDurably(tokenPath, `${token}\n`, 0o600);
  }
  return { ...installation, paths, token };
}

async function makeInstallation(paths: Paths, now: number): Promise<z.infer<typeof schema>> {
  const id = randomBytes(16).toString('hex');
  const made = { id, mark: id.slice(0, 4), createdAt: now };
  await writeDurably(paths.installation, `${JSON.stringify(made)}\n`, 0o600);
  return made;
}
