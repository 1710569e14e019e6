import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A PostgreSQL of our own in a folder of its own, reached by a unix socket only. */
export type TestPostgres = {
  /** a new empty database */
  create(): Promise<{ url: string; drop(): Promise<void> }>;
  stop(): Promise<void>;
};

async function binaries(): Promise<string | null> {
  const base = '/usr/lib/postgresql';
  if (!existsSync(base)) return null;
  const versions = (await readdir(base)).toSorted((a, b) => Number(b) - Number(a));
  const [folder] = versions.map((version) => join(base, version, 'bin')).filter((bin) => existsSync(join(bin, 'initdb')));
  return folder ?? null;
}

/** Starts one, or says why it cannot. */
export async function startPostgres(): Promise<TestPostgres | { skipped: string }> {
  const bin = await binaries();
  if (bin === null) return { skipped: 'PostgreSQL is not installed: apt-get install postgresql' };
  // initdb refuses to run as root
  const as: { uid?: number; gid?: number } = {};
  if (process.getuid?.() === 0) {
    try {
      as.uid = Number((await run('id', ['-u', 'postgres'])).stdout);
      as.gid = Number((await run('id', ['-g', 'postgres'])).stdout);
    } catch {
      return { skipped: 'we are root and there is no user postgres' }; // `id` says so by its exit code
    }
  }
  // short: the path of a unix socket has at most 107 characters
  const folder = await mkdtemp('/tmp/ls-pg-');
  if (as.uid !== undefined && as.gid !== undefined) await chown(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const options = { ...as, cwd: folder };
  try {
    await run(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], options);
    const settings = `-c listen_addresses= -c unix_socket_directories=${folder} -c max_connections=60 -c fsync=off`;
    await run(join(bin, 'pg_ctl'), ['-D', data, '-w', '-t', '60', '-l', join(folder, 'log'), '-o', settings, 'start'], options);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  let count = 0;
  const tool = (name: string, ...args: string[]): Promise<unknown> =>
    run(join(bin, name), ['-h', folder, '-U', 'postgres', ...args], options);
  return {
    create: async () => {
      count += 1;
      const name = `linstock_${count}`;
      await tool('createdb', name);
      return {
        url: `postgres://postgres@localhost/${name}?host=${folder}`,
        drop: async () => void (await tool('dropdb', '--force', name)),
      };
    },
    stop: async () => {
      await run(join(bin, 'pg_ctl'), ['-D', data, '-w', '-m', 'immediate', 'stop'], options);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
