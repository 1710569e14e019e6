import { describe, expect, test } from 'vitest';
import { checkErrorsDocument, checkLinks, faultCodes } from './documents.ts';
import { treeOf } from './tree.ts';

const catalogue =
  "export const faults = { 'vm-gone': { http: 404, say: 'x' }, bug: { http: 500, say: 'y' } } as const satisfies Record<string, Kind>;";

describe('docs/errors.md and the catalogue', () => {
  const said = (text: string | null, faults = catalogue): string[] =>
    checkErrorsDocument(treeOf({ 'packages/contract/faults.ts': faults, ...(text === null ? {} : { 'docs/errors.md': text }) })).map(
      (problem) => `${problem.line ?? ''} ${problem.what}`,
    );

  test('the codes are the keys, quoted or not', () => {
    expect(faultCodes(treeOf({ 'packages/contract/faults.ts': catalogue }))).toEqual(['vm-gone', 'bug']);
  });
  test('equal', () => {
    expect(said('# Errors\n## `vm-gone`\n\n## `bug`\n## How to read this\n')).toEqual([]);
  });
  test('missing, unknown, twice', () => {
    expect(said('## `vm-gone`\n## `vm-left`\n## `vm-gone`\n')).toEqual([
      ' has no heading ## `bug`',
      '2 has a heading for `vm-left`',
      '3 has a heading for `vm-gone`',
    ]);
  });
  test('no document, no catalogue', () => {
    expect(said(null)).toEqual([' does not exist']);
    expect(said('', 'export const other = {};')).toEqual([' has no fault codes']);
  });
});

describe('links', () => {
  const said = (text: string): string[] =>
    checkLinks(
      treeOf({
        'docs/a.md': text,
        'docs/b.md': '# The `b` page\n## Two words, and more!\n## Same\n## Same\n',
        'README.md': '',
        'packages/core/vm.ts': '',
      }),
    ).map((problem) => `${problem.line} ${problem.what}: ${problem.why}`);

  test.each([
    '[b](b.md) [b](./b.md) [r](../README.md) [code](../packages/core/vm.ts) [folder](../packages/core/) [root](/README.md)',
    '[h](b.md#the-b-page) [h](b.md#two-words-and-more) [s](b.md#same-1) [web](https://example.com/x) [mail](mailto:a@b.c)',
    '# Here\n[self](#here)',
    '`[x](no.md)`\n```\n[x](no.md)\n```\n',
    '[ref]: b.md\n',
    '![picture](b.md "title")',
  ])('%j is fine', (text) => {
    expect(said(text)).toEqual([]);
  });

  test.each([
    ['\n[x](no.md)', '2 links to no.md: there is no such file'],
    ['[x](b.md#nothing)', '1 links to b.md#nothing: docs/b.md has no such heading'],
    ['[x](#nothing)', '1 links to #nothing: docs/a.md has no such heading'],
    ['[x](../../outside.md)', '1 links to ../../outside.md: there is no such file'],
    ['[ref]: no.md', '1 links to no.md: there is no such file'],
    ['![picture](no.png)', '1 links to no.png: there is no such file'],
  ])('%j', (text, what) => {
    expect(said(text)).toEqual([what]);
  });
});
