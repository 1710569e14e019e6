/** The table in docs/rootfs-lint.md is the table of the rules. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rootfsRules } from './lint.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

test('docs/rootfs-lint.md names every rule, as it is', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/rootfs-lint.md'), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| `[a-z]+\.[a-z-]+` \|/.test(line));
  expect(rows).toEqual(
    rootfsRules.map(
      ({ id, severity, finds, predicts, refutes }) =>
        `| \`${id}\` | ${severity} | ${cell(finds)} | ${cell(predicts)} | ${refutes === null ? '' : `\`${refutes}\``} |`,
    ),
  );
});

test('what a rule says is whole sentences, and its id is of its family', () => {
  for (const { id, why, fix } of rootfsRules) {
    expect(`${id} ${why}`).toMatch(/\.$/);
    expect(`${id} ${fix}`).toMatch(/\.$/);
  }
  expect(new Set(rootfsRules.map(({ id }) => id)).size).toBe(rootfsRules.length);
});
