/** A Firecracker configuration file, as a person names it: bounded, from a file, a pipe or standard input. */
import { createReadStream } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { UsageError, type OptionSpec } from './command.ts';
import type { LintFace } from './daemon-face.ts';

export type ConfigFile = {
  /** as it was called */
  name: string;
  bytes: Uint8Array;
  /** where its relative paths begin: its own folder; that of the caller for standard input */
  folder: string;
};

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder; name a file in it',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
};

/** Why a file cannot be read, in words. */
export function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return reasons[code] ?? `it cannot be read (${code})`;
}

/** `-` is standard input. One byte more than `most` is read, so that whoever judges it sees that there is more. */
export async function readConfigFile(file: string, most: number, signal: AbortSignal): Promise<ConfigFile> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(file, { ...(file === '-' ? { fd: 0 } : {}), signal })) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > most) break;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new UsageError(`${file}: ${unreadable(error)}`);
  }
  return {
    name: file,
    bytes: Buffer.concat(chunks).subarray(0, most + 1),
    folder: file === '-' ? process.cwd() : dirname(resolve(file)),
  };
}

export const firecrackerOption = {
  kind: 'text',
  flag: '--firecracker <version>',
  doc: 'the version that the file is for; the newest that is known when absent',
} as const satisfies OptionSpec;

/** Null when nobody said. */
export function firecrackerOf(text: string | undefined, lint: LintFace): ReturnType<LintFace['versionFrom']> {
  if (text === undefined) return null;
  const version = lint.versionFrom(text);
  if (version === null)
    throw new UsageError(
      `--firecracker ${text}: it is a version such as 1.9.1; known are 1.9.0 to ${lint.newestVersion().text}, and newer 1.x are taken for that`,
    );
  return version;
}

/** What the golden image of a file is called: the file twice is the same image. */
export function goldenNameOf(file: string): string {
  const stem = basename(file, extname(file))
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `imported-${stem === '' ? 'config' : stem}`.slice(0, 63).replace(/-+$/, '');
}
