/**
 * Debian as a tree: mmdebstrap makes it, from the archive's own signed lists, into a tar archive. Same packages, same bytes: with
 * SOURCE_DATE_EPOCH mmdebstrap sorts, owns and dates everything, and what packages make up while they are set up is taken out here.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dpkgRecords } from '@linstock/core';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import type { ExecResult } from '../tools/exec.ts';
import { ensureFolder, isThere, listFolder, readTextIfThere, sha256 } from '../tools/files.ts';
import { canonicalJson } from './manifest.ts';
import { imageFault } from './refusal.ts';
import { bytesBelow } from './steps.ts';
import { removeMatches } from './tree/glob.ts';
import { withFixedDays } from './tree/accounts.ts';
import { TREE_TIME, fileNode } from './tree/tree.ts';
import type { Tree } from './tree/tree.ts';

/** Installed by default on Debian, and on Ubuntu by the package of the same name. The guest has it at the same place. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const MIRROR = 'http://deb.debian.org';
/** A desktop on a slow disk and a slow line: 300 MB and some thousand files. */
const BUILD_TIMEOUT_MS = 3_600_000;
const SIMULATE_TIMEOUT_MS = 300_000;
/** Suites that change daily have no security archive of their own. */
const WITHOUT_SECURITY = /^(sid|unstable|experimental)$/;

/** Manuals, other languages: nobody reads them in a guest that lives for an hour. Copyright files stay. */
const DPKG_OPTIONS = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
];
const APT_OPTIONS = ['APT::Install-Recommends "false"', 'Acquire::Languages "none"'];

export type DebianWish = { suite: string; packages: readonly string[] };

/** What decides a layer besides the versions that the archive gives. */
export function debianSpec(wish: DebianWish): string {
  return sha256(canonicalJson({ ...wish, sources: sourcesFor(wish.suite), dpkg: DPKG_OPTIONS, apt: APT_OPTIONS, time: TREE_TIME }));
}

export function sourcesFor(suite: string): string {
  const line = (path: string, name: string): string => `deb [signed-by=${KEYRING}] ${MIRROR}/${path} ${name} main\n`;
  if (WITHOUT_SECURITY.test(suite)) return line('debian', suite);
  return line('debian', suite) + line('debian', `${suite}-updates`) + line('debian-security', `${suite}-security`);
}

/** Pure. `simulate`: only say what would be installed. */
export function mmdebstrapArgv(wish: DebianWish, o: { sources: string; out: string; root: boolean; simulate: boolean }): string[] {
  return [
    'mmdebstrap',
    `--mode=${o.root ? 'root' : 'unshare'}`,
    '--variant=minbase',
    '--format=tar',
    '--architectures=amd64',
    ...(o.simulate ? ['--simulate', '--verbose'] : []),
    ...(wish.packages.length === 0 ? [] : [`--include=${wish.packages.join(',')}`]),
    ...APT_OPTIONS.map((option) => `--aptopt=${option}`),
    ...DPKG_OPTIONS.map((option) => `--dpkgopt=${option}`),
    wish.suite,
    o.out,
    o.sources,
  ];
}

/** What `apt-get --simulate` says it would install: `Inst NAME (VERSION …)`. Pure. */
export function parseSimulated(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^Inst (\S+)(?: \[\S+\])? \((\S+) /gm)].map(([, name, version]) => [name ?? '', version ?? '']),
  );
}

/** What is installed, by dpkg's own record. Pure. */
export function parseStatus(text: string): Record<string, string> {
  const installed = dpkgRecords(text).filter(({ status }) => status === 'install ok installed');
  return Object.fromEntries(installed.map(({ name, version }) => [name, version]));
}

/**
 * Whether the archive gives all that is installed as it is installed. A simulation names more: it resolves once what a build resolves in two steps
 * (lsb-base for trixie, which is not installed in the end). That other packages would be needed cannot be without a new version of one that is there. Pure.
 */
export function isStillGiven(installed: Readonly<Record<string, string>>, given: Readonly<Record<string, string>>): boolean {
  return Object.entries(installed).every(([name, version]) => given[name] === version);
}

/** The versions that the archive would give now. Asks the network. */
export async function askVersions(wish: DebianWish, scratch: string, signal: AbortSignal | undefined): Promise<Record<string, string>> {
  const result = await mmdebstrap(wish, { scratch, out: '/dev/null', simulate: true, timeoutMs: SIMULATE_TIMEOUT_MS, signal });
  return parseSimulated(result.stdout + result.stderr);
}

