import { describe, expect, test } from 'vitest';
import { checkHands } from './hands.ts';
import { treeOf } from './tree.ts';

function said(path: string, text: string): string[] {
  return checkHands(treeOf({ [path]: text })).map((problem) => problem.what);
}

describe('hands', () => {
  test.each([
    ['packages/host/vmm/a.ts', "import { spawn } from 'node:child_process';", 'imports node:child_process'],
    ['packages/daemon/a.ts', "import { sql } from 'kysely';", 'imports kysely'],
    ['packages/daemon/a.ts', "import { DatabaseSync } from 'node:sqlite';", 'imports node:sqlite'],
    ['packages/daemon/a.ts', "const q = 'SELECT id FROM vms WHERE x';", 'holds SQL'],
    ['packages/daemon/a.ts', 'const q = `insert into vms values (${x})`;', 'holds SQL'],
    ['packages/daemon/a.ts', 'const home = process.env.HOME;', 'reads process.env'],
    ['packages/daemon/a.ts', "import { env } from 'node:process';", 'reads process.env'],
    ['packages/daemon/a.ts', 'const now = Date.now();', 'uses Date.now'],
    ['packages/daemon/a.ts', 'const clock = { now: Date.now };', 'uses Date.now'],
    ['packages/daemon/a.ts', 'const now = new Date();', 'uses new Date()'],
    ['packages/sdk/a.ts', 'const x = Math.random();', 'uses Math.random'],
    ['packages/sdk/a.ts', 'const x = crypto.randomUUID();', 'uses randomUUID'],
    ['packages/host/a.ts', "import { randomBytes } from 'node:crypto';", 'uses randomBytes'],
    ['packages/core/a.ts', 'const then = new Date(at);', 'uses new Date('],
    ['packages/core/a.ts', 'setTimeout(run, 1);', 'uses setTimeout'],
  ])('%s: %s', (path, text, what) => {
    expect(said(path, text)).toEqual([what]);
  });

  test.each([
    ['packages/host/tools/exec.ts', "import { spawn } from 'node:child_process'; const env = process.env;"],
    ['tools/test.ts', "import { spawn } from 'node:child_process'; const now = Date.now();"],
    ['packages/store/store.ts', "import { sql } from 'kysely'; const q = 'select id from vms where x';"],
    ['packages/daemon/config.ts', 'export const read = (env = process.env) => env;'],
    ['packages/daemon/clock.ts', 'export const now = Date.now;'],
    ['packages/daemon/a.test.ts', 'const now = Date.now(); const x = Math.random(); const e = process.env;'],
    [
      'packages/daemon/a.ts',
      '// Date.now() and process.env\nconst text = "Math.random, select one from the list"; const at = new Date(now); const clock = { now: 1 }; clock.now;',
    ],
    ['packages/daemon/a.ts', "const text = 'Update the VM, then set it free. Delete from time to time.'; setTimeout(run, 1);"],
    ['packages/core/a.ts', 'performance; const d = { setTimeout: 1 };'],
  ])('%s: %s is fine', (path, text) => {
    expect(said(path, text)).toEqual([]);
  });
});
