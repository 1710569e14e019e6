import { describe, expect, test } from 'vitest';
import { checkPinnedVersions, checkPlaces } from './release.ts';
import { treeOf } from './tree.ts';

describe('versions', () => {
  const said = (version: unknown, field = 'dependencies'): string[] =>
    checkPinnedVersions(treeOf({ 'packages/x/package.json': JSON.stringify({ [field]: { y: version } }) })).map((problem) => problem.what);

  test.each(['1.2.3', '0.1.0-beta.1', 'npm:@scope/other@1.2.3'])('%s is exact', (version) => {
    expect(said(version)).toEqual([]);
  });
  test.each(['^1.2.3', '~1.2.3', '*', 'latest', '1.2', '>=1.2.3', 'workspace:*', 'file:../y', '1.2.3 || 2.0.0', 7])(
    '%s is not',
    (version) => {
      expect(said(version)).toHaveLength(1);
    },
  );
  test('development too, engines not', () => {
    expect(said('^1.0.0', 'devDependencies')).toHaveLength(1);
    expect(said('>=24', 'engines')).toEqual([]);
  });
});

describe('places', () => {
  const said = (text: string): string[] => checkPlaces(treeOf({ 'docs/a.md': text })).map((problem) => `${problem.line} ${problem.what}`);
  // In pieces, or this file would be told.
  const here = ['', 'work', 'main'].join('/');
  const registry = ['registry', 'npmjs', 'org'].join('.');

  test.each([`see ${here}`, `"${here}/x"`, `a=${here}`, `https://${registry}/x`, `export GOPROXY=${['proxy', 'golang', 'org'].join('.')}`])(
    '%s',
    (text) => {
      expect(said(`\n${text}`)).toEqual([expect.stringMatching(/^2 names/)]);
    },
  );
  test.each(['the work goes on', `upper${here}`, `\${dir}${here}`, `~${here}`, 'www.npmjs.com/package/ws'])('%s is fine', (text) => {
    expect(said(text)).toEqual([]);
  });
});
