import { describe, expect, test } from 'vitest';
import { checkLanguage, checkSizes, mayUseAny } from './language.ts';
import { treeOf } from './tree.ts';

function said(text: string, path = 'packages/core/a.ts'): string[] {
  return checkLanguage(treeOf({ [path]: text })).map((problem) => `${problem.line} ${problem.what}`);
}

describe('language', () => {
  test.each([
    ['let x: any;', '1 uses any'],
    ['\nconst x = y as any;', '2 uses any'],
    ['type T = Promise<any[]>;', '1 uses any'],
    ['export default function f() {}', '1 has a default export'],
    ['try { a(); } catch {}', '1 catches silently'],
    ['try { a(); } catch (error) { /* ignore */ }', '1 catches silently'],
    ['try { a(); } catch { // ignore it\n }', '1 catches silently'],
    ['a().catch(() => {});', '1 swallows a rejection'],
    ['\n\nawait a().catch(() => undefined);', '3 swallows a rejection'],
    ['a().catch((e) => { /* no */ });', '1 swallows a rejection'],
  ])('%j', (text, what) => {
    expect(said(text)).toEqual([what]);
  });

  test.each([
    'const any = 1; // any\nconst text = "any"; type Company = unknown;',
    'try { a(); } catch {\n  // ESRCH: the group is gone already, which is what was wanted.\n}',
    'try { a(); } catch (error) { report(error); }',
    'try { a(); } catch { return null; }',
    'a().catch(() => {\n  // The file may be gone already.\n});',
    '// The file may be gone already.\na().catch(() => {});',
    'a().catch(() => {}); // the file may be gone already',
    'a().catch((error) => report(error));',
    'a().catch(report);',
    'zod.string().catch(undefined);',
    'a().catch(() => 0);',
  ])('%j is fine', (text) => {
    expect(said(text)).toEqual([]);
  });

  test('the seams and the files of tools that want a default export', () => {
    expect(said('type A = any;', mayUseAny[0])).toEqual([]);
    expect(said('export default {};', 'vitest.config.ts')).toEqual([]);
  });

  test('a file that does not parse is left to tsc', () => {
    expect(said('let = = any')).toEqual([]);
  });
});

test('sizes', () => {
  const lines = (count: number): string => 'x\n'.repeat(count);
  const tree = treeOf({ 'a.ts': lines(600), 'b.go': lines(601), 'c.md': lines(2000), 'd.sh': `${lines(600)}x` });
  expect(checkSizes(tree).map((problem) => `${problem.file} ${problem.what}`)).toEqual(['b.go has 601 lines', 'd.sh has 601 lines']);
});
