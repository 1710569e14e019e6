/** Container images made by hand: as an OCI layout in a folder or an archive, or as `docker save` writes them. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '../../../tar/testing/tars.ts';
import type { TarPart } from '../../../tar/testing/tars.ts';

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export type LayoutParts = {
  layers: readonly (readonly TarPart[])[];
  packed?: 'gzip' | 'zstd' | 'plain';
  /** of the configuration */
  config?: Record<string, unknown>;
  platform?: { os: string; architecture: string };
  tag?: string;
};

/** Files of a layout by name. */
export type LayoutFiles = Map<string, Buffer>;

export function layoutOf(images: readonly LayoutParts[]): LayoutFiles {
  const files: LayoutFiles = new Map([['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')]]);
  const blob = (bytes: Buffer): { digest: string; size: number } => {
    files.set(`blobs/${sha256(bytes).replace(':', '/')}`, bytes);
    return { digest: sha256(bytes), size: bytes.length };
  };
  const manifests = images.map((image) => {
    const plain = image.layers.map((parts) => tarOf(parts));
    const layers = plain.map((tar) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...blob(pack(tar, image.packed)) }));
    const config = blob(json(configOf(image, plain)));
    const manifest = blob(json({ schemaVersion: 2, config, layers }));
    const annotations = image.tag === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': image.tag } };
    return {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      ...(image.platform === undefined ? {} : { platform: image.platform }),
      ...annotations,
    };
  });
  files.set('index.json', json({ schemaVersion: 2, manifests }));
  return files;
}

/** As Docker before 25 wrote it: names of its own, and a layer that is a link to another. */
export function saveOf(image: LayoutParts): TarPart[] {
  const plain = image.layers.map((parts) => tarOf(parts));
  const config = json(configOf(image, plain));
  const parts = plain.map((data, index): TarPart => ({ name: `layer${index}/layer.tar`, data }));
  const names = parts.map((part) => part.name);
  return [
    ...parts,
    { name: 'again', type: '2', link: names[0] ?? '' },
    { name: 'config.json', data: config },
    {
      name: 'manifest.json',
      data: json([
        {
          Config: 'config.json',
          RepoTags: [`it:${image.tag ?? 'latest'}`],
          Layers: names.map((name, index) => (index === 0 ? 'again' : name)),
        },
      ]),
    },
  ];
}

export async function writeLayout(files: LayoutFiles, folder: string): Promise<void> {
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
}

export function archiveOf(files: LayoutFiles): Buffer {
  return tarOf([...files].map(([name, data]) => ({ name, data })));
}

function configOf(image: LayoutParts, plain: readonly Buffer[]): unknown {
  return {
    architecture: image.platform?.architecture ?? 'amd64',
    os: image.platform?.os ?? 'linux',
    config: image.config ?? { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: plain.map(sha256) },
  };
}

function pack(tar: Buffer, how: LayoutParts['packed']): Buffer {
  return how === 'gzip' ? gzipSync(tar) : how === 'zstd' ? zstdCompressSync(tar) : tar;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
