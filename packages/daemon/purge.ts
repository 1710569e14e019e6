import { readdir, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FaultError, type BootId } from '@linstock/contract';
import { BridgeNetworks, isThere, Paths, removeTree, Units } from '@linstock/host';
import { clock } from './clock.ts';
import { openInstallation } from './installation.ts';
import { askToEnd, lockFolder } from './lock.ts';
import type { Progress } from './progress.ts';

const stopMs = 20_000;

/** The lock, or null while a controller holds it. */
async function heldByNobody(paths: Paths): Promise<{ release(): Promise<void> } | null> {
  try {
    return await lockFolder(paths);
  } catch (error) {
    if (FaultError.is(error, 'daemon-already-running')) return null;
    throw error;
  }
}

/** Ends the controller of a folder and waits until it has let go of it. VMs go on running. */
export async function stop(o: { stateFolder: string; signal: AbortSignal }): Promise<{ stopped: boolean }> {
  if (!(await isInstalled(o.stateFolder))) return { stopped: false };
  const paths = new Paths(o.stateFolder);
  const until = clock.now() + stopMs;
  let asked = false;
  for (;;) {
    const lock = await heldByNobody(paths);
    if (lock) {
      await lock.release();
      return { stopped: asked };
    }
    if (!asked) asked = await askToEnd(paths);
    if (clock.now() > until || o.signal.aborted) return lockFolder(paths).then((l) => l.release().then(() => ({ stopped: true })));
    await clock.sleep(50, o.signal);
  }
}

/**
 * Leaves nothing of an installation: VMs, namespaces, links, rules, cgroups, state. Everything is found by the mark on
 * the host, not by what the database remembers, so it works for an installation that is half made or broken as well.
 */
export async function purge(o: { stateFolder: string; signal: AbortSignal; progress: Progress }): Promise<{ removed: readonly string[] }> {
  if (!(await isInstalled(o.stateFolder))) return { removed: [] };
  await stop(o);
  const { paths, mark } = await openInstallation(o.stateFolder, clock.now());
  const removed: string[] = [];
  const units = Units.open({ mark, ends: paths.ends });
  const boots = units.names();
  for (const [done, boot] of boots.entries()) {
    o.progress({ name: 'end VMs', done, total: boots.length });
    while ((await units.end(boot as BootId, paths.boot(boot), o.signal)).is === 'busy') o.progress({ name: `end ${boot}` });
    removed.push(boot);
  }
  units.dropFolder();
  if (process.getuid?.() === 0) {
    o.progress({ name: 'remove the network' });
    const networks = new BridgeNetworks({ mark, stateFolder: paths.network });
    removed.push(...(await networks.inventory(o.signal)).map((thing) => `${thing.kind} ${thing.name}`));
    await networks.purge(o.signal);
  }
  o.progress({ name: 'remove the state folder' });
  await removeState(paths);
  removed.push(o.stateFolder);
  return { removed };
}

/** To look is not to make: a folder without our file is none of ours, and nothing is put into it or taken from it. */
function isInstalled(stateFolder: string): Promise<boolean> {
  return isThere(new Paths(stateFolder).installation);
}

/**
 * What we keep in a state folder, by name and not by "everything": a person may have named a folder with things of their
 * own in it. The file with the mark goes last, so that an interrupted purge can be repeated.
 */
async function removeState(paths: Paths): Promise<void> {
  const ours = [
    paths.database,
    paths.lock,
    paths.serving,
    paths.authorization,
    paths.log,
    paths.images,
    paths.kernelBuilds,
    paths.disks,
    paths.network,
    paths.hostFacts,
    paths.boots,
    paths.jails,
    paths.ends,
  ];
  const names = new Set([...ours.map((path) => basename(path)), 'controller.err', 'born-in']);
  const companion = /(-wal|-shm|-journal|\.half)$/;
  for (const name of await readdir(paths.state)) if (names.has(name.replace(companion, ''))) await removeTree(join(paths.state, name));
  await removeTree(`${paths.installation}.half`);
  await removeTree(paths.installation);
  await rmdir(paths.state).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // somebody else's things are in it
  });
}