/** Makes the archive. */
export async function makeDebian(wish: DebianWish, out: string, scratch: string, signal: AbortSignal | undefined): Promise<void> {
  await mmdebstrap(wish, { scratch, out, simulate: false, timeoutMs: BUILD_TIMEOUT_MS, signal });
}

type Run = { scratch: string; out: string; simulate: boolean; timeoutMs: number; signal: AbortSignal | undefined };

async function mmdebstrap(wish: DebianWish, run: Run): Promise<ExecResult> {
  if (!(await isThere(KEYRING)))
    throw imageFault(`The keys of Debian's archive are not on this host (${KEYRING}): install the package debian-archive-keyring.`);
  const temporary = join(run.scratch, 'mmdebstrap');
  await ensureFolder(temporary);
  const sources = join(run.scratch, 'debian.list');
  await writeFile(sources, sourcesFor(wish.suite));
  const argv = mmdebstrapArgv(wish, { sources, out: run.out, root: process.getuid?.() === 0, simulate: run.simulate });
  const result = await exec(argv, {
    timeoutMs: run.timeoutMs,
    signal: run.signal,
    env: { SOURCE_DATE_EPOCH: String(TREE_TIME), TMPDIR: temporary, DEBIAN_FRONTEND: 'noninteractive' },
    maxOutputBytes: 8 * 1024 * 1024,
  });
  if (result.aborted) run.signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT')
    throw imageFault('mmdebstrap is not installed, which recipes from Debian are built with: install the package mmdebstrap.');
  if (succeeded(result)) return result;
  const hint = run.simulate
    ? ''
    : ' Look whether every package exists in that suite, and whether the archive can be reached; then try again.';
  throw imageFault(`Debian ${wish.suite} could not be built. ${describeFailure(result)}${hint}`);
}

/** How far mmdebstrap is, read from the tree under construction: first packages come, then they are set up. */
export async function howFarDebian(scratch: string): Promise<{ done: number; unit: string } | null> {
  const [name] = await listFolder(join(scratch, 'mmdebstrap'));
  if (name === undefined) return null;
  const tree = join(scratch, 'mmdebstrap', name);
  const status = (await readTextIfThere(join(tree, 'var/lib/dpkg/status'))) ?? '';
  const setUp = status.split('\nStatus: install ok installed\n').length - 1;
  return setUp > 0
    ? { done: setUp, unit: 'packages set up' }
    : { done: await bytesBelow(join(tree, 'var/cache/apt/archives')), unit: 'bytes' };
}

/** What packages made up while they were set up, what mmdebstrap took from the host, what they keep for nothing: it differs from build to build, or belongs to one machine. */
const MADE_UP = [
  'boot/*',
  'etc/.pwd.lock',
  'etc/group-',
  'etc/gshadow-',
  'etc/hostname',
  'etc/passwd-',
  'etc/resolv.conf',
  'etc/shadow-',
  'etc/ssh/ssh_host_*',
  'etc/subgid-',
  'etc/subuid-',
  'root/.cache',
  'run/*',
  'tmp/*',
  'var/cache/apt/*',
  'var/cache/debconf/*-old',
  'var/cache/ldconfig/*',
  'var/lib/apt/lists/*',
  'var/lib/dbus/machine-id',
  'var/lib/dpkg/*-old',
  'var/lib/systemd/random-seed',
  'var/log/*',
  'var/tmp/*',
];

export async function tidyDebian(tree: Tree): Promise<void> {
  for (const pattern of MADE_UP) removeMatches(tree, pattern);
  // apt and systemd expect these
  for (const folder of ['var/lib/apt/lists', 'var/lib/apt/lists/partial', 'var/cache/apt/archives/partial', 'var/log/apt'])
    tree.ensureFolder(folder);
  tree.ensureFolder('tmp', 0o1777);
  // empty: each VM makes its own. Not "uninitialized", which would have systemd set all units to their presets (machine-id(5), "First Boot Semantics").
  tree.put('etc/machine-id', fileNode('', 0o444));
  const shadow = await tree.text('etc/shadow');
  const before = tree.seen('etc/shadow');
  if (shadow !== undefined && before?.kind === 'file') tree.put('etc/shadow', { ...before, data: Buffer.from(withFixedDays(shadow)) });
}

/** Of a tree that is Debian; undefined for any other. */
export async function packagesOf(tree: Tree): Promise<Record<string, string> | undefined> {
  const text = await tree.text('var/lib/dpkg/status', 64 * 1024 * 1024);
  return text === undefined ? undefined : parseStatus(text);
}
