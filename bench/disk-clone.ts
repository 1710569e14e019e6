/**
 * The disk of a VM by each method, over an image of 1 GiB that holds 256 MiB, round by round: the overlay that QEMU gets, the copy that
 * Firecracker gets where the file system shares no blocks, the same where it does (a folder on such a file system, XFS or btrfs, that
 * BENCH_REFLINK_FOLDER names; without one that column is empty), and a plain whole copy as the measure.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { prepare } from '@linstock/daemon';
import { addGolden, ensureDisk, ImageStore, Paths } from '@linstock/host';
import type { GoldenManifest } from '@linstock/contract';
import { note, taken } from './parts/samples.ts';

export type DiskCloneRound = { overlay: number; sparse: number; reflink: number | null; whole: number };
export type DiskClone = { virtualBytes: number; heldBytes: number; rounds: readonly DiskCloneRound[] };

const rounds = 20;
const heldBytes = 256 * 1024 * 1024;
const stateFolder = join(resolve(import.meta.dirname, '..'), '.linstock', 'bench');

function run(...argv: [string, ...string[]]): void {
  const result = spawnSync(argv[0], argv.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(`${argv.join(' ')} ended with ${result.status}`);
}

async function storeIn(folder: string, kernelPath: string, rootfsPath: string): Promise<{ store: ImageStore; golden: GoldenManifest }> {
  const store = new ImageStore({ folder: join(folder, 'images'), now: Date.now });
  await store.open();
  const added = await addGolden(store, { name: 'bench', kernelPath, rootfsPath, init: '/init' });
  if (!added.ok) throw new Error(added.say);
  return { store, golden: added.golden };
}

export async function diskClone(): Promise<void> {
  await prepare({ stateFolder, environment: {}, signal: new AbortController().signal, progress: () => undefined });
  const { images } = new Paths(stateFolder);
  const tiny = JSON.parse(readFileSync(join(images, 'goldens/tiny/1/manifest.json'), 'utf8')) as { kernel: { blob: string } };
  const kernel = join(images, 'blobs/sha256', tiny.kernel.blob);
  const folder = mkdtempSync(join(tmpdir(), 'linstock-bench-'));
  const shared = process.env['BENCH_REFLINK_FOLDER'];
  try {
    const image = join(folder, 'image');
    mkdirSync(join(folder, 'root'));
    copyFileSync(process.execPath, join(folder, 'root/init'));
    chmodSync(join(folder, 'root/init'), 0o755);
    writeFileSync(join(folder, 'root/data'), randomBytes(heldBytes - statSync(process.execPath).size));
    run('mke2fs', '-q', '-t', 'ext4', '-d', join(folder, 'root'), image, '1G');
    const here = await storeIn(folder, kernel, image);
    const there = shared === undefined ? null : await storeIn(mkdtempSync(join(shared, 'linstock-bench-')), kernel, image);
    const disk = join(folder, 'disk');
    const timed = async (make: () => Promise<unknown> | void): Promise<number> => {
      const began = performance.now();
      await make();
      return performance.now() - began;
    };
    const made = async (from: typeof here, path: string, format: 'qcow2' | 'raw'): Promise<number> => {
      const ms = await timed(async () => {
        const outcome = await ensureDisk({ ...from, path, format });
        if (!outcome.ok) throw new Error(outcome.say);
      });
      rmSync(path);
      return ms;
    };
    await made(here, disk, 'qcow2'); // the template
    await taken('disk-clone', 'the disk of a VM, by each method', async (): Promise<DiskClone> => {
      const measured: DiskCloneRound[] = [];
      for (let round = 0; round < rounds; round += 1) {
        measured.push({
          overlay: await made(here, disk, 'qcow2'),
          sparse: await made(here, disk, 'raw'),
          reflink: there === null ? null : await made(there, join(there.store.folder, '..', 'disk'), 'raw'),
          whole: await timed(() => run('cp', '--reflink=never', '--sparse=never', image, disk)),
        });
        rmSync(disk);
        if (round % 5 === 0) note(`  round ${round + 1} of ${rounds}: ${JSON.stringify(measured.at(-1))}`);
      }
      return { virtualBytes: statSync(image).size, heldBytes, rounds: measured };
    });
    if (there !== null) rmSync(join(there.store.folder, '..'), { recursive: true });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
