import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '@linstock/testkit';
import { ensureBornIn } from './born-in.ts';
import { Starter } from './starter.ts';

const options = { env: { PATH: '/usr/bin:/bin', WORD: 'x y' }, timeoutMs: 20_000, signal: new AbortController().signal };
let folder: string;
let starter: Starter;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'linstock-starter-'));
  starter = new Starter();
});
afterEach(() => {
  starter.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('Starter', () => {
  const parentOf = async (): Promise<string> => {
    const start = await starter.start(['/bin/sh', '-c', 'echo $PPID "$WORD"'], options);
    return start.is === 'closed' ? start.words.trim() : start.is; // late: the helper went while it was starting it
  };
  test('starts from here until its helper is there, from the helper then, and from here again when that was killed', async () => {
    expect(await parentOf()).toBe(`${process.pid} x y`);
    starter.open();
    const helper = await eventually(parentOf, (words) => words !== `${process.pid} x y`);
    expect(helper).toMatch(/^\d+ x y$/);
    process.kill(Number(helper.split(' ')[0]), 'SIGKILL');
    expect(await eventually(parentOf, (words) => words === `${process.pid} x y`)).toBeTruthy();
  });
  test('says what is missing, and ends the waiting on an abort', async () => {
    starter.open();
    await eventually(parentOf, (words) => !words.startsWith(`${process.pid} `));
    expect(await starter.start(['/no/such/program'], options)).toEqual({ is: 'missing', errno: 'ENOENT' });
    expect(await starter.start(['/bin/sleep', '3'], { ...options, signal: AbortSignal.timeout(50) })).toEqual({ is: 'late' });
  });
});

describe.skipIf(process.arch !== 'x64')('born-in', () => {
  test('runs the program as it is when there is no such cgroup, and says when there is no such program', async () => {
    const bornIn = ensureBornIn(join(folder, 'born-in'));
    if (bornIn === null) throw new Error('it cannot be written here');
    expect(await starter.start([bornIn, '/no/such/cgroup', '/bin/echo', 'a', '', 'b c'], options)).toEqual({
      is: 'closed',
      words: 'a  b c\n',
    });
    expect(await starter.start([bornIn, '/no/such/cgroup', '/bin/sh', '-c', 'echo "$WORD"'], options)).toEqual({
      is: 'closed',
      words: 'x y\n',
    });
    expect(await starter.start([bornIn, '/', '/no/such/program'], options)).toEqual({ is: 'closed', words: '' });
  });
  test('is written once, and again when it was damaged', () => {
    const path = join(folder, 'born-in');
    const whole = readFileSync(ensureBornIn(path) ?? '');
    rmSync(path);
    writeFileSync(path, 'half');
    expect(readFileSync(ensureBornIn(path) ?? '')).toEqual(whole);
    expect(ensureBornIn(join(path, 'below-a-file'))).toBeNull();
  });
});
