import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** Exit code and output of one of our tools, run as a person runs it. */
function run(...argv: string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, argv, { cwd: join(import.meta.dirname, '..'), timeout: 120_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: `${stdout}${stderr}` });
    });
  });
}

it('keeps the laws that a check can see', async () => {
  expect(await run('tools/check-repository.ts')).toMatchObject({ code: 0, out: expect.stringContaining('nothing to say') });
}, 120_000);

it('has an OpenAPI document that is what the contract says', async () => {
  expect(await run('tools/openapi.ts', '--check')).toEqual({ code: 0, out: '' });
});
