import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kernelCheckSchema, kernelDiffSchema, kernelReportSchema } from '@linstock/contract';
import { elfSample } from '@linstock/testkit/kernel-samples';
import { here } from './testing/here.ts';
import type { CliRun } from './testing/run.ts';

let folder: string;
let kernel: string;
let other: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-kernel-cli-'));
  const beside = ['Kernel command line: %s', 'workqueue.power_efficient', '\0rootfstype=\0', 'Attempted to kill init! exitcode=0x%08x'];
  const file = async (name: string, texts: readonly string[]): Promise<string> => {
    const banner = `Linux version 6.1.99 (a\u001B[31m@b) (gcc) #1 SMP\n\0${[...texts, ...beside].join('\0')}`;
    const path = join(folder, name);
    await writeFile(path, elfSample({ banner }));
    return path;
  };
  kernel = await file('vmlinux', ['virtio_net.napi_weight', '[%s] %s%llu %d-byte logical blocks']);
  other = await file('other', ['virtio_net.napi_weight']);
});
afterAll(() => rm(folder, { recursive: true }));

const cli = (...argv: string[]): Promise<CliRun> => here(argv);

test('inspect: what it is, each option with how it is known, what is not known by name; no controller is asked', async () => {
  const run = await cli('kernel', 'inspect', kernel);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^format +ELF vmlinux$/m);
  expect(run.stdout).toMatch(/^release +6\.1\.99$/m);
  expect(run.stdout).toMatch(/^VIRTIO_NET +yes +proved-by +0x[0-9a-f]+ "virtio_net\.napi_weight" is in it$/m);
  expect(run.stdout).toMatch(/^VIRTIO_BLK +yes +proved-by/m);
  expect(run.stdout).toMatch(/^SWIOTLB_DYNAMIC +no +version +Linux before 6\.6 has no such option$/m);
  expect(run.stdout).toMatch(/^unknown \(\d+\)$/m);
  expect(run.stdout).not.toContain('\u001B');
  const json = kernelReportSchema.parse(JSON.parse((await cli('kernel', 'inspect', kernel, '--json')).stdout));
  expect(json.options.find(({ option }) => option === 'VIRTIO_NET')).toMatchObject({ value: 'yes', by: 'proved-by' });
});

test('one option, with or without CONFIG_, and why strings | grep is no evidence', async () => {
  const run = await cli('kernel', 'inspect', kernel, '--option', 'CONFIG_VIRTIO_NET', '--option', 'NO_SUCH');
  expect(run.stdout).toMatch(/^VIRTIO_NET +yes/m);
  expect(run.stdout).toMatch(/unknown \(1\)\n {2}NO_SUCH$/m);
  expect(run.stdout).not.toContain('banner');
  expect(run.stderr).toMatch(/`strings vmlinux \| grep CONFIG_` finds nothing in any kernel/);
});

test('with a configuration there is nothing to explain', async () => {
  const config = join(folder, 'given');
  const on = ['SMP', 'PVH', 'VIRTIO_NET', 'VIRTIO_BLK', 'FANCY'].map((option) => `CONFIG_${option}=y`);
  await writeFile(config, ['# Linux/x86 6.1.99 Kernel Configuration', ...on].join('\n'));
  const run = await cli('kernel', 'inspect', kernel, '--config', config, '--option', 'FANCY');
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^FANCY +yes +config-file +CONFIG_FANCY=y$/m);
  expect((await cli('kernel', 'inspect', kernel, '--config', config, '--all')).stdout).toMatch(/^FANCY +yes/m);
});

test('check: 1 when something is missing, with what it is, how it shows and what to do', async () => {
  const run = await cli('kernel', 'check', other, '--for', 'firecracker@1.9.1');
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(run.stdout).toMatch(/^✗ disk +MISSING +VIRTIO_BLK$/m);
  expect(run.stdout).toContain('build the kernel with CONFIG_VIRTIO_BLK=y');
  expect(run.stdout).toMatch(/^✗ something is missing {2}firecracker 1\.9\.1, mmio: /m);
  const json = kernelCheckSchema.parse(JSON.parse((await cli('kernel', 'check', other, '--for', 'qemu', '--json')).stdout));
  expect(json.verdict).toBe('missing');
  expect(json.requirements.find(({ id }) => id === 'disk')).toMatchObject({
    verdict: 'missing',
    symptom: expect.stringContaining('unknown-block(0,0)'),
  });
});

test('check: what is asked for besides, with commas or again', async () => {
  const run = await cli('kernel', 'check', kernel, '--for', 'qemu', '--needs', 'ip-autoconfig,vsock', '--needs', 'fuse', '--json');
  const check = kernelCheckSchema.parse(JSON.parse(run.stdout));
  expect(check.target.needs).toEqual(['ip-autoconfig', 'vsock', 'fuse']);
  expect(check.requirements.map(({ id }) => id)).toEqual(expect.arrayContaining(['ip-autoconfig', 'vsock', 'fuse']));
});

test.each([
  [['kernel', 'check', 'x'], '--for is missing'],
  [['kernel', 'check', 'x', '--for', 'xen'], 'not for xen'],
  [['kernel', 'check', 'x', '--for', 'qemu', '--needs', 'toast'], 'nothing called toast'],
  [['kernel', 'check', 'x', '--for', 'qemu', '--transport', 'usb'], 'mmio or pci'],
])('a command line that cannot be meant: 2, before any file is read: %o', async (argv, words) => {
  const run = await cli(...argv);
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).toContain(words);
});

test('diff: what is known to differ', async () => {
  const run = await cli('kernel', 'diff', kernel, other);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^VIRTIO_BLK +yes \(proved-by\) +no \(absent-proved\)$/m);
  expect(run.stdout).not.toMatch(/^VIRTIO_NET/m);
  const json = kernelDiffSchema.parse(JSON.parse((await cli('kernel', 'diff', kernel, kernel, '--json')).stdout));
  expect([json.facts, json.options, json.oneSided]).toEqual([[], [], []]);
  expect((await cli('kernel', 'diff', kernel, kernel)).stdout).toContain('Nothing is known to differ.');
});

test('a file that is no kernel: 1, a sentence', async () => {
  const run = await cli('kernel', 'inspect', join(folder, 'none'));
  expect(run).toMatchObject({ code: 1, stdout: '' });
  expect(run.stderr).toMatch(/There is no file .*none\. Check the path\.\n +\(image-refused\)/);
});
