import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The clone this process runs from. */
export const clone = join(import.meta.dirname, '..', '..');

/** Version of the release, from the workspace's package.json. */
export async function readVersion(): Promise<string> {
  const text = await readFile(join(clone, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Commit of the clone, read from git's own files; null outside a git checkout. */
export async function readCommit(): Promise<string | null> {
  try {
    const head = (await readFile(join(clone, '.git', 'HEAD'), 'utf8')).trim();
    const ref = /^ref: (refs\/[\w./-]+)$/.exec(head)?.[1];
    return ref === undefined ? head : (await readFile(join(clone, '.git', ref), 'utf8')).trim();
  } catch {
    return null; // a packed ref or a tarball without git: the digest of the sources says more anyway
  }
}

/**
 * Digests the sources under packages/. The process keeps the one it started with; comparing it with the disk tells
 * a controller that is older than the change somebody thinks they are testing. Contents are read again only when
 * size or time of a file changed.
 */
export class SourceDigest {
  readonly #known = new Map<string, { stamp: string; digest: string }>();

  async read(): Promise<string> {
    const root = join(clone, 'packages');
    const files = (await readdir(root, { recursive: true }))
      .filter((f) => /\.(ts|json)$/.test(f) && !f.includes('node_modules') && !f.endsWith('.test.ts'))
      .toSorted();
    const whole = createHash('sha256');
    for (const file of files) whole.update(`${file} ${await this.#digestOf(join(root, file))}\n`);
    return whole.digest('hex').slice(0, 16);
  }

  async #digestOf(path: string): Promise<string> {
    const { size, mtimeMs } = await stat(path);
    const stamp = `${size} ${mtimeMs}`;
    const known = this.#known.get(path);
    if (known?.stamp === stamp) return known.digest;
    const digest = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    this.#known.set(path, { stamp, digest });
    return digest;
  }
}
