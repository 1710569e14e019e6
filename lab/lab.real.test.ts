/** Scenarios on real guests: a few in the default test command, all of them with `--all`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exec } from '@linstock/host';
import type { Result } from './run.ts';
import { notYet } from './not-yet.ts';
import { scenarios } from './scenarios.ts';

const all = process.env['TEST_ALL'] === '1';
const toolMs = 20_000;

async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'bridges and namespaces need root';
  for (const program of ['qemu-system-x86_64', 'qemu-img', 'nsenter', 'nft', 'arping', 'ping'])
    if ((await exec([program, '--version'], { timeoutMs: toolMs })).spawnError !== null) return `${program} is not installed`;
  return null;
}

const reason = await whyNot();
if (reason !== null) console.log(`skipped: the lab: ${reason}`);

const wanted = scenarios.filter((s) => all || s.fast);

test.skipIf(reason !== null)(
  all ? 'every scenario of the lab' : 'the fast scenarios of the lab',
  async () => {
    const results = await run(all ? [] : ['--fast']);
    expect(results.map((r) => r.scenario)).toEqual(wanted.map((s) => s.name));
    // a debt is a debt on a real guest, too, and may be paid there by chance
    const bad = results.filter(
      (r) => r.is === 'broke' || (r.is === 'ran' && r.verdict.is !== 'right' && notYet[r.scenario] !== r.verdict.is),
    );
    expect(bad.map((r) => ({ scenario: r.scenario, ...('verdict' in r ? r.verdict : { why: r.why }) }))).toEqual([]);
    for (const r of results) if (r.is === 'skipped') console.log(`  skipped: ${r.scenario}: ${r.why}`);
  },
  all ? 3_600_000 : 300_000,
);

function run(argv: readonly string[]): Promise<Result[]> {
  return new Promise((done, failed) => {
    const order = [join(import.meta.dirname, 'main.ts'), '--json', ...argv];
    execFile(process.execPath, order, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (stdout === '') failed(error ?? new Error(stderr));
      else done(JSON.parse(stdout) as Result[]);
    });
  });
}
