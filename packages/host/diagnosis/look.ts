/** A look of a diagnosis: one command and what it printed. One that fails says why in its own place, and hides nothing else. */
import { readFile } from 'node:fs/promises';
import type { Page } from '@linstock/core';
import { exec, succeeded, type ExecResult } from '../tools/exec.ts';
import { errnoName } from '../tools/files.ts';

export type Look = {
  /** as a person would type it */
  shown: string;
  output: string;
  /** how it ended, when that says something */
  exit?: string;
};

/** Everything that one look may print, `bytes`. */
const mostBytes = 64 * 1024;

export type LookLimits = { signal: AbortSignal; timeoutMs: number };

/** `exit: 'always'` for tools whose exit code is the answer. */
export async function lookBy(argv: readonly string[], limits: LookLimits, o: { exit?: 'always'; shown?: string } = {}): Promise<Look> {
  const result = await exec(argv, { ...limits, maxOutputBytes: mostBytes });
  const shown = o.shown ?? argv.join(' ');
  const output = [cutHead(result), result.stderr].filter((part) => part.trim() !== '').join('\n');
  const why = whyNot(result);
  if (why !== null) return { shown, output, exit: why };
  return o.exit === 'always' || !succeeded(result) ? { shown, output, exit: `exit=${result.code}` } : { shown, output };
}

function cutHead(result: ExecResult): string {
  const { stdout, stdoutDroppedBytes } = result;
  return stdoutDroppedBytes === 0 ? stdout : `(${stdoutDroppedBytes} bytes before this are left out)\n${stdout}`;
}

/** The tool itself could not say anything; null when it could. */
function whyNot(result: ExecResult): string | null {
  if (result.spawnError === 'ENOENT') return `not looked: ${result.argv[0]} is not installed`;
  if (result.spawnError !== null) return `not looked: ${result.spawnError}`;
  if (result.timedOut) return `not looked to the end: it took longer than ${Math.round(result.ms)} ms`;
  return result.aborted ? 'not looked to the end: time was up' : null;
}

/** The beginning of a file of the kernel, or why it could not be read. */
export async function lookInto(path: string, shown = `cat ${path}`): Promise<Look> {
  try {
    return { shown, output: (await readFile(path, 'utf8')).slice(0, mostBytes) };
  } catch (error) {
    return { shown, output: `cat: ${path}: ${errnoName(error) ?? String(error)}` };
  }
}

export function add(page: Page, looks: readonly Look[]): void {
  for (const { shown, output, exit } of looks) page.look(shown, output, exit);
}
