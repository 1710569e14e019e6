/** Programs of ours that run in guests: compiled here with the Go of the distribution, or brought finished. Equal sources and an equal compiler give equal bytes. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFailure, exec, succeeded } from '../tools/exec.ts';
import { ensureFolder, isThere, sha256 } from '../tools/files.ts';
import { canonicalJson } from './manifest.ts';
import { refusal } from './refusal.ts';
import type { ImageRefusal } from './refusal.ts';

/** A folder of Go sources, or a finished program. `cache`: where Go keeps what it compiled before. */
export type ProgramSource = { source: string; cache?: string } | { binary: string };

/** A program uses the standard library only, but the first build of that takes a minute on one slow core. */
const GO_TIMEOUT_MS = 600_000;

/** What identifies a program: its sources (tests left out), or its bytes. */
export async function programIdentity(from: ProgramSource): Promise<string> {
  if ('binary' in from) return `binary:${sha256(await readFile(from.binary))}`;
  const names = (await readdir(from.source, { recursive: true }))
    .filter((name) => /(\.go|(^|\/)go\.(mod|sum))$/.test(name) && !name.endsWith('_test.go'))
    .toSorted();
  const files = await Promise.all(names.map(async (name) => [name, sha256(await readFile(join(from.source, name)))]));
  return `source:${sha256(canonicalJson(files))}`;
}

export async function missingProgram(what: string, from: ProgramSource): Promise<ImageRefusal | undefined> {
  const path = 'binary' in from ? from.binary : join(from.source, 'go.mod');
  return (await isThere(path))
    ? undefined
    : refusal('file-not-found', `The ${what} is not there: no file ${path}. Give another place, or build the image without it.`);
}

/** The program's bytes; `folder` belongs to this call. */
export async function buildProgram(
  what: string,
  from: ProgramSource,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<{ ok: true; program: Buffer } | ImageRefusal> {
  if ('binary' in from) return { ok: true, program: await readFile(from.binary) };
  await ensureFolder(folder);
  const out = join(folder, 'program');
  // Flags that leave paths, version control and build id out.
  const result = await exec(['go', 'build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid=', '-o', out, '.'], {
    cwd: from.source,
    timeoutMs: GO_TIMEOUT_MS,
    env: {
      // what Go keeps for itself goes with the scratch folder, and not into the home of whoever called
      GOCACHE: from.cache ?? join(folder, 'go-cache'),
      GOPATH: join(folder, 'go-path'),
      XDG_CONFIG_HOME: join(folder, 'go-config'),
      CGO_ENABLED: '0',
      GOOS: 'linux',
      GOARCH: 'amd64',
      GOFLAGS: '',
      GOTOOLCHAIN: 'local',
    },
    signal,
  });
  if (result.aborted) signal?.throwIfAborted();
  if (result.spawnError === 'ENOENT')
    return refusal(
      'tool-missing',
      `Go is not installed, which the ${what} is built with: install golang-go, or build the image without it.`,
    );
  return succeeded(result)
    ? { ok: true, program: await readFile(out) }
    : refusal('tool-failed', `The ${what} does not build: ${describeFailure(result)}`);
}
