/** How a test gets a `firecracker` and a `jailer`: files that can be given wherever the path of the real one is. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fates, type Fate } from './fates.ts';
import type { SimVersion } from './versions.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

export type SimulatorOptions = {
  fates?: readonly Fate[];
  /** what the guest serves: vsock port → `echo`, or the path of a unix socket of the test */
  vsock?: Readonly<Record<number, string>>;
  /** the name of the file; a jailer up to 1.12 wants `firecracker` in it */
  name?: string;
};

/** Writes an executable file into the folder, which must be there, and gives its path. */
export function simulatorAt(folder: string, version: SimVersion, fate: Fate | SimulatorOptions = {}): string {
  const options = typeof fate === 'string' ? { fates: [fate] } : fate;
  const { fates = [], vsock = {}, name = 'firecracker' } = options;
  void new Fates(fates); // a misspelt fate is said here, not by a process that nobody listens to
  const words = [
    '--sim-version',
    version,
    ...fates.flatMap((one) => ['--sim-fate', one]),
    ...Object.entries(vsock).flatMap(([port, served]) => ['--sim-vsock', `${port}=${served}`]),
  ];
  return wrapper(join(folder, name), words);
}

/** The jailer of the same version. It runs what `--exec-file` names, which must be a file of `simulatorAt`. */
export function jailerAt(folder: string, version: SimVersion, name = 'jailer'): string {
  return wrapper(join(folder, name), ['--sim-program', 'jailer', '--sim-version', version]);
}

/** `exec`, so that the process that was started is the one that runs: same pid, its exit status is the program's. */
function wrapper(path: string, words: readonly string[]): string {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', program, ...words].map(quoted).join(' ');
  writeFileSync(path, `#!/bin/sh\nexec ${node} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
