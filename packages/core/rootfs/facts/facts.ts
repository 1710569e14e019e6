/** Everything that the rules look at, taken from a view of an image in one go. Pure: the same view gives the same facts. */
import type { LintContext } from '../context.ts';
import { argOf } from '../context.ts';
import { namesIn, watched } from '../view.ts';
import type { ImageView, Trouble } from '../view.ts';
import { accountsOf, sshOf } from './accounts.ts';
import type { Account, Ssh } from './accounts.ts';
import { claimsOf } from './claims.ts';
import type { Claim } from './claims.ts';
import { consoleLoginOf } from './console-login.ts';
import type { ConsoleLogin } from './console-login.ts';
import { fstabOf } from './fstab.ts';
import type { Mount } from './fstab.ts';
import { identityOf } from './identity.ts';
import type { Identity } from './identity.ts';
import { FALLBACKS, initOf } from './init.ts';
import type { Init } from './init.ts';
import { listeningOf } from './listeners.ts';
import type { Listening } from './listeners.ts';
import { namesOf } from './interface-names.ts';
import type { InterfaceNames } from './interface-names.ts';
import { netplanOf } from './netplan.ts';
import type { Netplan } from './netplan.ts';
import { networkOf } from './network.ts';
import type { NetworkFacts } from './network.ts';
import { onlineOf } from './online.ts';
import type { Online } from './online.ts';
import { osReleaseOf } from './os-release.ts';
import type { OsRelease } from './os-release.ts';
import { obstacle, programAt } from './program.ts';
import { bootOf, enabledAtFirstBoot } from './started.ts';
import type { Boot, Pulled } from './started.ts';
import { UnitFiles } from './unit-files.ts';
import { unitTroubles } from './unit-troubles.ts';
import type { UnitTrouble } from './unit-troubles.ts';

/** Of the file system that holds the tree, when one does. */
export type FileSystemFacts = {
  kind: 'ext2' | 'ext3' | 'ext4';
  uuid: string;
  label: string;
  bytes: number;
  freeBytes: number;
  inodes: number;
  freeInodes: number;
  /** the journal holds what was not written to its place yet (needs_recovery) */
  journalPending: boolean;
  /** the kernel noted that it found errors */
  errors: boolean;
};

export type ImageFacts = {
  fileSystem: FileSystemFacts | null;
  /** places that were asked for and could not be read */
  troubles: readonly Trouble[];
  os: OsRelease;
  mountPointsMissing: readonly string[];
  init: Init;
  /** what the kernel takes when its init is not there */
  fallbackInit: string | null;
  /** null: systemd is not PID 1 */
  systemd: { boot: Boot; firstBoot: readonly Pulled[] } | null;
  started: { sshd: boolean };
  unitTroubles: readonly UnitTrouble[];
  network: NetworkFacts;
  claims: readonly Claim[];
  names: InterfaceNames;
  online: Online;
  listening: Listening;
  console: ConsoleLogin;
  fstab: readonly Mount[];
  identity: Identity;
  accounts: readonly Account[];
  /** account → its password, where it is one that everybody tries; trying hashes is the host's work, and until then it is empty */
  guessed: ReadonlyMap<string, string>;
  ssh: Ssh;
  modules: readonly { release: string; count: number }[];
};

export function factsOf(given: ImageView, context: LintContext, fileSystem: FileSystemFacts | null): ImageFacts {
  const { view, troubles } = watched(given);
  const init = initOf(view, context);
  const netplan = netplanOf(view, context);
  const systemd = init.kind === 'systemd' ? systemdOf(view, context, netplan) : null;
  const boot = systemd?.boot ?? null;
  const listening = listeningOf(view, systemd?.files ?? null, boot, init);
  const network = networkOf(view, context, { init, boot, netplan, speeches: listening.speeches });
  const facts: Omit<ImageFacts, 'troubles'> = {
    fileSystem,
    os: osReleaseOf(view),
    mountPointsMissing: ['/dev', '/proc', '/sys', '/run', '/tmp'].filter((path) => view.stat(path).is === 'absent'),
    init,
    fallbackInit: FALLBACKS.find((path) => obstacle(programAt(view, path)) === null) ?? null,
    systemd: systemd === null ? null : { boot: systemd.boot, firstBoot: systemd.firstBoot },
    started: { sshd: sshdStarts(boot, listening) },
    unitTroubles: boot === null ? [] : unitTroubles(view, boot),
    network,
    claims: claimsOf(network, context),
    names: namesOf(view, context, network, boot),
    online: boot === null ? { stuck: null, waiting: [] } : onlineOf(network, context, boot),
    listening,
    console: consoleLoginOf(view, context, init, systemd),
    fstab: fstabOf(view),
    identity: identityOf(view),
    accounts: accountsOf(view),
    guessed: new Map(),
    ssh: sshOf(view),
    modules: modulesOf(view),
  };
  const unclear = netplan.unclear.map((path) => ({ path, why: 'its YAML is of a kind that is not understood here' }));
  // Last: what was asked for until now.
  return { ...facts, troubles: [...troubles, ...unclear] };
}

function systemdOf(
  view: ImageView,
  context: LintContext,
  netplan: Netplan,
): { files: UnitFiles; boot: Boot; firstBoot: readonly Pulled[] } {
  const files = new UnitFiles(view);
  const firstBoot = enabledAtFirstBoot(files, view);
  return { files, firstBoot, boot: bootOf(files, view, argOf(context, 'systemd.unit'), [...firstBoot, ...netplan.enables]) };
}

function sshdStarts(boot: Boot | null, listening: Listening): boolean {
  const units = ['ssh.service', 'sshd.service', 'ssh.socket', 'sshd.socket', 'dropbear.service'];
  return units.some((unit) => boot?.started.has(unit)) || listening.listeners.some(({ port, started }) => port === 22 && started);
}

/** Releases with a tree of modules; a tree without a single module is what a package leaves behind. */
function modulesOf(view: ImageView): { release: string; count: number }[] {
  return namesIn(view, '/lib/modules').map((release) => ({
    release,
    count: namesIn(view, `/lib/modules/${release}`).filter((name) => name === 'kernel' || name === 'modules.dep' || name.includes('.ko'))
      .length,
  }));
}
