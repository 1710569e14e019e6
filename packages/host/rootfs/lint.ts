/** What a static look at a root file system finds, before any boot: without mounting it, without root, without starting a program. */
import { factsOf, findingsOf, lintContextOf } from '@linstock/core';
import type { RootfsFinding } from '@linstock/contract';
import type { FileSystemFacts, ImageFacts, KernelGiven, LintContext } from '@linstock/core';
import { STANDARD_BOOT_ARGS } from '../images/golden-parts.ts';
import { refusal } from '../images/refusal.ts';
import type { ImageRefusal } from '../images/refusal.ts';
import { inspectKernel, reportOf } from '../kernels/inspect.ts';
import { knownPassword } from './known-password.ts';
import { lookThrough } from './look-through.ts';
import { openTree } from './open-tree.ts';
import type { TreeInside } from './open-tree.ts';

export type RootfsLint = {
  findings: readonly RootfsFinding[];
  /** what was looked at */
  image: { keptIn: TreeInside['keptIn']; system: string | null; init: string; fileSystem: FileSystemFacts | null };
};

/** The one way in for whoever has a tree open; `context` says what the guest will be given. */
export async function lintRootfs(inside: TreeInside, context: LintContext): Promise<RootfsLint> {
  const facts = await lookThrough(inside.tree, (view) => factsOf(view, context, inside.fileSystem));
  return {
    findings: findingsOf({ ...facts, guessed: guessedIn(facts) }, context),
    image: { keptIn: inside.keptIn, system: facts.os.name, init: facts.init.kind, fileSystem: inside.fileSystem },
  };
}

/** An image has one or two accounts with a password; trying the words on one costs some tenths of a second. */
const mostHashes = 4;

function guessedIn({ accounts }: ImageFacts): Map<string, string> {
  const hashed = accounts.filter(({ hash }) => hash.startsWith('$')).slice(0, mostHashes);
  return new Map(
    hashed.flatMap(({ name, hash }): [string, string][] => {
      const word = knownPassword(hash);
      return word === null ? [] : [[name, word]];
    }),
  );
}

export type LintRequest = {
  path: string;
  kernelPath?: string | undefined;
  /** the value of ip=, when it is not the one of the command line */
  ip?: string | undefined;
  /** instead of the standard template */
  commandLine?: string | undefined;
  ports: readonly number[];
};

/** For the command line: opens what is named, looks at it, closes it. */
export async function lintRootfsFile(request: LintRequest): Promise<({ ok: true } & RootfsLint) | ImageRefusal> {
  const kernel = request.kernelPath === undefined ? { ok: true as const, kernel: null } : await kernelGiven(request.kernelPath);
  if (!kernel.ok) return kernel;
  const opened = await openTree(request.path);
  if (!opened.ok) return opened;
  await using inside = opened;
  const context = lintContextOf({
    commandLine: request.commandLine ?? STANDARD_BOOT_ARGS.join(' '),
    ip: request.ip ?? null,
    kernel: kernel.kernel,
    ports: request.ports,
  });
  return { ok: true, ...(await lintRootfs(inside, context)) };
}

const OPTIONS = ['VIRTIO_NET', 'VIRTIO_BLK'];
const saidAs = { yes: 'y', module: 'm', no: 'n' } as const;

async function kernelGiven(path: string): Promise<{ ok: true; kernel: KernelGiven } | ImageRefusal> {
  const inspected = await inspectKernel({ path });
  if (!inspected.ok) return inspected;
  const { release, options } = reportOf(inspected, OPTIONS);
  if (release === null)
    return refusal('not-a-kernel', `${path} does not say which release it is. Give another kernel, or leave --kernel out.`);
  const known = options.flatMap(({ option, value }) => (value === 'unknown' ? [] : [[option, saidAs[value]] as const]));
  return { ok: true, kernel: { release, config: Object.fromEntries(known) } };
}
