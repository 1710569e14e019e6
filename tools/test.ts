/**
 * The test command: `node tools/test.ts [--only fast|real|go]… [--all] [file filter…]`.
 * `--all` runs also what takes minutes and the network: the images `base` and `desktop`, built and booted.
 * Prints each file as it ends, each skip with its reason, and as the very last line `N passed, N failed, N skipped`.
 * Exit code 1 on any failure, and when nothing ran at all: a test run that tested nothing is no success.
 */
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { createVitest } from 'vitest/node';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { exec } from '../packages/host/tools/exec.ts';
import { prepareTestHost } from './test-host.ts';
import { readGoEvents } from './go-results.ts';
import type { Counts } from './go-results.ts';

const root = join(import.meta.dirname, '..');
const rings = ['fast', 'real', 'go'] as const;
type Ring = (typeof rings)[number];

/** A cold Go build cache on a slow machine takes minutes. */
const GO_TIMEOUT_MS = 900_000;

const total: Counts = { passed: 0, failed: 0, skipped: 0 };

function add(counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

function describeCounts(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}

/** Says each file when it ends. */
class PerFile implements Reporter {
  readonly #ring: Ring;
  constructor(ring: Ring) {
    this.#ring = ring;
  }

  onTestModuleEnd(module: TestModule): void {
    const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
    const lines: string[] = [];
    for (const one of module.children.allTests()) {
      const result = one.result();
      if (result.state === 'passed') counts.passed += 1;
      else if (result.state === 'failed') counts.failed += 1;
      else counts.skipped += 1;
      if (result.state === 'failed') lines.push(`  FAILED: ${one.fullName}`, ...result.errors.flatMap(explain));
      if (result.state === 'skipped' || result.state === 'pending') lines.push(`  skipped: ${one.fullName}${reasonOf(one)}`);
    }
    // A file that cannot be loaded, or a hook that failed: no test says so.
    const suiteErrors = [...module.errors(), ...[...module.children.allSuites()].flatMap((suite) => suite.errors())];
    for (const error of suiteErrors) {
      counts.failed += 1;
      lines.push(`  FAILED: ${relative(root, module.moduleId)}`, ...explain(error));
    }
    add(counts);
    const ms = Math.round(module.diagnostic().duration);
    console.log(
      `${counts.failed > 0 ? 'FAIL' : 'ok  '} ${this.#ring} ${relative(root, module.moduleId)}: ${describeCounts(counts)} (${ms} ms)`,
    );
    for (const line of lines) console.log(line);
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandled: readonly { message: string; stack?: string }[]): void {
    for (const error of unhandled) {
      add({ passed: 0, failed: 1, skipped: 0 });
      console.log(`FAIL ${this.#ring}: an error outside of any test`);
      for (const line of explain(error)) console.log(line);
    }
  }

  onUserConsoleLog(log: { content: string }): void {
    process.stdout.write(log.content);
  }
}

function reasonOf(one: TestCase): string {
  const result = one.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return note === undefined ? '' : `: ${note}`;
}

function explain(error: { message: string; diff?: string | undefined; stack?: string | undefined }): string[] {
  const where = (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s*at /.test(line) && !line.includes('node_modules'))
    .slice(0, 4);
  const text = [
    error.message,
    ...(error.diff === undefined ? [] : [error.diff]),
    ...where.map((line) => line.replaceAll(`${root}/`, '')),
  ].join('\n');
  return stripVTControlCharacters(text)
    .split('\n')
    .map((line) => `    ${line}`);
}

async function runVitest(ring: 'fast' | 'real', filters: readonly string[]): Promise<void> {
  // Node reads the configuration as it is; bundling it first would write into node_modules, which may belong to somebody else.
  // (vite takes `configLoader` here; the type that vitest names for it has left it out.)
  const vite = { root, configLoader: 'native' } as const;
  const vitest = await createVitest(
    'test',
    { root, project: [ring], watch: false, silent: 'passed-only', reporters: [new PerFile(ring)], passWithNoTests: true },
    vite,
  );
  try {
    await vitest.start([...filters]);
  } catch (error) {
    // A filter may fit files of one ring only; that nothing at all ran is judged at the end.
    if ((error as { code?: unknown }).code !== 'VITEST_FILES_NOT_FOUND') throw error;
  } finally {
    await vitest.close();
  }
}

async function runGo(name: string): Promise<void> {
  const cwd = join(root, name);
  if (!existsSync(join(cwd, 'go.mod'))) return;
  const skip = (why: string): void => {
    add({ passed: 0, failed: 0, skipped: 1 });
    console.log(`ok   go ${name}: not run\n  skipped: ${name}: ${why}`);
  };
  // Programs of guests need the standard library only: nothing is downloaded, also no other Go.
  const result = await exec(['go', 'test', '-json', './...'], {
    cwd,
    timeoutMs: GO_TIMEOUT_MS,
    maxOutputBytes: 64 * 1024 * 1024,
    env: { GOTOOLCHAIN: 'local', GOPROXY: 'off' },
  });
  if (result.spawnError === 'ENOENT') return skip('go is not installed');
  const seen = readGoEvents(result.stdout);
  const silent = result.code !== 0 && seen.failed === 0;
  add({ ...seen, failed: seen.failed + (silent ? 1 : 0) });
  console.log(`${result.code === 0 ? 'ok  ' : 'FAIL'} go ${name}: ${describeCounts(seen)} (${Math.round(result.ms)} ms)`);
  for (const line of seen.lines) console.log(line);
  if (result.code !== 0) console.log(result.stderr.trimEnd());
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { only: { type: 'string', multiple: true }, all: { type: 'boolean', default: false } },
  allowPositionals: true,
});
// for the tests themselves, which run in processes of their own; not one of our settings, which the controller would refuse
if (values.all) process.env['TEST_ALL'] = '1';
const unknown = (values.only ?? []).filter((name) => !rings.some((ring) => ring === name));
if (unknown.length > 0) {
  console.error(`There are no tests ${unknown.join(', ')}; there are: ${rings.join(', ')}.`);
  process.exit(2);
}
// A file filter means files of ours; Go has packages.
const wanted = (ring: Ring): boolean => values.only?.includes(ring) ?? (ring !== 'go' || positionals.length === 0);

// somebody who names files is at work on them, and knows the machine
if (positionals.length === 0 && wanted('real')) await prepareTestHost();
if (wanted('fast')) await runVitest('fast', positionals);
if (wanted('real')) await runVitest('real', positionals);
if (wanted('go')) for (const name of ['guest/agent', 'guest/init']) await runGo(name);

const ran = total.passed + total.failed > 0;
if (!ran) console.log('No test ran.');
console.log(describeCounts(total));
process.exit(total.failed > 0 || !ran ? 1 : 0);
