/** What a static look at a root file system finds, before any boot: without mounting it, without root, without starting a program. */
import { open } from 'node:fs/promises';
import { factsOf, findingsOf, lintContextOf } from '@linstock/core';
import type { FileSystemFacts, ImageFacts, KernelGiven, LintContext, RootfsFinding } from '@linstock/core';
import { STANDARD_BOOT_ARGS, unreadable } from '../images/golden-parts.ts';
import { configValues, embeddedConfig, lookAtKernel } from '../images/kernel-image.ts';
import { refusal } from '../images/refusal.ts';
import type { ImageRefusal } from '../images/refusal.ts';
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

/** An unstripped vmlinux with debug data has up to 900 MB. */
const mostKernelBytes = 1024 * 1024 * 1024;
const OPTIONS = ['VIRTIO_NET', 'VIRTIO_BLK'];

async function kernelGiven(path: string): Promise<{ ok: true; kernel: KernelGiven } | ImageRefusal> {
  try {
    await using file = await open(path, 'r');
    const facts = await file.stat();
    if (!facts.isFile() || facts.size > mostKernelBytes)
      return refusal('file-unreadable', `${path} is no kernel: it is no ordinary file of at most 1 GiB.`);
    const bytes = await file.readFile();
    const look = lookAtKernel(bytes);
    if (!look.ok) return refusal('not-a-kernel', `${path}: ${look.say}`);
    if (look.kernel.release === null)
      return refusal('not-a-kernel', `${path} does not say which release it is. Give another kernel, or leave --kernel out.`);
    const config = look.kernel.format === 'elf' ? embeddedConfig(bytes) : null;
    return { ok: true, kernel: { release: look.kernel.release, config: config === null ? {} : configValues(config, OPTIONS) } };
  } catch (error) {
    return unreadable(path, error);
  }
}
