/** Golden images with a mistake in them, made on purpose: the product itself refuses most mistakes, so they are sealed past its checks. */
import { copyFile, open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GoldenManifest } from '@linstock/contract';
import { execOk, isThere } from '@linstock/host';
import type { World } from './world.ts';

type Part = 'kernel' | 'initrd' | 'rootfs';
type Content = Omit<GoldenManifest, 'schema' | 'version' | 'digest' | 'createdAt'>;

export class Forge {
  readonly #world: World;
  readonly #kernels: string | null;

  constructor(world: World, kernels: string | null) {
    this.#world = world;
    this.#kernels = kernels;
  }

  /** `tiny` with some of it changed. */
  async tinyWith(name: string, change: (content: Content) => Content): Promise<GoldenManifest> {
    const { schema: _, version: __, digest: ___, createdAt: ____, ...content } = this.#world.tiny;
    return this.#world.images.withScratch((scratch) => this.#world.images.seal({ ...change(content), name }, scratch));
  }

  /** `tiny` with one of its files replaced by what `make` leaves at the path; it begins as a copy of the right one. */
  async tinyWithFile(
    name: string,
    part: Part,
    make: (path: string) => Promise<unknown>,
    change: (content: Content) => Content = (c) => c,
  ): Promise<GoldenManifest> {
    const { images, tiny } = this.#world;
    const file = await images.withScratch(async (scratch) => {
      const path = join(scratch, part);
      const blob = tiny[part]?.blob;
      if (blob === undefined) throw new Error(`tiny has no ${part}`);
      await copyFile(images.blobPath(blob), path);
      await execOk(['chmod', '600', path], { timeoutMs: 10_000 });
      await make(path);
      return images.adoptBlob(path);
    });
    return this.tinyWith(name, (content) => {
      switch (part) {
        case 'kernel':
          return change({ ...content, kernel: { ...content.kernel, ...file } });
        case 'initrd':
          return change({ ...content, initrd: content.initrd && { ...content.initrd, ...file } });
        case 'rootfs':
          return change({ ...content, rootfs: { ...content.rootfs, ...file } });
      }
    });
  }

  /** A qcow2 file with the same content, in its place. */
  async asQcow2(path: string): Promise<void> {
    await execOk(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', path, `${path}.qcow2`], { timeoutMs: 30_000 });
    await rename(`${path}.qcow2`, path);
  }

  /** An ext4 image without some of its files. */
  async without(path: string, ...files: string[]): Promise<void> {
    for (const file of files) await execOk(['debugfs', '-w', '-R', `rm ${file}`, path], { timeoutMs: 30_000 });
  }

  async cutShort(path: string): Promise<void> {
    await truncate(path, Math.floor((await stat(path)).size / 2));
  }

  /** `tiny` with a kernel of the folder of kernels, everything built in and without initrd; null when it is not there. */
  async tinyOn(kernel: string, o: { initrd?: 'kept' } = {}): Promise<GoldenManifest | null> {
    const path = this.#kernels === null ? null : join(this.#kernels, `${kernel}.vmlinux`);
    if (path === null || !(await isThere(path))) return null;
    const release = bannerIn(await readFile(path));
    return this.tinyWithFile(
      `tiny-on-${kernel}`,
      'kernel',
      (to) => copyFile(path, to),
      (content) => ({
        ...content,
        kernel: {
          ...content.kernel,
          format: 'elf',
          release: release.split(' ')[2] ?? kernel,
          banner: release,
          package: null,
          config: {},
          configKnownBy: 'none',
        },
        initrd: o.initrd === 'kept' ? content.initrd : null,
        requires: [],
        userspaceArgs: [],
        bootArgs: [...content.bootArgs, 'init=/sbin/init'],
      }),
    );
  }
}

/** `Linux version …` of a vmlinux, as it will print it; the format string of the same beginning stands elsewhere. */
function bannerIn(kernel: Buffer): string {
  const at = kernel.indexOf(/* its first digit tells it from the format */ 'Linux version 6');
  const end = kernel.indexOf('\n', at);
  return at === -1 ? 'Linux version unknown' : kernel.toString('latin1', at, Math.min(end, at + 300));
}

/** Writes over a part of a file. */
export async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, at);
  } finally {
    await file.close();
  }
}

export async function fillWith(path: string, byte: number): Promise<void> {
  const { size } = await stat(path);
  await writeFile(path, Buffer.alloc(size, byte));
}
