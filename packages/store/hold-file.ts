import { DatabaseSync } from 'node:sqlite';

/**
 * An exclusive lock on a file, or null when another process holds it. SQLite's own file lock does it (fcntl, released by
 * the kernel when the process ends), since Node has no flock.
 */
export function holdFile(path: string): { release(): Promise<void> } | null {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma busy_timeout = 0; pragma locking_mode = exclusive; begin exclusive');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === 5 /* SQLITE_BUSY */) return null;
    throw error;
  }
  return {
    release: async () => database.close(),
  };
}
