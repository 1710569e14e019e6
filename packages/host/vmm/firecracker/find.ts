/**
 * The Firecrackers of this host: several versions may lie side by side, each with the jailer beside it. A version is what the binary says of
 * itself, never what its path looks like.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { exec, succeeded } from '../../tools/exec.ts';
import { isSafeStep, realFile, stepsTo } from '../../tools/trusted-path.ts';
import { compareVersions, type Version } from '@linstock/core';
import { refusalOfVersion, versionIn } from './versions.ts';

export type FoundFirecracker = {
  /** absolute and free of links */
  path: string;
  version: Version;
  /** changes when the file does */
  identity: string;
  jailer: { path: string } | { absent: string };
};
export type NotFirecracker = { path: string; why: string };
export type Found = { firecrackers: readonly FoundFirecracker[]; others: readonly NotFirecracker[] };

/** Where releases and packages put it. */
export const usualFirecrackerPaths: readonly string[] = ['/usr/local/bin/firecracker', '/usr/bin/firecracker'];

/** It prints one line and ends; a loaded machine may need a hundred times its millisecond. */
const VERSION_TIMEOUT_MS = 5_000;

/** `named`: whether somebody named these paths, so that what is not there is worth a word. Newest first. */
export async function findFirecrackers(o: { paths: readonly string[]; named: boolean; signal: AbortSignal }): Promise<Found> {
  const looks = await Promise.all([...new Set(o.paths)].map((path) => look(path, o.signal)));
  const firecrackers = new Map<string, FoundFirecracker>();
  const others: NotFirecracker[] = [];
  for (const one of looks) {
    if ('version' in one) firecrackers.set(one.path, one);
    else if (o.named || one.there) others.push({ path: one.path, why: one.why });
  }
  return { firecrackers: [...firecrackers.values()].toSorted((a, b) => compareVersions(b.version, a.version)), others };
}

async function look(named: string, signal: AbortSignal): Promise<FoundFirecracker | (NotFirecracker & { there: boolean })> {
  const path = await realFile(named);
  if (path === null) return { path: named, there: false, why: 'there is no such file' };
  const open = (await stepsTo(named)).find((step) => !isSafeStep(step, process.getuid?.() ?? 0));
  if (open !== undefined) return { path: named, there: true, why: `others may change ${open.path}, and with it what root would run` };
  const version = await versionOf(path, signal);
  if (version === null) return { path: named, there: true, why: 'it does not say a version of Firecracker' };
  const refusal = refusalOfVersion(version);
  if (refusal !== null) return { path: named, there: true, why: refusal.replace(/\.$/, '') };
  const { mtimeMs, size, ino } = await stat(path);
  return { path, version, identity: `${ino}-${size}-${mtimeMs}`, jailer: await jailerOf(path, version, signal) };
}

async function jailerOf(path: string, version: Version, signal: AbortSignal): Promise<FoundFirecracker['jailer']> {
  const beside = await jailerBeside(path);
  if (beside === null) return { absent: `there is no jailer beside ${path}` };
  const its = await versionOf(beside, signal);
  if (its === null) return { absent: `${beside} does not say a version` };
  // docs/jailer.md: both must be of the same release
  return compareVersions(its, version) === 0
    ? { path: beside }
    : { absent: `${beside} is of version ${its.text}, and must be of the same as Firecracker` };
}

/**
 * Beside the name that it is called by, or beside the file that this leads to. A release puts `firecracker-v1.9.1-x86_64` beside
 * `jailer-v1.9.1-x86_64`, a package `firecracker` beside `jailer`.
 */
export async function jailerBeside(path: string): Promise<string | null> {
  for (const one of [path, (await realFile(path)) ?? path]) {
    const jailer = join(dirname(one), basename(one).replace('firecracker', 'jailer'));
    if (jailer !== one && (await realFile(jailer)) !== null) return jailer;
  }
  return null;
}

async function versionOf(path: string, signal: AbortSignal): Promise<Version | null> {
  const result = await exec([path, '--version'], { timeoutMs: VERSION_TIMEOUT_MS, signal });
  return succeeded(result) ? versionIn(result.stdout) : null;
}
