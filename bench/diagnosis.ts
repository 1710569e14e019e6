/**
 * Reading a console to its cause: `Condenser` and `diagnose` over a file in the page cache, against `grep -c` for one fixed text (what people do
 * instead, and close to what memory can do), A-B-A-B. The console is a real one, then 256 MB of chatter of user space with a panic in the
 * middle; the peak of memory is that of a process of its own over 2 GB of it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { condenser, diagnose } from '@linstock/daemon/diagnose';
import { note, taken } from './parts/samples.ts';

export type DiagnosisPair = { diagnose: number; grep: number };
export type DiagnosisBench = {
  bytes: number;
  first: string;
  pairs: readonly DiagnosisPair[];
  large: { bytes: number; peakRssKiB: number; ms: number };
};

const clone = resolve(import.meta.dirname, '..');
const pairs = 12;
const MB = 1_000_000;

function writeConsole(file: string, bytes: number): void {
  const out = openSync(file, 'w');
  const begin = readFileSync(join(clone, 'test/cases/lab-00-healthy-tiny/console.log'), 'utf8');
  writeSync(out, begin.endsWith('\n') ? begin : `${begin}\n`);
  let chatter = '';
  for (let i = 0; chatter.length < 4 * MB; i++)
    chatter += `app[${300 + (i % 97)}]: request ${i} GET /v1/things/${i * 7919} 200 in ${i % 413} ms, cache hit, worker ${i % 8}\n`;
  for (let written = 0; written < bytes; written += chatter.length) {
    if (written <= bytes / 2 && written + chatter.length > bytes / 2)
      writeSync(out, '[ 4711.000000] Kernel panic - not syncing: Fatal exception\n');
    writeSync(out, chatter);
  }
  closeSync(out);
}

export async function once(file: string): Promise<{ ms: number; first: string }> {
  const began = performance.now();
  const taken = condenser();
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 18 })) taken.feed(piece as Uint8Array);
  const diagnosis = diagnose([taken.document('console', 'console')]);
  return { ms: performance.now() - began, first: diagnosis.causes[0]?.code ?? diagnosis.outcome };
}

export async function diagnosisBench(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'linstock-bench-'));
  try {
    const file = join(folder, 'console.log');
    writeConsole(file, 256 * MB);
    const grep = (): number => {
      const began = performance.now();
      spawnSync('grep', ['-c', 'Kernel panic', file]);
      return performance.now() - began;
    };
    await once(file);
    grep();
    await taken('diagnosis', 'a console of 256 MB to its cause, against grep -c', async (): Promise<DiagnosisBench> => {
      const measured: DiagnosisPair[] = [];
      let first = '';
      for (let i = 0; i < pairs; i += 1) {
        const run = await once(file);
        first = run.first;
        measured.push({ diagnose: run.ms, grep: grep() });
        if (i % 4 === 0) note(`  pair ${i + 1} of ${pairs}: ${JSON.stringify(measured.at(-1))}`);
      }
      const large = join(folder, 'large.log');
      writeConsole(large, 2_000 * MB);
      const program = `const began = performance.now(); const { once } = await import(${JSON.stringify(import.meta.filename)}); await once(process.argv[1]); console.log(JSON.stringify({ peakRssKiB: process.resourceUsage().maxRSS, ms: performance.now() - began }));`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', program, large], { encoding: 'utf8' });
      const { peakRssKiB, ms } = JSON.parse(child.stdout) as { peakRssKiB: number; ms: number };
      return { bytes: statSync(file).size, first, pairs: measured, large: { bytes: statSync(large).size, peakRssKiB, ms } };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
