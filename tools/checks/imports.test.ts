import { describe, expect, test } from 'vitest';
import { checkImports, importsOf } from './imports.ts';
import { treeOf } from './tree.ts';

const manifests = {
  'package.json': '{"devDependencies":{"vitest":"1.0.0","fast-check":"1.0.0"}}',
  'packages/core/package.json': '{"dependencies":{"@linstock/contract":"0.1.0"}}',
  'packages/host/package.json': '{"dependencies":{"@linstock/contract":"0.1.0","@linstock/core":"0.1.0","ws":"8.0.0"}}',
  'packages/cli/package.json': '{"dependencies":{"@linstock/contract":"0.1.0","@linstock/sdk":"0.1.0","@linstock/daemon":"0.1.0"}}',
  'packages/sdk/package.json': '{"exports":{".":"./index.ts","./testing":"./testing/index.ts"}}',
  'packages/store/package.json': '{"dependencies":{"@linstock/core":"0.1.0"}}',
};

function said(files: Record<string, string>): string[] {
  return checkImports(treeOf({ ...manifests, ...files })).map((problem) => `${problem.file}:${problem.line ?? ''} ${problem.what}`);
}

test('every form of import is seen, and nothing in comments or strings', () => {
  const text = `
    import a from 'one'; import type { B } from 'two'; import 'three';
    export { c } from 'four'; export * from 'five'; export type { D } from 'six';
    type E = import('seven').E; const f = await import('eight'); await import(\`nine\`);
    // import x from 'comment'
    const g = "import y from 'string'";
    import {
      long,
    } from 'ten';`;
  const found = importsOf(treeOf({ 'a.ts': text }), 'a.ts');
  expect(found.map((one) => one.specifier)).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'ten']);
  expect(found.filter((one) => one.typeOnly).map((one) => one.specifier)).toEqual(['two', 'six', 'seven']);
});

describe('walls', () => {
  test.each([
    ['packages/host/a.ts', "import { b } from '@linstock/core';"],
    ['packages/host/a.ts', "import { b } from './b/c.ts';"],
    ['packages/host/a.ts', "import { connect } from 'node:net'; import { WebSocket } from 'ws'; import x from 'ws/lib/x.js';"],
    ['packages/host/a.test.ts', "import { test } from 'vitest'; import { aVm } from '@linstock/testkit';"],
    ['packages/core/a.test.ts', "import { readFileSync } from 'node:fs'; import fc from 'fast-check';"],
    ['packages/cli/a.test.ts', "import { aServer } from '@linstock/sdk/testing';"],
    ['packages/host/testing/stand-in.ts', "import { test } from 'vitest';"],
    ['packages/cli/commands/up.ts', "import { serve } from '@linstock/daemon';"],
    ['test/crash/a.test.ts', "import { Engine } from '@linstock/daemon'; import { test } from 'vitest';"],
    ['tools/a.ts', "import { faults } from '../packages/contract/index.ts';"],
  ])('%s: %s is fine', (path, text) => {
    expect(said({ [path]: text })).toEqual([]);
  });

  test.each([
    ['packages/core/a.ts', "import { b } from '@linstock/store';", 'imports @linstock/store'],
    ['packages/core/a.ts', "import type { b } from '@linstock/host';", 'imports @linstock/host'],
    ['packages/core/a.ts', "import { join } from 'node:path';", 'imports node:path'],
    ['packages/contract/a.ts', "import { join } from 'node:path';", 'imports node:path'],
    ['packages/store/a.ts', "import { b } from '@linstock/host';", 'imports @linstock/host'],
    ['packages/host/a.ts', "import { b } from '@linstock/core/vm.ts';", 'imports @linstock/core/vm.ts'],
    ['packages/host/a.ts', "import { b } from '../core/vm.ts';", 'imports ../core/vm.ts'],
    ['packages/host/a.ts', "import { b } from '../../tools/test.ts';", 'imports ../../tools/test.ts'],
    ['packages/host/a.ts', "import { b } from '@linstock/testkit';", 'imports @linstock/testkit'],
    ['packages/host/a.ts', "import { z } from 'zod';", 'imports zod'],
    ['packages/host/a.ts', "import { test } from 'vitest';", 'imports vitest'],
    ['packages/host/a.ts', "import { join } from 'path';", 'imports path'],
    ['packages/store/a.ts', "import { b } from '@linstock/contract';", 'imports @linstock/contract'],
    ['packages/cli/commands/vm/list.ts', "import { serve } from '@linstock/daemon';", 'imports @linstock/daemon'],
    ['packages/newcomer/a.ts', "import { b } from '@linstock/core';", 'package newcomer has no wall'],
    ['test/crash/a.test.ts', "import { b } from '../../packages/core/vm.ts';", 'imports ../../packages/core/vm.ts'],
    ['bench/a.ts', "import { b } from 'unknown-package';", 'imports unknown-package'],
  ])('%s: %s is refused', (path, text, what) => {
    expect(said({ [path]: `\n${text}` })).toEqual([`${path}:2 ${what}`]);
  });
});

describe('cycles', () => {
  test('a cycle is said once, wherever one enters it', () => {
    const files = {
      'packages/core/z.ts': "import './b.ts';",
      'packages/core/b.ts': "import type { C } from './sub/c.ts';",
      'packages/core/sub/c.ts': "export * from '../a.ts';",
      'packages/core/a.ts': "import './b.ts';",
    };
    expect(said(files)).toEqual([
      'packages/core/a.ts: imports itself: packages/core/a.ts → packages/core/b.ts → packages/core/sub/c.ts → packages/core/a.ts',
    ]);
  });
  test('a diamond is no cycle', () => {
    expect(
      said({
        'packages/core/a.ts': "import './b.ts'; import './c.ts';",
        'packages/core/b.ts': "import './d.ts';",
        'packages/core/c.ts': "import './d.ts';",
        'packages/core/d.ts': '',
      }),
    ).toEqual([]);
  });
});
