/** Step 0 of `up`: looks which programs the host lacks, says why each is wanted, and installs them if it may. */
import { access, constants, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { FaultError } from '@linstock/contract';
import type { DaemonFace, Ran } from './daemon-face.ts';
import {
  commandForAdministrator,
  hostPackages,
  howFar,
  installArguments,
  missingPackages,
  updateArguments,
  type HostPackage,
  type Look,
} from './host-packages.ts';
import type { Out } from './out.ts';
import { plain } from './render.ts';

/** A slow mirror and 200 MiB of QEMU; beyond this the mirror is dead. */
const APT_TIMEOUT_MS = 30 * 60_000;
/** how often to look how far apt-get is */
const APT_LOOK_MS = 300;

export async function lookAtHost(folders: readonly string[], root: boolean, isStaticElf: DaemonFace['isStaticElf']): Promise<Look> {
  const where = new Map<string, string>();
  for (const tool of new Set([...hostPackages.flatMap((one) => one.tools), 'apt-get'])) {
    for (const folder of folders) {
      const path = join(folder, tool);
      try {
        await access(path, constants.X_OK);
      } catch {
        continue; // not in this folder
      }
      where.set(tool, path);
      break;
    }
  }
  const busybox = where.get('busybox');
  return { present: (tool) => where.has(tool), busyboxIsStatic: busybox !== undefined && isStaticElf(await headOf(busybox)), root };
}

async function headOf(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const head = new Uint8Array(4096); // the program headers follow the file header
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return head.subarray(0, bytesRead);
}

export type InstallWorld = {
  look(): Promise<Look>;
  exec: DaemonFace['exec'];
  /** null: there is nobody to ask */
  ask: ((question: string) => Promise<boolean>) | null;
  out: Out;
  signal: AbortSignal;
};

/** Resolves to the packages that were installed; throws when something indispensable stays missing. */
export async function ensurePackages(world: InstallWorld): Promise<readonly string[]> {
  const { out } = world;
  const look = await world.look();
  const missing = missingPackages(look);
  if (missing.length === 0) return [];
  out.say(`This host lacks ${missing.length} of the packages Linstock uses:`);
  for (const one of missing) out.say(`  ${one.package.padEnd(16)} ${one.reason}${one.indispensable ? '' : ' (can do without)'}`);

  if (!look.present('apt-get')) return doWithout(world, missing, 'there is no apt-get here; install them with the means of this system');
  if (!look.root) {
    out.say(`Only an administrator can install them, with this command:\n  ${commandForAdministrator(missing)}`);
    return doWithout(world, missing, `as an administrator: ${commandForAdministrator(missing)}`);
  }
  if (world.ask !== null && !(await world.ask('Install them now?'))) return doWithout(world, missing, commandForAdministrator(missing));

  const what = missing.length === 1 ? (missing[0]?.package ?? '') : `${missing.length} packages`;
  let ran = await apt(world, installArguments(missing), what);
  if (ran.code !== 0) {
    // The usual reason is a package list that is absent or old; refreshing it costs nothing that a second failure would not.
    const updated = await apt(world, updateArguments, 'the package lists');
    ran = await apt(world, installArguments(missing), what); // a list that cannot be fetched may be one that is not needed
    if (ran.code !== 0 && updated.code !== 0) ran = updated; // why it could not be fetched says more than "no such package"
  }
  out.quiet();
  const still = missingPackages(await world.look());
  if (ran.code !== 0) for (const line of ran.stderr.trim().split('\n').slice(-5)) out.say(`  apt-get: ${plain(line)}`);
  if (still.length > 0) {
    return doWithout(world, still, commandForAdministrator(still));
  }
  if (ran.code !== 0) out.say('apt-get could not finish; the programs are there all the same. To look into it: apt-get -f install');
  out.say(`Installed: ${missing.map((one) => one.package).join(', ')}.`);
  return missing.map((one) => one.package);
}

async function apt(world: InstallWorld, argv: readonly string[], what: string): Promise<Ran> {
  world.out.progress({ name: `${argv.includes('update') ? 'refreshing' : 'installing'} ${what}` });
  const folder = await mkdtemp(join(tmpdir(), 'linstock-apt-'));
  const status = join(folder, 'status');
  const timer = setInterval(() => {
    readFile(status, 'utf8').then(
      (text) => {
        const far = howFar(text);
        if (far !== null) world.out.progress({ name: `${far.phase} ${what}`, done: far.percent, total: 100, unit: '%' });
      },
      () => {}, // not there yet
    );
  }, APT_LOOK_MS);
  try {
    // the shell opens file 3 and becomes apt-get
    const ran = await world.exec(['sh', '-c', 'exec "$@" 3>"$0"', status, ...argv], {
      signal: world.signal,
      timeoutMs: APT_TIMEOUT_MS,
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
    world.signal.throwIfAborted();
    return ran;
  } finally {
    clearInterval(timer);
    await rm(folder, { recursive: true, force: true });
  }
}

function doWithout(world: InstallWorld, missing: readonly HostPackage[], how: string): readonly string[] {
  const needed = missing.filter((one) => one.indispensable);
  if (needed.length > 0) {
    throw new FaultError('host-lacks-tool', {
      tool: needed.map((one) => one.tools[0] ?? one.package).join(', '),
      package: `${needed.map((one) => one.package).join(', ')} (${how})`,
    });
  }
  world.out.say('Going on without them.');
  return [];
}

/** Asks on the terminal; only y and yes mean yes. */
export async function askOnTerminal(question: string, signal: AbortSignal): Promise<boolean> {
  // `terminal: false`: the line editor would swallow Ctrl-C, which belongs to the whole program
  const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve(''))); // Ctrl-D is no yes
  try {
    return /^y(es)?$/i.test((await Promise.race([lines.question(`${question} [y/N] `, { signal }), closed])).trim());
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    lines.close();
  }
}
