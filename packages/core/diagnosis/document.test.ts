import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { catalogue } from './catalogue.ts';
import { causeTable } from './testing/document.ts';

test('docs/causes.md says what the catalogue says', () => {
  const page = readFileSync(new URL('../../../docs/causes.md', import.meta.url), 'utf8');
  expect(`${page}\n`).toContain(`\n\n${causeTable()}\n`);
});

test('each cause of the catalogue is named by a rule: the page promises what can be found', () => {
  const folder = new URL('rules/', import.meta.url);
  const rules = ['diagnose.ts', ...readdirSync(folder).map((name) => `rules/${name}`)]
    .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
    .join('\n');
  const unnamed = Object.keys(catalogue).filter(
    (code) => !rules.includes(`'${code}'`) && !rules.includes(`\`${code.replace('port-N-', 'port-${port}-')}\``),
  );
  expect(unnamed).toEqual([]);
});
