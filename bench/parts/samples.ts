/** Raw samples, committed with what they were taken on: a number without its machine and its load says nothing. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export type Context = {
  date: string;
  kernel: string;
  cpu: string;
  cores: number;
  memoryMiB: number;
  node: string;
  qemu: string;
  commit: string;
  /** 1, 5 and 15 minutes, before and after */
  loadBefore: readonly number[];
  loadAfter: readonly number[];
};
export type Samples<T> = { bench: string; what: string; context: Context; raw: T };

const folder = join(import.meta.dirname, '..', 'samples');
const say = (argv: readonly [string, ...string[]]): string => {
  try {
    return execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', cwd: import.meta.dirname }).split('\n')[0] ?? '';
  } catch {
    return 'unknown'; // the tool is not there: the samples count all the same
  }
};

export async function taken<T>(bench: string, what: string, take: () => Promise<T>): Promise<Samples<T>> {
  const loadBefore = loadavg();
  const raw = await take();
  const dirty = say(['git', 'status', '--porcelain', '--', '../packages']) === '' ? '' : ' with changes';
  const context: Context = {
    date: new Date().toISOString(),
    kernel: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.floor(totalmem() / 1_048_576),
    node: process.version,
    qemu: say(['qemu-system-x86_64', '--version']),
    commit: `${say(['git', 'rev-parse', '--short', 'HEAD'])}${dirty}`,
    loadBefore,
    loadAfter: loadavg(),
  };
  const samples = { bench, what, context, raw };
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, `${bench}.json`),
    `${JSON.stringify(samples, rounded, 1).replaceAll(/\n\s+(-?\d+(?:\.\d+)?,?)(?=\n)/g, ' $1')}\n`,
  );
  return samples;
}

/** A microsecond is finer than anything here is known. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Math.round(value * 1_000) / 1_000 : value;
}

export function readSamples<T>(bench: string): Samples<T> | null {
  try {
    return JSON.parse(readFileSync(join(folder, `${bench}.json`), 'utf8')) as Samples<T>;
  } catch {
    return null; // not measured yet
  }
}

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
