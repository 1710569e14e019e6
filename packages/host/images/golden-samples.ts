/** Builder with defaults for tests: the content of a golden's manifest. Not used by the product. */
import { sha256 } from '../tools/files.ts';
import type { BlobRecord, GoldenContent } from './manifest.ts';

export function aBlobRecord(text: string): BlobRecord {
  return { blob: sha256(text), bytes: text.length };
}

export function aGoldenContent(parts: Partial<GoldenContent> = {}): GoldenContent {
  return {
    name: 'tiny',
    kernel: {
      ...aBlobRecord('kernel'),
      banner: 'Linux version 6.1.99 #1 SMP',
      release: '6.1.99',
      format: 'elf',
      package: null,
      configKnownBy: 'none',
      config: {},
    },
    initrd: null,
    rootfs: { ...aBlobRecord('rootfs'), fstype: 'ext4', virtualBytes: 8 * 1024 * 1024 },
    machine: { vcpus: 1, memoryMiB: 128, leastMemoryMiB: 88 },
    bootArgs: ['console=ttyS0', 'ip={ip}'],
    requires: [],
    userspaceArgs: [],
    ports: [{ port: 6080, level: 'http' }],
    agent: false,
    madeWith: {},
    ...parts,
  };
}
