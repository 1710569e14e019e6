import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from '../command.ts';

export async function versionOf(clone: string): Promise<string> {
  const parsed: unknown = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '?';
}

export const version = command({
  path: ['version'],
  summary: 'Print the version of this program, without asking a controller',
  args: {},
  options: {},
  async run(_, tools) {
    const own = await versionOf(tools.environment.clone);
    await tools.out.answer({ version: own, node: process.versions.node }, () => [`linstock ${own} (node ${process.versions.node})`]);
  },
});
