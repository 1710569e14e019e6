/**
 * Two real images of 200 blocks of 1 KiB with the same tree, made by mke2fs 1.47.0: `ext4` (-O ^has_journal,^resize_inode,inline_data,metadata_csum,64bit)
 * with extents and inline data, `ext2` (-O ^resize_inode) with block maps. In the tree: a file of 21,000 bytes, one with a hole, a folder of 20 files, short
 * and long links, an executable script.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

export function smallImage(kind: 'ext4' | 'ext2'): Buffer {
  const text = readFileSync(join(import.meta.dirname, '..', 'fixtures', `${kind}.zst.base64`), 'utf8');
  return zstdDecompressSync(Buffer.from(text, 'base64'));
}
