import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { askableTable, noPartTable, proofTable, requirementTable, versionTable } from './testing/document.ts';

const page = readFileSync(new URL('../../../docs/kernels.md', import.meta.url), 'utf8');

test.each([
  ['what shows an option', proofTable()],
  ['which versions have an option', versionTable()],
  ['what is required', requirementTable()],
  ['what can be asked for', askableTable()],
  ['what plays no part', noPartTable()],
])('docs/kernels.md says what the code says: %s', (_what, table) => {
  // `node packages/core/kernel/testing/document.ts` prints the tables
  expect(`${page}\n`).toContain(`\n\n${table}\n\n`);
});
