/** The one file that tells clients where the controller of a state folder listens. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultError } from '@linstock/contract';

export type Serving = { url: string; pid: number; token: string | null; startedAt: number };

export async function readServing(stateFolder: string): Promise<Serving> {
  const path = join(stateFolder, 'serving.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    const hint =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'none has been started there'
        : code === 'EACCES'
          ? 'this user may not read serving.json'
          : `serving.json cannot be read (${code})`;
    throw new FaultError('daemon-unreachable', { url: stateFolder, hint }, { cause: error });
  }
  const serving = parsed(text);
  if (serving === null)
    throw new FaultError('daemon-unreachable', { url: stateFolder, hint: 'serving.json is not what a controller writes' });
  return serving;
}

function parsed(text: string): Serving | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string' || !URL.canParse(value.url))
      return null;
    return {
      url: value.url,
      pid: 'pid' in value && typeof value.pid === 'number' ? value.pid : 0,
      token: 'token' in value && typeof value.token === 'string' ? value.token : null,
      startedAt: 'startedAt' in value && typeof value.startedAt === 'number' ? value.startedAt : 0,
    };
  } catch {
    return null; // the caller says what it means
  }
}
