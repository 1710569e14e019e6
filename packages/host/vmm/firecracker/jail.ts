/**
 * What lies in a jail before the jailer runs, and its removal afterwards. The jailer removes nothing (docs/jailer.md).
 *
 * Promises: `ensureJail` may be repeated, and by two at once, and changes nothing that is right already: another launch of the same boot may
 * have won meanwhile, and its VMM reads these files. A jail bears the name of its boot from the first folder on, so that one that was left
 * half made is found and removed. The folders above the root belong to root, so what lies in them is what we put there.
 */
import { constants } from 'node:fs';
import { chmod, chown, link, lstat, mkdir, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FaultError, isId, type BootId } from '@linstock/contract';
import { cloneFile, isThere, listFolder, removeTree } from '../../tools/files.ts';
import type { JailPlan, LaunchPlan } from '../vmm.ts';
import { bootOfInstance, jailFolderOf } from './plan.ts';

/** Writes the files of a plan and, for a jail, links what else must be in it. */
export async function ensureFiles({ files, jail }: Pick<LaunchPlan, 'files' | 'jail'>): Promise<void> {
  // who knows a name may pass, nobody may list; the jailer then makes the root 0700 and its user's
  if (jail !== undefined) await mkdir(jail.root, { recursive: true, mode: 0o711 });
  for (const { path, text, mode } of files) await ensureFile(path, text, mode, jail?.owner ?? null);
  for (const one of jail?.links ?? []) {
    if (one.is === 'own') await ensureOwn(one.from, one.to, jail?.owner ?? { uid: 0, gid: 0 });
    else await ensureShared(one.from, one.to);
  }
}

async function ensureFile(path: string, text: string, mode: number, owner: JailPlan['owner'] | null): Promise<void> {
  // not O_TRUNC: who reads it now must never find it empty
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode);
  try {
    if (text !== '' && (await file.readFile('utf8')) !== text) {
      const bytes = Buffer.from(text);
      await file.write(bytes, 0, bytes.length, 0);
      await file.truncate(bytes.length);
    }
    await file.chmod(mode);
    if (owner !== null) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
}

/** The file itself, given to the user of the jail: a copy would lose what is written. */
async function ensureOwn(from: string, to: string, { uid, gid }: JailPlan['owner']): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EXDEV') {
      throw new FaultError('tool-failed', {
        step: 'launch',
        hint: `${from} is on another filesystem than the jails in ${dirname(dirname(dirname(to)))}, and only a file of the same one can be linked into a jail`,
      });
    }
    if (code !== 'EEXIST') throw error;
    await sameFile(from, to);
  }
  // by the name outside: the one inside may, by now, be a link that a VMM put there
  await chown(from, uid, gid);
  await chmod(from, 0o600);
}

/** A link to what everybody may read; else a copy that everybody may read, because the original is not ours to change. */
async function ensureShared(from: string, to: string): Promise<void> {
  if (await isThere(to)) return;
  const readable = ((await lstat(from)).mode & 0o444) === 0o444;
  try {
    if (readable) return await link(from, to);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') return;
    // EMLINK: 65,000 jails of one kernel are what ext4 allows
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
  }
  const half = await mkdtemp(join(dirname(to), '.copy-'));
  try {
    await cloneFile(from, join(half, basename(to)));
    await chmod(join(half, basename(to)), 0o444);
    await rename(join(half, basename(to)), to);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}

async function sameFile(from: string, to: string): Promise<void> {
  const [a, b] = [await lstat(from), await lstat(to)];
  if (a.ino !== b.ino || a.dev !== b.dev)
    throw new FaultError('tool-failed', { step: 'launch', hint: `${to} is another file than ${from}` });
}

/** The root of the jail of a boot, under whichever binary's name: after an upgrade of the host there are two. */
export async function findJail(base: string, boot: BootId): Promise<string | null> {
  for (const binary of await listFolder(base)) {
    const root = join(jailFolderOf(base, binary, boot), 'root');
    if (await isThere(root)) return root;
  }
  return null;
}

/** To be called when nothing runs in it any more. */
export async function absentJail(base: string, boot: BootId): Promise<void> {
  for (const binary of await listFolder(base)) await removeTree(jailFolderOf(base, binary, boot));
}

/** Boots of which there is a jail, whole or half. */
export async function jailedBoots(base: string): Promise<readonly BootId[]> {
  const found = new Set<BootId>();
  for (const binary of await listFolder(base)) {
    for (const name of await listFolder(join(base, binary))) {
      const boot = bootOfInstance(name);
      if (isId('boot', boot)) found.add(boot);
    }
  }
  return [...found];
}
