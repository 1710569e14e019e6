/**
 * Looking into a vmlinux against what people do instead: `strings FILE | grep CONFIG_`, A-B-A-B over one file that is in the page cache.
 * The file is the vmlinux of the golden image (the distribution's kernel, some 50 MB), or the one that BENCH_KERNEL names.
 *
 * `inspect` is the whole of it in a process that has begun: read, search for some 130 texts, judge every option. `command` is the process
 * `linstock kernel inspect FILE --json`, whose greater part is Node starting and taking the types out of our sources.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepare } from '@linstock/daemon';
import { Paths } from '@linstock/host';
import { lookIntoKernel } from '@linstock/host/kernels';
import { note, taken } from './parts/samples.ts';

export type KernelInspectPair = { inspect: number; strings: number; command: number };
export type KernelInspect = { bytes: number; release: string; known: number; pairs: readonly KernelInspectPair[] };

const clone = resolve(import.meta.dirname, '..');
const pairs = 20;

async function kernelFile(): Promise<string> {
  const named = process.env['BENCH_KERNEL'];
  if (named !== undefined) return named;
  const stateFolder = join(clone, '.linstock', 'bench');
  await prepare({ stateFolder, environment: {}, signal: new AbortController().signal, progress: () => undefined });
  const { images } = new Paths(stateFolder);
  const golden = JSON.parse(readFileSync(join(images, 'goldens/tiny/1/manifest.json'), 'utf8')) as { kernel: { blob: string } };
  return join(images, 'blobs/sha256', golden.kernel.blob);
}

function ran(argv: readonly [string, ...string[]]): number {
  const began = performance.now();
  const result = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (result.error !== undefined) throw result.error;
  return performance.now() - began;
}

export async function kernelInspect(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'linstock-bench-'));
  try {
    // alone in its folder, so that no configuration answers in its place
    const file = join(folder, 'vmlinux');
    copyFileSync(await kernelFile(), file);
    const inspect = async (): Promise<number> => {
      const began = performance.now();
      await lookIntoKernel({ path: file }, 'known');
      return performance.now() - began;
    };
    // a shell, as people do it: the pipe is part of the comparison
    const strings = (): number => ran(['sh', '-c', 'strings "$1" | grep -c CONFIG_; true', 'sh', file]);
    const command = (): number => ran([process.execPath, join(clone, 'packages/cli/main.ts'), 'kernel', 'inspect', file, '--json']);
    const report = await lookIntoKernel({ path: file }, 'known');
    for (let i = 0; i < 3; i += 1) {
      await inspect();
      strings();
    }
    await taken('kernel-inspect', 'looking into a vmlinux, against strings | grep', async (): Promise<KernelInspect> => {
      const measured: KernelInspectPair[] = [];
      for (let i = 0; i < pairs; i += 1) {
        measured.push({ inspect: await inspect(), strings: strings(), command: command() });
        if (i % 10 === 0) note(`  pair ${i + 1} of ${pairs}: ${JSON.stringify(measured.at(-1))}`);
      }
      return {
        bytes: statSync(file).size,
        release: report.release ?? 'unknown',
        known: report.options.filter(({ value }) => value !== 'unknown').length,
        pairs: measured,
      };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
