import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { anySignal, faults, FaultError } from '@linstock/contract';
import { Paths, startDetached } from '@linstock/host';
import { clone } from './build-info.ts';
import { clock } from './clock.ts';
import { askToEnd, readServing, type Serving } from './lock.ts';

/** A controller starts in half a second; making its bridge and reading its sources may take longer on a busy machine. */
const startMs = 30_000;

/** How a controller begins to say that another one has the folder. */
const takenWords = faults['daemon-already-running'].say.split('{')[0] ?? '';

/** The controller that serves a folder, if one answers. */
export async function findRunning(stateFolder: string, signal: AbortSignal): Promise<Serving | null> {
  const serving = await readServing(new Paths(stateFolder));
  return serving && (await answers(serving, stateFolder, signal)) ? serving : null;
}

async function answers(serving: Serving, stateFolder: string, signal: AbortSignal): Promise<boolean> {
  try {
    const reply = await fetch(`${serving.url}/v1/health`, { signal: anySignal([signal, AbortSignal.timeout(3_000)]) });
    return reply.ok && ((await reply.json()) as { stateFolder?: string }).stateFolder === stateFolder;
  } catch {
    return false; // nobody listens there: the file is what a killed controller left
  }
}

/** Starts the controller detached and waits until its health answers; one that runs is kept. */
export async function startInBackground(options: {
  stateFolder: string;
  port: number;
  environment: Record<string, string | undefined>;
  signal: AbortSignal;
}): Promise<{ url: string; pid: number; already: boolean }> {
  const { stateFolder, signal } = options;
  const running = await findRunning(stateFolder, signal);
  if (running) return { url: running.url, pid: running.pid, already: true };
  const errors = join(stateFolder, 'controller.err');
  await rm(errors, { force: true }); // the last words of an earlier one would be taken for those of this one
  const env = Object.fromEntries(
    Object.entries(options.environment).filter(([key, value]) => value !== undefined && /^(LINSTOCK_|PATH$|HOME$|LANG$|TMPDIR$)/.test(key)),
  ) as Record<string, string>;
  const argv = [
    process.execPath,
    join(clone, 'packages/cli/main.ts'),
    'serve',
    '--port',
    String(options.port),
    '--errors-to',
    errors,
  ] as const;
  // its standard output stays open as long as it lives: what ends the wait is that its health answers
  const serving = new AbortController();
  const whole = anySignal([signal, serving.signal]);
  const start = startDetached(argv as unknown as [string, ...string[]], {
    env: { ...env, LINSTOCK_STATE: stateFolder },
    timeoutMs: startMs,
    signal: whole,
  });
  let left = start.then((how) => (how.is === 'late' ? null : how));
  let anothers = false;
  const until = clock.now() + startMs;
  try {
    while (!signal.aborted && clock.now() < until) {
      const found = await findRunning(stateFolder, signal);
      if (found) return { url: found.url, pid: found.pid, already: anothers };
      const gone = await Promise.race([left, clock.sleep(50, signal).then(() => null)]);
      if (gone?.is === 'missing') throw new FaultError('daemon-unreachable', { url: stateFolder, hint: gone.errno });
      if (gone?.is === 'closed') {
        const words = (await lastWords(errors)) ?? 'it ended without a word';
        if (!words.startsWith(takenWords)) throw new FaultError('daemon-unreachable', { url: stateFolder, hint: words });
        anothers = true; // somebody else has started one at the same time, which is about to answer
        left = new Promise(() => {});
      }
    }
  } finally {
    serving.abort();
  }
  // nobody waits for it any more: a controller that came up a moment later would be one that nobody knows of
  if (!anothers) await askToEnd(new Paths(stateFolder));
  signal.throwIfAborted();
  throw new FaultError('daemon-unreachable', {
    url: stateFolder,
    hint: (await lastWords(errors)) ?? `it did not answer; ${join(stateFolder, 'controller.log')} may say why`,
  });
}

async function lastWords(path: string): Promise<string | null> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return text === '' ? null : (text.split('\n').at(-1) ?? null);
  } catch {
    return null; // it has not failed: no words
  }
}
