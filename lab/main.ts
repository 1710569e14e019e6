/**
 * `linstock lab run [SCENARIO…] [--fast] [--list] [--json] [--keep DIR]`: breaks one thing at a time on real guests, and says whether the diagnosis
 * finds it. Exit code 1 when one was wrong or broke. Needs root, QEMU and iproute2.
 *
 * Started once by a person, it makes a network namespace that plays the machine and starts itself in there; so nothing of the host's own network is
 * ever touched. All that it makes bears its mark, and is removed whatever happens.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { purge } from '@linstock/daemon';
import { Paths } from '@linstock/host';
import { runScenarios, type Result } from './run.ts';
import { scenarios } from './scenarios.ts';
import type { Scenario } from './scenario.ts';
import { dropSurroundings, makeSurroundings, openWorld, prepareCache } from './world.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    list: { type: 'boolean', default: false },
    fast: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    keep: { type: 'string' },
    help: { type: 'boolean', default: false },
    /** the state folder: said by the first process to the second */
    inside: { type: 'string' },
  },
  allowPositionals: true,
});

const usage = `linstock lab run [SCENARIO…]

Breaks one thing at a time on real guests, and says whether the diagnosis finds it. Needs root and QEMU.

  --list        names every scenario, its true cause and what it breaks
  --fast        only those of the default test command
  --json        what each came to, as one JSON document on standard output
  --keep DIR    writes the evidence of each as DIR/SCENARIO.json
`;

function chosen(): readonly Scenario[] {
  const unknown = positionals.filter((name) => !scenarios.some((s) => s.name === name));
  if (unknown.length > 0) {
    console.error(`There is no scenario ${unknown.join(', ')}; \`linstock lab run --list\` names all.`);
    process.exit(2);
  }
  const named = scenarios.filter((s) => positionals.length === 0 || positionals.includes(s.name));
  return values.fast ? named.filter((s) => s.fast) : named;
}

function say(result: Result): void {
  const words = result.is === 'ran' ? result.verdict.is : result.is;
  const why = result.is === 'ran' ? ('why' in result.verdict ? result.verdict.why : '') : result.why;
  console.error(
    `${words.padEnd(11)} ${result.scenario.padEnd(38)} ${String(result.seconds).padStart(6)} s  ${result.truth.code ?? 'ok'}${why === '' ? '' : `\n            ${why}`}`,
  );
}

function isGood(result: Result): boolean {
  return result.is === 'skipped' || (result.is === 'ran' && result.verdict.is === 'right');
}

async function inside(stateFolder: string): Promise<number> {
  const { mark } = JSON.parse(await readFile(new Paths(stateFolder).installation, 'utf8')) as { mark: string };
  const world = await openWorld(stateFolder, mark);
  try {
    const results = await runScenarios({
      world,
      scenarios: chosen(),
      kernels: process.env['LINSTOCK_TEST_KERNELS'] ?? null,
      keep: values.keep === undefined ? null : resolve(values.keep),
      told: say,
    });
    if (values.json) console.log(JSON.stringify(results, null, 1));
    const counts = Map.groupBy(results, (r) => (r.is === 'ran' ? r.verdict.is : r.is));
    console.error([...counts].map(([what, some]) => `${some.length} ${what}`).join(', '));
    return results.every(isGood) ? 0 : 1;
  } finally {
    await world.close();
  }
}

/** Of a lab whose first process is gone: it had no time to clean up. */
async function dropLeftovers(): Promise<void> {
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const pid = /^lab-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await dropSurroundings(name);
  }
}

async function outside(): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error('The lab makes network namespaces, bridges and TAPs: it needs root.');
    return 2;
  }
  await prepareCache();
  await dropLeftovers();
  const machine = `lab-${process.pid}`;
  const stateFolder = await mkdtemp(join(tmpdir(), 'linstock-lab-'));
  const over = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort());
  try {
    const id = randomBytes(16).toString('hex');
    await writeFile(new Paths(stateFolder).installation, JSON.stringify({ id, mark: id.slice(0, 4), createdAt: Date.now() }));
    await makeSurroundings(machine, over.signal);
    return await new Promise<number>((done, failed) => {
      const argv = [
        `--net=/run/netns/${machine}`,
        process.execPath,
        import.meta.filename,
        '--inside',
        stateFolder,
        ...process.argv.slice(2),
      ];
      const child = spawn('nsenter', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
      over.signal.addEventListener('abort', () => child.kill('SIGTERM'));
      child.on('error', failed);
      child.on('exit', (code) => done(code ?? 1));
    });
  } finally {
    over.abort();
    await purge({ stateFolder, signal: AbortSignal.timeout(60_000), progress: () => {} });
    await dropSurroundings(machine);
    await rm(stateFolder, { recursive: true, force: true });
  }
}

if (values.help) console.log(usage);
else if (values.list) {
  const rows = scenarios.map(({ name, breaks, truth, fast, needs }) => ({
    name,
    breaks,
    truth,
    fast: fast === true,
    needs: needs ?? null,
  }));
  if (values.json) console.log(JSON.stringify(rows, null, 1));
  else
    for (const { name, breaks, truth, fast, needs } of rows)
      console.log(
        `${name.padEnd(38)} ${(truth.code ?? 'ok').padEnd(46)} ${fast ? 'fast ' : needs === null ? '     ' : 'opt-in '}${breaks}`,
      );
} else process.exitCode = values.inside === undefined ? await outside() : await inside(values.inside);
