import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCliProcess, type CliRun } from './testing/run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-building-'));
  await writeFile(join(folder, 'bad.json'), '{"name":"x","from":"scratch","package":["nano"]}');
});
afterAll(() => rm(folder, { recursive: true }));
const cli = (...argv: string[]): Promise<CliRun> => runCliProcess(argv, { LINSTOCK_STATE: join(folder, 'state') });

test.each([
  [['rootfs', 'build'], /which recipe\? A name such as base/],
  [['golden', 'build', 'base', '--from', 'oci:./x'], /a recipe and --from at once/],
  [['golden', 'build', 'tiny', '--name', 'other'], /always called tiny/],
])('a command line that cannot be meant: %j', async (argv, says) => {
  const run = await cli(...argv);
  expect(run.code).toBe(2);
  expect(run.stderr).toMatch(says);
});

test.each([
  [['rootfs', 'build', 'none'], /There is no recipe none; there are: tiny, base, desktop/],
  [['golden', 'build', '--from', 'docker:alpine'], /which is neither a recipe .* docker:\/\/REFERENCE/],
  [['golden', 'build', 'base', '--name', 'No!'], /cannot be called "No!"/],
])('a build that cannot begin says why, and leaves nothing, not even a state folder: %j', async (argv, says) => {
  const run = await cli(...argv, '--json');
  expect(run.code).toBe(1);
  expect(JSON.parse(run.stdout)).toMatchObject({ code: 'image-refused', detail: expect.stringMatching(says) as string });
  expect(await readdir(folder)).toEqual(['bad.json']);
});

test('relative paths are those of whoever calls, and what does not fit is named', async () => {
  const run = await cli('rootfs', 'build', join(folder, 'bad.json'));
  expect(run.stderr).toMatch(/The recipe .*bad\.json does not fit: .*package/);
});

test('before anything was built the list says what could be', async () => {
  expect(await cli('rootfs', 'list')).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringMatching(/recipes tiny, base, desktop: `.* rootfs build base`/) as string,
  });
  expect(JSON.parse((await cli('rootfs', 'list', '--json')).stdout)).toEqual({ items: [], recipes: ['tiny', 'base', 'desktop'] });
});

test('tiny has no root file system apart from its golden image', async () => {
  expect((await cli('rootfs', 'build', 'tiny')).stderr).toMatch(/golden build tiny/);
});
