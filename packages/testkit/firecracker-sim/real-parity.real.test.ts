/**
 * The simulator against real binaries: LINSTOCK_FIRECRACKER names them, separated by colons, each of a release that is simulated. Every
 * difference is an error of the simulator, or a fact that is wrong.
 */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { idleGuest } from '@linstock/host';
import { whyNoGuest } from './guest-probe.ts';
import { randomCalls } from './random-requests.ts';
import type { Bench } from './run.ts';
import { runScript } from './run-script.ts';
import { differences, scriptsOf, startOf, type Script } from './scripts.ts';
import { isSimVersion, type SimVersion } from './versions.ts';
import { outcomeOf, wholeRunsOf } from './whole-runs.ts';

const named = (process.env['LINSTOCK_FIRECRACKER'] ?? '').split(':').filter((path) => path !== '');
const found = named.map((path) => ({ path, version: versionOf(path) }));

function versionOf(path: string): SimVersion | null {
  const text = execFileSync(path, ['--version'], { encoding: 'utf8' });
  const version = /^Firecracker v(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? '';
  return isSimVersion(version) ? version : null;
}

/** Each request takes a millisecond; a whole comparison is to take seconds. */
const random = { numRuns: 12, endOnFailure: true };

describe.skipIf(found.length === 0)(`real binaries${found.length === 0 ? ' (skipped: LINSTOCK_FIRECRACKER names none)' : ''}`, () => {
  for (const { path, version } of found) {
    test.skipIf(version !== null)(`${path} is of a release that is simulated`, () => {
      expect(version).not.toBeNull();
    });
    if (version === null) continue;
    const noGuest = whyNoGuest(path);
    const compared = async (script: Script, sim: (bench: Bench) => string = (bench) => bench.simulator(version)): Promise<string[]> => {
      const [theirs, ours] = await Promise.all([runScript(script, () => path, { alone: true }), runScript(script, sim, { alone: true })]);
      return differences(ours, theirs);
    };

    describe(`${version} at ${path}`, () => {
      test.each(scriptsOf(version, noGuest === false).map((script) => [script.name, script] as const))('%s', async (_name, script) => {
        expect(await compared(script)).toEqual([]);
      });

      test('requests at random before the start', async () => {
        await fc.assert(
          fc.asyncProperty(randomCalls(version, false), async (calls) => {
            expect(await compared({ name: 'random', files: { log: '' }, steps: calls.map((call) => ['ok', call] as const) })).toEqual([]);
          }),
          random,
        );
      });

      test.skipIf(noGuest !== false)(`requests at random after it${noGuest === false ? '' : ` (skipped: ${noGuest})`}`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.subarray(startOf(version).devices), randomCalls(version, true), async (devices, calls) => {
            const steps = [...devices, ...startOf(version).start, ...calls].map((call) => ['ok', call] as const);
            const script = { name: 'random', files: { guest: idleGuest() }, steps };
            // the guest of ten instructions has no drivers; the simulated one must not come as far as having them
            expect(await compared(script, (bench) => bench.simulator(version, 'guest-hangs'))).toEqual([]);
          }),
          random,
        );
      });

      test.each(wholeRunsOf(version, noGuest === false).map((run) => [run.name, run] as const))('run: %s', async (_name, run) => {
        const theirs = await outcomeOf(run, idleGuest(), () => path);
        expect(await outcomeOf(run, idleGuest(), (bench) => bench.simulator(version))).toEqual(theirs);
      });
    });
  }
});
