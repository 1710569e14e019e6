import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A process of store-writer.ts. Its lines must be read, or it stands still. */
export type StoreProcess = {
  lines: AsyncIterable<string>;
  /** as a power cut would: no signal handler, no flush */
  kill(): void;
  ended: Promise<unknown>;
};

export function startWriter(url: string, seed: number): StoreProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'store-writer.ts'), url, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { lines: createInterface({ input: child.stdout }), kill: () => void child.kill('SIGKILL'), ended: once(child, 'close') };
}
