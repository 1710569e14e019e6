/** Options that are often blamed, or demanded, and play no part: with the reason, so that nobody builds a kernel for them. Pure. */
import type { Transport } from './requirement.ts';

export type NoPart = { option: string; transport?: Transport; why: string };

const NO_BOUNCE =
  'the VMM never offers VIRTIO_F_ACCESS_PLATFORM (bit 33), so virtio hands guest-physical addresses over and nothing is ever bounced';
const DMA_LINE =
  '"virtio-mmio: Failed to enable 64-bit or 32-bit DMA" comes from kernels before 5.4, whose platform devices have no DMA mask, is harmless, and no option cures it';

export const noParts: readonly NoPart[] = [
  {
    option: 'SWIOTLB',
    why: `${NO_BOUNCE}. On x86-64 it cannot be turned off; swiotlb=noforce saves 64 MiB where memory reaches above 4 GiB`,
  },
  { option: 'SWIOTLB_DYNAMIC', why: `bounce buffers play no part: ${NO_BOUNCE}` },
  { option: 'DMA_RESTRICTED_POOL', why: `bounce buffers play no part: ${NO_BOUNCE}` },
  { option: 'ZONE_DMA32', why: DMA_LINE },
  { option: 'IOMMU_SUPPORT', why: 'the guest has no IOMMU' },
  { option: 'INTEL_IOMMU', why: 'the guest has no IOMMU' },
  { option: 'VIRTIO_IOMMU', why: 'the guest has no such device' },
  { option: 'IKCONFIG', why: 'it only tells what was built: without it /proc/config.gz is missing and everything runs' },
  { option: 'VIRTIO_PCI', transport: 'mmio', why: 'there is no PCI device: all devices are virtio-mmio' },
];
