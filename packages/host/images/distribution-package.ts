/**
 * Fetches a package of the host's distribution without installing it: `apt-cache show` (deb822 records, a stable interface) tells what there
 * is, `apt-get download` gets it (as root or as an ordinary user; it checks the signatures itself), `dpkg-deb -x` unpacks it.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { ensureFolder } from '../tools/files.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

export type PackageRecord = { name: string; version: string; bytes: number; depends: readonly string[] };
export type PackageName = { name: string; version: string };

/** apt reads its cache in 0.7 s here; a slow disk or a cache being rebuilt takes longer. */
const ASK_TIMEOUT_MS = 60_000;
/** 26 MB over a slow line. */
const DOWNLOAD_TIMEOUT_MS = 900_000;
const UNPACK_TIMEOUT_MS = 180_000;

/** Reads the first record of `apt-cache show`; undefined when the text holds none. Alternatives (`a | b`) count as their first. */
export function parsePackageRecord(text: string): PackageRecord | undefined {
  const record = text.split(/\n\n/)[0] ?? '';
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*(?:\\n[ \\t].*)*)`, 'm').exec(record)?.[1]?.trim();
  const name = field('Package');
  const version = field('Version');
  if (name === undefined || version === undefined) return undefined;
  const depends = [field('Pre-Depends'), field('Depends')]
    .flatMap((list) => (list ?? '').split(','))
    .map((entry) => /^[a-z0-9][a-z0-9+.-]*/.exec(entry.trim())?.[0])
    .filter((word) => word !== undefined);
  return { name, version, bytes: Number(field('Size') ?? 0) || 0, depends };
}

/** The newest version apt would take, or a sentence why there is none. */
export async function lookAtPackage(name: string, signal?: AbortSignal): Promise<{ ok: true; record: PackageRecord } | ImageRefusal> {
  const result = await exec(['apt-cache', 'show', '--no-all-versions', name], {
    timeoutMs: ASK_TIMEOUT_MS,
    signal,
  });
  if (result.aborted) signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT')
    return refusal(
      'tool-missing',
      'This host has no apt-cache: golden images are built from Debian or Ubuntu packages. Import one with "linstock golden import" instead.',
    );
  const record = succeeded(result) ? parsePackageRecord(result.stdout) : undefined;
  // apt-cache ends with 100 both for empty package lists and for a name they do not hold; the cure is the same.
  return record === undefined
    ? refusal(
        'package-unknown',
        `apt does not know the package ${name}, because its lists are empty or old: run "apt-get update" as root, then try again.`,
      )
    : { ok: true, record };
}

/** Downloads and unpacks into `folder`/tree. Repeating it is safe: the folder belongs to one attempt. */
export async function unpackPackage(
  record: PackageRecord,
  folder: string,
  signal?: AbortSignal,
): Promise<{ ok: true; tree: string } | ImageRefusal> {
  await ensureFolder(folder);
  // APT::Sandbox::User: without it, root's apt drops to user _apt, which cannot write in our folder, and warns about it.
  const got = await exec(['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', `${record.name}=${record.version}`], {
    cwd: folder,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    signal,
  });
  if (got.aborted) signal?.throwIfAborted();
  const file = succeeded(got) ? (await readdir(folder)).find((name) => name.endsWith('.deb')) : undefined;
  if (file === undefined) {
    return refusal(
      'download-failed',
      `The package ${record.name} ${record.version} could not be downloaded (${describeFailure(got)}). If the archive has moved on, "apt-get update" as root helps; otherwise check the network.`,
    );
  }
  const tree = join(folder, 'tree');
  const unpacked = await exec(['dpkg-deb', '-x', join(folder, file), tree], { timeoutMs: UNPACK_TIMEOUT_MS, signal });
  if (unpacked.aborted) signal?.throwIfAborted();
  return succeeded(unpacked)
    ? { ok: true, tree }
    : refusal('tool-failed', `The package ${record.name} could not be unpacked: ${describeFailure(unpacked)}`);
}
