import { writeFile } from 'node:fs/promises';
import { UsageError } from './command.ts';

/** A new file for its owner's eyes; one that is there already is not touched. */
export async function writePrivately(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') throw new UsageError(`${path} is there already; name another file with --out`);
    throw new UsageError(`${path} cannot be written: ${code ?? String(error)}`);
  }
}
