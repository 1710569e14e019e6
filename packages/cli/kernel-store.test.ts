import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kernelRecordSchema, kernelReportSchema } from '@linstock/contract';
import { elfSample } from '@linstock/testkit/kernel-samples';
import { here } from './testing/here.ts';
import type { CliRun } from './testing/run.ts';

let folder: string;
let state: string;
let kernel: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-kernel-store-'));
  state = join(folder, 'state');
  kernel = join(folder, 'vmlinux');
  await writeFile(kernel, elfSample({ banner: 'Linux version 6.1.99 (a\u001B[31m@b) (gcc) #1 SMP\n' }));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const cli = (...argv: string[]): Promise<CliRun> => here(argv, state);

test('import, list, look into it by name, delete; without a controller', async () => {
  const imported = await cli('kernel', 'import', kernel, '--name', 'mine');
  expect(imported.code).toBe(0);
  expect(imported.stdout).toMatch(/^kernel +mine@1$/m);
  expect(imported.stdout).not.toContain('\u001B');
  expect((await cli('kernel', 'import', kernel, '--name', 'mine')).stdout).toMatch(/^kernel +mine@1 \(the same was there already\)$/m);
  expect((await cli('kernel', 'list')).stdout).toMatch(/^mine@1 +6\.1\.99 /m);
  const { items } = JSON.parse((await cli('kernel', 'list', '--json')).stdout) as { items: unknown[] };
  const [record] = items.map((item) => kernelRecordSchema.parse(item));
  const report = kernelReportSchema.parse(JSON.parse((await cli('kernel', 'inspect', 'mine@1', '--json')).stdout));
  expect(report).toMatchObject({ release: '6.1.99', file: expect.stringContaining(record?.kernel.blob ?? 'none') });
  expect(await cli('kernel', 'diff', 'mine', kernel)).toMatchObject({ code: 0 });
  expect((await cli('kernel', 'check', 'mine', '--for', 'qemu')).stdout).toMatch(/^release +6\.1\.99$/m);
  expect((await cli('kernel', 'delete', 'mine')).stdout).toMatch(/^deleted +mine@1$/m);
  expect(await cli('kernel', 'delete', 'mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no kernel mine.') });
});

test('a name of neither a file nor a kernel is a file that is not there; to look makes no folder', async () => {
  expect(await cli('kernel', 'inspect', 'mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no file mine.') });
  expect(await cli('kernel', 'list')).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('There are no kernels.') });
  expect(await cli('kernel', 'delete', 'mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no kernel mine') });
  expect(await readdir(folder)).toEqual(['vmlinux']);
});

test('kernels are those of this host: --url is refused', async () => {
  for (const words of [['import', kernel], ['list'], ['delete', 'mine'], ['build', '6.1']])
    expect(await cli('kernel', ...words, '--url', 'http://127.0.0.1:1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('without --url'),
    });
});

test('a build that cannot be meant is refused before anything is fetched', async () => {
  const fragment = join(folder, 'mine.config');
  await writeFile(fragment, 'CONFIG_XFS_FS=yes\n');
  expect(await cli('kernel', 'build', '6.1', '--jobs', '0')).toMatchObject({ code: 2, stderr: expect.stringContaining('--jobs 0') });
  expect(await cli('kernel', 'build', 'newest')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('such as 6.1 or 6.12, not from "newest"'),
  });
  expect(await cli('kernel', 'build', '6.1', '--fragment', fragment)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('mine.config, line 1'),
  });
  expect(await cli('kernel', 'build', '6.1', '--fragment', join(folder, 'none'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no file'),
  });
  expect(await readdir(folder)).not.toContain('state'); // a build that is refused leaves nothing
});

test('a first import that is refused leaves nothing, one that is kept stays when a later one is refused', async () => {
  const bad = join(folder, 'text');
  await writeFile(bad, 'no kernel');
  expect((await cli('kernel', 'import', bad)).code).toBe(1);
  expect(await readdir(folder)).not.toContain('state');
  expect((await cli('kernel', 'import', kernel)).code).toBe(0);
  expect((await cli('kernel', 'import', bad)).code).toBe(1);
  expect((await cli('kernel', 'list')).stdout).toMatch(/linux-6-1-99@1/);
});
