/**
 * Reading and sealing manifests of golden versions; what one holds is the contract's business (contract/golden.ts). The manifest file is the
 * commit point of a golden.
 */
import { goldenManifestSchema } from '@linstock/contract';
import type { GoldenManifest } from '@linstock/contract';
import { sha256 } from '../tools/files.ts';

/** A content-addressed file, as manifests name it. */
export type BlobRecord = { blob: string; bytes: number };

/** Options of the kernel that decide whether a microVM boots, and how; each is stated in the manifest. */
export const MANIFEST_OPTIONS = [
  'ACPI',
  'BLK_DEV_INITRD',
  'CRYPTO_CRC32C',
  'DEVTMPFS',
  'DEVTMPFS_MOUNT',
  'EXT4_FS',
  'HW_RANDOM_VIRTIO',
  'HYPERVISOR_GUEST',
  'IKCONFIG',
  'IP_PNP',
  'KVM_GUEST',
  'MAGIC_SYSRQ',
  'MODULES',
  'NET_9P_VIRTIO',
  'OVERLAY_FS',
  'PCI',
  'PVH',
  'PVPANIC_MMIO',
  'RD_GZIP',
  'RTC_DRV_CMOS',
  'SERIAL_8250_CONSOLE',
  'SERIO_I8042',
  'SQUASHFS',
  'SWIOTLB',
  'TMPFS',
  'UNIX',
  'VIRTIO_BALLOON',
  'VIRTIO_BLK',
  'VIRTIO_CONSOLE',
  'VIRTIO_MMIO',
  'VIRTIO_MMIO_CMDLINE_DEVICES',
  'VIRTIO_NET',
  'VIRTIO_VSOCKETS',
  'X86_X2APIC',
] as const;

/** A manifest before the store has numbered and dated it. */
export type GoldenContent = Omit<GoldenManifest, 'schema' | 'version' | 'digest' | 'createdAt'>;

/** Whether it was made with all of these, whatever else. */
export function isMadeWith({ madeWith }: { madeWith: Readonly<Record<string, string>> }, key: Readonly<Record<string, string>>): boolean {
  return Object.entries(key).every(([what, value]) => madeWith[what] === value);
}

/** JSON with sorted keys and no spaces: one text for one value. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, part]) => `${JSON.stringify(key)}:${canonicalJson(part)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** The digest is over everything but itself and the date. */
export function sealManifest(content: GoldenContent, version: number, createdAt: number): GoldenManifest {
  const named = { ...content, schema: 1, version };
  return goldenManifestSchema.parse({ ...named, digest: sha256(canonicalJson(named)), createdAt });
}

/** A manifest file's text → the manifest, or undefined when it is not one or its digest is not that of its content. */
export function parseManifest(text: string): GoldenManifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: the caller says that the golden is damaged, which is all there is to know.
    return undefined;
  }
  const parsed = goldenManifestSchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { digest: stated, createdAt: _createdAt, ...named } = parsed.data;
  return sha256(canonicalJson(named)) === stated ? parsed.data : undefined;
}
