import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kernelReportSchema, type KernelReport } from '@linstock/contract';
import { arm64Sample, bzImageSample, cpioSample, elfSample } from '@linstock/testkit/kernel-samples';
import { checkTargetOf, lookAtTwoKernels, lookIntoKernel, lookWhetherKernelFits } from './look.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-kernels-'));
});
afterAll(() => rm(folder, { recursive: true }));

const BANNER = 'Linux version 6.1.99-test (someone@somewhere) (gcc 12.2.0) #1 SMP Mon Nov 24\n';
/** As much of a kernel as is looked at: a banner, texts that show options, what stands in every kernel beside them. */
const SHOWN = ['virtio_net.napi_weight', '\0nfsaddrs=\0', 'Kernel command line: %s', 'workqueue.power_efficient', '\0rootfstype=\0'];
const kernel = (texts: readonly string[] = SHOWN): Buffer => elfSample({ banner: `${BANNER}\0${texts.join('\0')}` });
const CONFIG =
  '# Linux/x86 6.1.99 Kernel Configuration\nCONFIG_SMP=y\nCONFIG_PVH=y\nCONFIG_VIRTIO_NET=y\nCONFIG_IP_PNP=y\nCONFIG_NR_CPUS=8\nCONFIG_EXT4_FS=m\n';

async function put(name: string, data: Buffer | string): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, data);
  return path;
}

const option = (report: KernelReport, name: string) => report.options.find((one) => one.option === name);

test('a vmlinux without any configuration: what it is, and what it shows', async () => {
  const report = await lookIntoKernel({ path: await put('bare/vmlinux', kernel()) }, 'known');
  expect(() => kernelReportSchema.parse(report)).not.toThrow();
  expect(report).toMatchObject({
    format: 'ELF vmlinux',
    compression: 'none',
    wrapped: null,
    release: '6.1.99-test',
    build: { user: 'someone', host: 'somewhere', compiler: 'gcc 12.2.0', number: '1', flags: ['SMP'] },
    leastMemoryMiB: 31,
    config: { by: 'none', file: null, refused: [] },
    boot: [
      { protocol: 'PVH', works: true },
      { protocol: '64-bit Linux', works: true },
      { protocol: 'EFI stub', works: false },
    ],
  });
  expect(option(report, 'VIRTIO_NET')).toMatchObject({ value: 'yes', by: 'proved-by', how: '"virtio_net.napi_weight" is in it' });
  const at = option(report, 'VIRTIO_NET')?.offset ?? -1;
  expect(kernel().toString('latin1', at, at + 10)).toBe('virtio_net');
  expect(option(report, 'NET')).toMatchObject({ value: 'yes', by: 'implied' });
  expect(option(report, 'SWIOTLB')).toMatchObject({ value: 'yes', by: 'arch' });
  expect(option(report, 'SWIOTLB_DYNAMIC')).toMatchObject({ value: 'no', by: 'version' });
  expect(option(report, 'MODULES')).toMatchObject({ value: 'no', by: 'absent-proved' });
  expect(option(report, 'DEVTMPFS_MOUNT')).toMatchObject({ value: 'no', by: 'implied' });
  expect(option(report, 'BINFMT_SCRIPT')).toMatchObject({ value: 'unknown', by: 'nothing' });
});

test('without messages in a kernel, their absence says nothing', async () => {
  const silent = SHOWN.filter((text) => !text.startsWith('Kernel command line'));
  const report = await lookIntoKernel({ path: await put('silent/vmlinux', kernel(silent)) }, 'known');
  expect(option(report, 'MODULES')?.value).toBe('unknown');
  expect(option(report, 'EXT4_FS')).toMatchObject({ value: 'unknown', by: 'nothing' });
  // a parameter is no message
  expect(option(report, 'HW_RANDOM')).toMatchObject({ builtIn: false });
});

test('the configuration inside of the kernel answers everything', async () => {
  const marked = Buffer.concat([Buffer.from(`${BANNER}\0`), Buffer.from('IKCFG_ST'), gzipSync(CONFIG), Buffer.from('IKCFG_ED')]);
  const path = await put('ik/vmlinux', elfSample({ banner: marked.toString('latin1') }));
  const report = await lookIntoKernel({ path }, 'all');
  expect(report.config).toEqual({ by: 'ikconfig', file: null, refused: [] });
  const given = await put('ik/given', CONFIG);
  expect((await lookIntoKernel({ path, configPath: given }, [])).config).toMatchObject({ by: 'ikconfig', refused: [{ file: given }] });
  expect(option(report, 'EXT4_FS')).toMatchObject({ value: 'module', by: 'ikconfig', how: 'CONFIG_EXT4_FS=m' });
  expect(option(report, 'NR_CPUS')).toMatchObject({ value: 'yes', setting: '8' });
  expect(option(report, 'VSOCKETS')).toMatchObject({ value: 'no', by: 'ikconfig' });
  expect(option(report, 'SWIOTLB_DYNAMIC')).toMatchObject({ value: 'no', by: 'version' });
});

