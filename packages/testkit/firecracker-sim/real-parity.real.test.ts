/**
 * The simulator against real binaries: LINSTOCK_FIRECRACKER names them, separated by colons, each of a release that is simulated. Every
 * difference is an error of the simulator, or a fact that is wrong.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runScript } from './run-script.ts';
import { differences, scriptsOf } from './scripts.ts';
import { isSimVersion, type SimVersion } from './versions.ts';

const named = (process.env['LINSTOCK_FIRECRACKER'] ?? '').split(':').filter((path) => path !== '');
const found = named.map((path) => ({ path, version: versionOf(path) }));

function versionOf(path: string): SimVersion | null {
  const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
  const version = /^Firecracker v(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? '';
  return isSimVersion(version) ? version : null;
}

function canKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // no KVM, or none for us
  }
}

describe.skipIf(found.length === 0)(`real binaries${found.length === 0 ? ' (skipped: LINSTOCK_FIRECRACKER names none)' : ''}`, () => {
  for (const { path, version } of found) {
    test.skipIf(version !== null)(`${path} is of a release that is simulated`, () => {
      expect(version).not.toBeNull();
    });
    if (version === null) continue;
    describe(`${version} at ${path}`, () => {
      test.each(scriptsOf(version, canKvm()).map((script) => [script.name, script] as const))('%s', async (_name, script) => {
        const theirs = await runScript(script, () => path);
        const ours = await runScript(script, (bench) => bench.simulator(version));
        expect(differences(ours, theirs)).toEqual([]);
      });
    });
  }
});
