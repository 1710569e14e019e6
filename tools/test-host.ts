/**
 * What the tests need of a machine, installed when we may: real guests, namespaces and PostgreSQL are not optional where they install. Where we
 * may not, the tests that need them skip, each with its reason.
 */
import { accessSync, constants, globSync } from 'node:fs';
import { join } from 'node:path';
import { lookAtHost, missingPackages } from '@linstock/cli';
import { describeFailure, exec, isStaticElf, succeeded } from '@linstock/host';

/** Beyond what the product itself uses. */
const testPackages: readonly { package: string; there: () => boolean; reason: string }[] = [
  {
    package: 'postgresql',
    there: () => globSync('/usr/lib/postgresql/*/bin/initdb').length > 0,
    reason: 'is the other database of the store',
  },
  { package: 'python3', there: () => has('python3'), reason: 'sends hand-made frames in the network tests' },
  { package: 'bubblewrap', there: () => has('bwrap'), reason: 'is the sandbox of the commands of recipes' },
  { package: 'umoci', there: () => has('umoci'), reason: 'makes container images, as another tool than ours' },
  { package: 'mmdebstrap', there: () => has('mmdebstrap'), reason: 'makes Debian for the images base and desktop' },
];

const folders = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/sbin');
const APT_TIMEOUT_MS = 1_800_000;
const HEARTBEAT_MS = 2_000;

function has(tool: string): boolean {
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}

/** Names each package before it is installed. Never throws: what could not be had shows in the tests that skip. */
export async function prepareTestHost(): Promise<void> {
  const root = process.getuid?.() === 0;
  const missing = [
    ...missingPackages(await lookAtHost(folders, root, isStaticElf)).map(({ package: name, reason }) => ({ name, reason })),
    ...testPackages.filter((one) => !one.there()).map(({ package: name, reason }) => ({ name, reason })),
  ];
  if (missing.length === 0) return;
  for (const { name, reason } of missing) console.log(`missing on this machine: ${name}, which ${reason}`);
  if (!root || !has('apt-get')) return console.log('they cannot be installed from here; the tests that need them skip');
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', '-q', ...missing.map((one) => one.name)];
  // a package list that is absent or old is the usual reason for a first failure
  if (!(await apt(install)) && (await apt(['apt-get', 'update', '-q']))) await apt(install);
}

async function apt(argv: readonly string[]): Promise<boolean> {
  const began = performance.now();
  const beat = setInterval(() => console.log(`${argv[1]}: ${Math.round((performance.now() - began) / 1_000)} s`), HEARTBEAT_MS);
  try {
    const result = await exec(argv, { timeoutMs: APT_TIMEOUT_MS, env: { DEBIAN_FRONTEND: 'noninteractive' } });
    if (!succeeded(result)) console.log(describeFailure(result));
    return succeeded(result);
  } finally {
    clearInterval(beat);
  }
}