test('a gzip bomb between the marks is no configuration', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  const marked = Buffer.concat([Buffer.from(`${BANNER}\0IKCFG_ST`), bomb, Buffer.from('IKCFG_ED')]);
  const path = await put('bomb/vmlinux', elfSample({ banner: marked.toString('latin1') }));
  expect((await lookIntoKernel({ path }, 'known')).config.by).toBe('none');
});

test.each(['config-6.1.99-test', '.config'])('a configuration beside the file is found: %s', async (name) => {
  const path = await put(`beside${name}/vmlinux`, kernel());
  const file = await put(`beside${name}/${name}`, CONFIG);
  const report = await lookIntoKernel({ path }, ['IP_PNP', 'EXT4_FS']);
  expect(report.config).toEqual({ by: 'config-file', file, refused: [] });
  expect(report.options).toMatchObject([
    { option: 'IP_PNP', value: 'yes', by: 'config-file' },
    { option: 'EXT4_FS', value: 'module' },
  ]);
});

test.each([
  ['another version', CONFIG.replace('6.1.99', '6.1.98'), /for Linux 6\.1\.98/],
  [
    'what the kernel holds is said to be off',
    CONFIG.replace('CONFIG_IP_PNP=y', '# CONFIG_IP_PNP is not set'),
    /IP_PNP is off, and the kernel shows otherwise: "\\0nfsaddrs=\\0" is in it/,
  ],
  ['what the kernel lacks is said to be built in', `${CONFIG}CONFIG_VIRTIO_BLK=y\n`, /CONFIG_VIRTIO_BLK=y, and the kernel shows otherwise/],
  ['a fragment', 'CONFIG_IP_PNP=y\n', /a fragment or a defconfig/],
])('a configuration that contradicts the kernel is not believed: %s', async (what, text, why) => {
  const path = await put(`wrong ${what}/vmlinux`, kernel());
  const file = await put(`wrong ${what}/given`, text);
  const report = await lookIntoKernel({ path, configPath: file }, 'known');
  expect(report.config).toEqual({ by: 'none', file: null, refused: [{ file, why: expect.stringMatching(why) }] });
  expect(option(report, 'IP_PNP')).toMatchObject({ value: 'yes', by: 'proved-by' });
});

test('a folder called .config beside the file is none of its business', async () => {
  const path = await put('home/vmlinux', kernel());
  await put('home/.config/settings', 'x');
  expect((await lookIntoKernel({ path }, [])).config).toEqual({ by: 'none', file: null, refused: [] });
});

test('for another architecture, what is there is told and what is not says nothing', async () => {
  const beside = ['Kernel command line: %s', 'Attempted to kill init! exitcode=0x%08x', 'virtio_net.napi_weight'];
  const path = await put('arm/Image', arm64Sample(`${BANNER}\0${beside.join('\0')}\0`));
  const report = await lookIntoKernel({ path }, ['VIRTIO_NET', 'PARAVIRT', 'SWIOTLB']);
  expect(report.options).toMatchObject([{ value: 'yes' }, { value: 'unknown', builtIn: null }, { value: 'unknown' }]);
});

test('a release that is a path leads to no file', async () => {
  const path = await put('path/vmlinux', elfSample({ banner: BANNER.replace('6.1.99-test', '6.1.99/../secret') }));
  await put('path/secret', CONFIG);
  expect((await lookIntoKernel({ path }, [])).config).toEqual({ by: 'none', file: null, refused: [] });
});

test('a module in an embedded archive is not taken for the driver in the kernel', async () => {
  const archive = cpioSample(['init', 'bin', 'virtio_net.napi_weight', 'lib', 'etc']);
  const length = Buffer.alloc(8);
  length.writeUInt32LE(archive.length);
  const path = await put('archive/vmlinux', elfSample({ banner: BANNER, tail: Buffer.concat([archive, length]) }));
  const report = await lookIntoKernel({ path }, ['VIRTIO_NET', 'BLK_DEV_INITRD']);
  expect(report.initrd).toEqual({ embedded: 'yes', why: expect.stringContaining('5 entries') });
  expect(report.options).toMatchObject([
    { option: 'VIRTIO_NET', value: 'unknown' },
    { option: 'BLK_DEV_INITRD', value: 'yes', by: 'proved-by' },
  ]);
});

