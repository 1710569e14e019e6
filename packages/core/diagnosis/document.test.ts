import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { causeTable } from './testing/document.ts';

test('docs/causes.md says what the catalogue says', () => {
  const page = readFileSync(new URL('../../../docs/causes.md', import.meta.url), 'utf8');
  expect(`${page}\n`).toContain(`\n\n${causeTable()}\n`);
});
