import { expect, test } from 'vitest';
import type { JudgedRequirement, KernelReport } from '@linstock/contract';
import { kernelCheckSchema } from '@linstock/contract';
import { known } from '../versions.ts';
import { aGolden } from '@linstock/testkit';
import { checkedOptions, checkKernel, needsOfGolden, type CheckTarget } from './check.ts';
import { knownOptions } from './options.ts';
import { aReport } from './testing/report.ts';

const firecracker = (version = '1.9.1', more: Partial<CheckTarget> = {}): CheckTarget =>
  ({ vmm: 'firecracker', version: known(version), transport: 'mmio', needs: [], ...more }) as CheckTarget;
const qemu = (needs: readonly string[] = []): CheckTarget => ({ vmm: 'qemu', version: null, transport: 'mmio', needs });

/** Every option that is looked at is there. */
const all = Object.fromEntries(checkedOptions.map((option) => [option, 'yes' as const]));
const but = (values: Parameters<typeof aReport>[0], more: Partial<KernelReport> = {}): KernelReport => aReport({ ...all, ...values }, more);

function row(report: KernelReport, target: CheckTarget, id: string): JudgedRequirement {
  const found = checkKernel(report, target).requirements.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no requirement ${id}`);
  return found;
}

test('a kernel that has everything fits everywhere', () => {
  for (const target of [firecracker(), firecracker('1.16.1', { transport: 'pci' }), qemu()]) {
    const check = checkKernel(but({}), target);
    expect(check.requirements.filter(({ verdict }) => verdict !== 'met' && verdict !== 'not-applicable')).toEqual([]);
    expect(check.verdict).toBe('fits');
    expect(() => kernelCheckSchema.parse(check)).not.toThrow();
  }
});

test('what the check reads is what Linstock knows', () => {
  expect(checkedOptions.filter((option) => !knownOptions.includes(option))).toEqual([]);
});

test('nothing known is unknown, not missing', () => {
  const check = checkKernel(aReport({}), firecracker());
  expect(check.verdict).toBe('unknown');
  expect(check.requirements.filter(({ verdict }) => verdict === 'missing')).toEqual([]);
  expect(row(aReport({}), firecracker(), 'disk').next).toContain('--config');
});

test('an option that is off is missing, with its symptom and what to build', () => {
  expect(row(but({ VIRTIO_NET: 'no' }), firecracker(), 'network')).toMatchObject({
    verdict: 'missing',
    needs: 'NET and INET and VIRTIO_NET',
    found: 'VIRTIO_NET: no (made up: no); there: NET, INET',
    symptom: expect.stringContaining('IP-Config'),
    next: 'build the kernel with CONFIG_VIRTIO_NET=y',
  });
  expect(checkKernel(but({ VIRTIO_NET: 'no' }), firecracker()).verdict).toBe('missing');
});

test('where an initrd runs, the kernel says nothing of a root that cannot be mounted', () => {
  const embedded = { initrd: { embedded: 'yes', why: 'made up' } } as const;
  expect(row(but({ EXT4_FS: 'no' }), qemu(), 'root').symptom).toMatch(/^No filesystem could mount root/);
  for (const one of [row(but({ EXT4_FS: 'no' }), qemu(['initrd']), 'root'), row(but({ EXT4_FS: 'no' }, embedded), qemu(), 'root')]) {
    expect(one).toMatchObject({ verdict: 'missing', symptom: expect.stringContaining('the initrd looks for the root') });
  }
  expect(row(but({ IP_PNP: 'no' }, embedded), qemu(['ip-autoconfig']), 'ip-autoconfig').symptom).toContain('Unknown kernel command line');
});

test('a golden version brings its own needs, and the options of its manifest', () => {
  const asked = needsOfGolden(aGolden({ requires: ['FUSE_FS', 'IP_PNP'], bootArgs: ['console=ttyS0', 'ip={ip}'] }));
  expect(asked).toEqual({ needs: ['agent', 'initrd', 'ip-autoconfig'], golden: { name: 'tiny@1', requires: ['FUSE_FS', 'IP_PNP'] } });
  const target: CheckTarget = { ...qemu(asked.needs), golden: asked.golden };
  const check = checkKernel(but({ FUSE_FS: 'no', VIRTIO_BLK: 'module' }), target);
  expect(check.target.golden).toBe('tiny@1');
  expect(check.verdict).toBe('missing');
  expect(check.requirements.filter(({ verdict }) => verdict === 'missing')).toMatchObject([
    { id: 'golden', needs: 'FUSE_FS', why: 'the manifest of tiny@1 requires it' },
  ]);
  expect(checkKernel(but({ FUSE_FS: 'module' }), target).verdict).toBe('fits');
  expect(needsOfGolden(aGolden({ agent: false, bootArgs: [], initrd: null })).needs).toEqual([]);
});

test('what is advised and missing is no failure', () => {
  const report = but({ HW_RANDOM_VIRTIO: 'no' });
  expect(row(report, firecracker(), 'entropy')).toMatchObject({ level: 'advised', verdict: 'missing' });
  expect(checkKernel(report, firecracker()).verdict).toBe('fits');
});

test.each(['module', 'not built in'] as const)('a driver of the root disk that is %s needs an initrd', (value) => {
  const report = but({ VIRTIO_BLK: value });
  expect(row(report, qemu(), 'disk')).toMatchObject({ verdict: 'missing', next: expect.stringContaining('--needs initrd') });
  expect(row(report, qemu(['initrd']), 'disk').verdict).toBe(value === 'module' ? 'met' : 'unknown');
});

test('what is loaded later may be a module', () => {
  expect(row(but({ VIRTIO_VSOCKETS: 'module' }), firecracker('1.9.1', { needs: ['agent'] }), 'agent').verdict).toBe('met');
  expect(row(but({ IP_PNP: 'no' }), firecracker('1.9.1', { needs: ['ip-autoconfig'] }), 'ip-autoconfig').verdict).toBe('missing');
});

test('the agent answers over vsock on Firecracker and over virtio-serial on QEMU', () => {
  const report = but({ VIRTIO_CONSOLE: 'no' });
  expect(row(report, firecracker('1.9.1', { needs: ['agent'] }), 'agent').verdict).toBe('met');
  expect(row(report, qemu(['agent']), 'agent').verdict).toBe('missing');
});

test.each([
  ['ACPI with PCI', {}, {}, 'met'],
  ['ACPI without PCI, as kernel.org builds it', { PCI: 'no' }, {}, 'missing'],
  [
    'ACPI without PCI in a kernel of Amazon',
    { PCI: 'no' },
    { banner: 'Linux version 5.10.1 (a@b) (GNU ld version 2.35.2-9.amzn2.0.1) #1 SMP' },
    'met',
  ],
  ['the older way', { ACPI: 'no', PCI: 'no' }, {}, 'met'],
  ['neither way', { ACPI: 'no', VIRTIO_MMIO_CMDLINE_DEVICES: 'no' }, {}, 'missing'],
  ['without ACPI, and no MP table', { ACPI: 'no', X86_MPPARSE: 'no' }, {}, 'missing'],
  ['ACPI not known', { ACPI: 'unknown', PCI: 'unknown' }, {}, 'unknown'],
] as const)('how devices are found on Firecracker: %s', (_what, values, more, verdict) => {
  expect(row(but(values, more), firecracker(), 'discovery').verdict).toBe(verdict);
});

test('QEMU describes its devices by ACPI only', () => {
  expect(row(but({ ACPI: 'no' }), qemu(), 'discovery').verdict).toBe('missing');
});

test('an option that the version has not got is not missing', () => {
  const nft = { needs: ['nft'] };
  expect(row(but({ NFT_COUNTER: 'no' }), firecracker('1.9.1', nft), 'nft-counter')).toMatchObject({
    verdict: 'not-applicable',
    found: 'NFT_COUNTER: Linux 5.17 and newer have no such option',
  });
  const old = but({ NFT_COUNTER: 'no' }, { release: '5.10.200', banner: 'Linux version 5.10.200 (a@b) #1 SMP' });
  expect(row(old, firecracker('1.9.1', nft), 'nft-counter').verdict).toBe('missing');
  const newer = but({ BLK_MQ_PCI: 'no' }, { release: '6.18.2' });
  expect(row(newer, firecracker('1.16.1', { transport: 'pci' }), 'pci-bridge').verdict).toBe('met');
});

test('SWIOTLB and its kin play no part, with the reason, and one that cannot exist is said not to', () => {
  const { noPart, requirements } = checkKernel(but({ SWIOTLB: 'no', SWIOTLB_DYNAMIC: 'no', IKCONFIG: 'no' }), firecracker());
  const of = (option: string) => noPart.find((one) => one.option === option);
  expect(of('SWIOTLB')).toMatchObject({ found: 'no', why: expect.stringContaining('VIRTIO_F_ACCESS_PLATFORM') });
  expect(of('SWIOTLB_DYNAMIC')?.found).toBe('Linux before 6.6 has no such option');
  expect(of('IKCONFIG')?.found).toBe('no');
  expect(requirements.some(({ needs }) => needs.includes('SWIOTLB'))).toBe(false);
  expect(checkKernel(but({}), firecracker('1.16.1', { transport: 'pci' })).noPart.some(({ option }) => option === 'VIRTIO_PCI')).toBe(
    false,
  );
});

test.each([
  ['1.16.1', { format: 'bzImage' }, 'missing'],
  ['1.17.0', { format: 'bzImage' }, 'met'],
  ['1.9.1', { format: 'ELF vmlinux', wrapped: 'gzip' }, 'missing'],
  ['1.9.1', {}, 'met'],
] as const)('Firecracker %s and a file that is %o', (version, more, verdict) => {
  expect(row(but({}, more), firecracker(version), 'format').verdict).toBe(verdict);
});

test('which guest kernels a Firecracker is tested with', () => {
  const of = (release: string, version: string) => row(but({}, { release }), firecracker(version), 'tested-version').verdict;
  expect([
    of('4.14.300', '1.9.1'),
    of('4.14.300', '1.10.0'),
    of('6.1.5', '1.12.1'),
    of('6.18.2', '1.16.1'),
    of('6.12.1', '1.16.1'),
  ]).toEqual(['met', 'missing', 'met', 'met', 'missing']);
});

test('QEMU needs the PVH note', () => {
  const without = { protocol: 'PVH', works: false, detail: 'no PVH note' };
  expect(row(but({}, { boot: [without] }), qemu(), 'pvh')).toMatchObject({
    verdict: 'missing',
    symptom: expect.stringContaining('PVH ELF Note'),
  });
  expect(row(but({}, { boot: [without], unreadable: 'lzop is not installed' }), qemu(), 'pvh').verdict).toBe('unknown');
});

test('a kernel for another architecture is judged no further', () => {
  const check = checkKernel(but({}, { arch: 'arm64', format: 'arm64 Image' }), qemu());
  expect(check.verdict).toBe('missing');
  expect(check.requirements.map(({ id }) => id)).toEqual(['arch', 'pvh']);
  expect(check.noPart).toEqual([]);
});

test('a root file system that is asked for takes the place of ext4', () => {
  const report = but({ EXT4_FS: 'no', SQUASHFS: 'yes' });
  expect(row(report, qemu(), 'root').verdict).toBe('missing');
  const squashfs = checkKernel(report, qemu(['squashfs'])).requirements.filter(({ id }) => id === 'root');
  expect(squashfs).toMatchObject([{ needs: 'SQUASHFS', verdict: 'met' }]);
});