test('a bzImage whose inside cannot be read: its header is told, options are unknown, a check says so', async () => {
  const broken = zstdCompressSync(kernel());
  broken.fill(0xff, 20, 60);
  const path = await put('broken/vmlinuz', bzImageSample(broken, 1));
  const report = await lookIntoKernel({ path }, 'known');
  expect(report).toMatchObject({
    format: 'bzImage',
    compression: 'zstd',
    release: '6.1.99-test',
    unpackedBytes: null,
    unreadable: expect.stringContaining('damaged'),
    initrd: { embedded: 'unknown' },
  });
  expect(option(report, 'VIRTIO_NET')).toMatchObject({ value: 'unknown', how: 'the kernel inside of the file could not be read' });
  const asked = checkTargetOf({ for: 'qemu', transport: undefined, needs: [] });
  if (!asked.ok) throw new Error(asked.say);
  expect((await lookWhetherKernelFits({ path }, asked.target)).verdict).toBe('unknown');
});

test('an arm64 kernel in a compressed file', async () => {
  const report = await lookIntoKernel({ path: await put('arm/Image.gz', gzipSync(arm64Sample())) }, ['EXT4_FS']);
  expect(report).toMatchObject({ format: 'arm64 Image', wrapped: 'gzip', arch: 'arm64', leastMemoryMiB: null });
});

test('two kernels side by side', async () => {
  const a = await put('two/a/vmlinux', kernel());
  await put('two/a/.config', `${CONFIG}CONFIG_ONLY_A=y\n`);
  const b = await put('two/b/vmlinux', kernel(SHOWN.filter((text) => !text.startsWith('virtio_net'))));
  const diff = await lookAtTwoKernels({ path: a }, { path: b });
  expect(diff.options.map((one) => [one.option, one.a.by, one.b.by])).toContainEqual(['VIRTIO_NET', 'config-file', 'absent-proved']);
  expect(diff.oneSided.map(({ option: name }) => name)).toContain('ONLY_A');
});

test.each([
  ['no such file', 'none', 'There is no file'],
  ['a folder', '.', 'is a folder'],
  ['a device without end', '/dev/zero', 'is not an ordinary file'],
])('%s is refused with a sentence', async (_what, name, words) => {
  await expect(lookIntoKernel({ path: name.startsWith('/') ? name : join(folder, name) }, 'known')).rejects.toMatchObject({
    fault: { code: 'image-refused' },
    message: expect.stringContaining(words),
  });
});

test('what is no kernel is named for what it is', async () => {
  const path = await put('text/vmlinux', 'hello\n');
  await expect(lookIntoKernel({ path }, 'known')).rejects.toThrow(`${path}: This is not a kernel: it is a text file.`);
});

test.each([
  [
    { for: 'firecracker@1.9.1', transport: undefined, needs: [] },
    { vmm: 'firecracker', transport: 'mmio', version: { text: '1.9.1' } },
  ],
  [
    { for: 'firecracker', transport: 'pci', needs: ['docker'] },
    { vmm: 'firecracker', transport: 'pci', needs: ['docker'] },
  ],
  [
    { for: 'qemu', transport: 'mmio', needs: [] },
    { vmm: 'qemu', version: null },
  ],
])('a check for %o', (words, target) => {
  expect(checkTargetOf(words)).toMatchObject({ ok: true, target });
});

test.each([
  [{ for: 'xen', transport: undefined, needs: [] }, 'not for xen'],
  [{ for: 'firecracker@1.8.0', transport: undefined, needs: [] }, 'Linstock drives 1.9.1'],
  [{ for: 'firecracker@1.12.1', transport: 'pci', needs: [] }, 'came with 1.13.0'],
  [{ for: 'qemu', transport: 'pci', needs: [] }, 'virtio-mmio only'],
  [{ for: 'qemu', transport: 'usb', needs: [] }, 'mmio or pci'],
  [{ for: 'qemu', transport: undefined, needs: ['toast'] }, 'nothing called toast'],
])('a check that cannot be meant: %o', (words, say) => {
  expect(checkTargetOf(words)).toEqual({ ok: false, say: expect.stringContaining(say) });
});
