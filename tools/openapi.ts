/** Writes docs/openapi.json from the contract; with `--check` says whether the committed one is up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openApi } from '@linstock/contract';

const root = join(import.meta.dirname, '..');
const path = join(root, 'docs', 'openapi.json');
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
const wanted = `${JSON.stringify(openApi(version), null, 1)}\n`;

if (!process.argv.includes('--check')) await writeFile(path, wanted);
else if ((await readFile(path, 'utf8').catch(() => '')) !== wanted) {
  console.error('docs/openapi.json is not what the contract says; run `node tools/openapi.ts` and commit it.');
  process.exitCode = 1;
}
