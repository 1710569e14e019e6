import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kernelRecordSchema } from '@linstock/contract';
import { elfSample } from '@linstock/testkit/kernel-samples';
import { aBlobRecord, aGoldenContent } from '../images/golden-samples.ts';
import { lacks } from '../images/real-needs.ts';
import { ImageStore } from '../images/store.ts';
import { exec } from '../tools/exec.ts';
import { sha256 } from '../tools/files.ts';
import { keepKernel, nameOf } from './keep.ts';
import { keptModules } from './module-tree.ts';
import { readKernelPackage } from './package.ts';
import { KernelShelf } from './shelf.ts';
import { moduleSample } from './testing/module-sample.ts';

let folder: string;
let now: number;
let store: ImageStore;
let shelf: KernelShelf;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shelf-'));
  now = Date.now();
  store = new ImageStore({ folder: join(folder, 'store'), now: () => now });
  await store.open();
  shelf = new KernelShelf(store);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const HOUR = 3_600_000;
const CONFIG = '# Linux/x86 6.1.99 Kernel Configuration\nCONFIG_X86_64=y\nCONFIG_SMP=y\nCONFIG_PVH=y\n';
const ikconfig = Buffer.concat([Buffer.from('IKCFG_ST'), gzipSync(CONFIG), Buffer.from('IKCFG_ED')]);

async function file(name: string, data: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, data);
  return path;
}
const blobs = async (): Promise<string[]> => (await readdir(join(store.folder, 'blobs/sha256'))).toSorted();
/** Everything the store holds, but for the empty folders it is made with. */
const contents = async (): Promise<string[]> =>
  (await readdir(store.folder, { recursive: true })).filter((path) => !/^(blobs|blobs\/sha256|blobs\/sample|goldens|scratch)$/.test(path));

test('a vmlinux is kept as it is, under a name made of its release, with the configuration inside of it', async () => {
  const bytes = elfSample({ tail: ikconfig });
  const { record, made } = await keepKernel(store, { path: await file('vmlinux', bytes) });
  expect(made).toBe(true);
  expect(record).toMatchObject({
    name: 'linux-6-1-99-test',
    version: 1,
    createdAt: now,
    kernel: { blob: sha256(bytes), bytes: bytes.length, release: '6.1.99-test', pvh: true, leastMemoryMiB: 31 },
    file: { format: 'ELF vmlinux', compression: 'none', bytes: bytes.length, sha256: sha256(bytes) },
    config: { blob: sha256(CONFIG), by: 'ikconfig', file: null },
    modules: null,
    from: { is: 'file', file: 'vmlinux' },
  });
  expect(await shelf.all()).toEqual({ items: [record], damaged: [] });
  expect(await readFile(store.blobPath(sha256(CONFIG)), 'utf8')).toBe(CONFIG);
  expect(await blobs()).toEqual([sha256(bytes), sha256(CONFIG)].toSorted());
});

test('the same again is the same version; other bytes are the next one, and numbers of deleted ones are not given again', async () => {
  const one = await file('one', elfSample());
  const first = await keepKernel(store, { path: one, name: 'mine' });
  expect(await keepKernel(store, { path: one, name: 'mine' })).toMatchObject({ made: false, record: first.record });
  const other = await keepKernel(store, { path: await file('two', elfSample({ tail: Buffer.from('other') })), name: 'mine' });
  expect(other).toMatchObject({ made: true, record: { version: 2 } });
  expect(await shelf.find('mine')).toEqual(other.record);
  expect(await shelf.find('mine@1')).toEqual(first.record);
  expect(await shelf.find('mine@3')).toBeUndefined();
  await expect(shelf.delete('mine')).rejects.toThrow('has the versions 1, 2. Say which: mine@2');
  await shelf.delete('mine@2');
  expect(await keepKernel(store, { path: await file('three', elfSample({ tail: Buffer.from('third') })), name: 'mine' })).toMatchObject({
    record: { version: 3 },
  });
});

test('a configuration beside it is kept, one that is given must be its own', async () => {
  const path = await file('vmlinux', elfSample());
  const config = await file('given', CONFIG);
  expect((await keepKernel(store, { path, configPath: config })).record.config).toMatchObject({ by: 'config-file', file: 'given' });
  const foreign = await file('foreign', CONFIG.replace('6.1.99', '5.10.1'));
  await expect(keepKernel(store, { path, configPath: foreign, name: 'x' })).rejects.toThrow(
    /foreign is not the configuration of .*vmlinux: it is for Linux 5\.10\.1/,
  );
});

test('the configuration of a build is kept whatever the kernel shows of itself', async () => {
  const path = await file('vmlinux', elfSample());
  const from = {
    is: 'build',
    source: { package: 'linux-source-6.1', version: '6.1.99-1' },
    fragments: [],
    recipe: sha256('recipe'),
    compiler: 'gcc',
    linker: 'ld',
    unmet: [],
  } as const;
  const strange = CONFIG.replace('CONFIG_SMP=y\n', '');
  const { record } = await keepKernel(store, {
    path,
    configPath: await file('.config', strange),
    from: { ...from, fragments: [], unmet: [] },
  });
  expect(record).toMatchObject({ from, config: { blob: sha256(strange), by: 'config-file', file: '.config' } });
});

test.each<[string, string | Buffer, Partial<Parameters<typeof keepKernel>[1]>, RegExp]>([
  ['text', 'hello', {}, /is not a kernel|looks like|it is/],
  ['nothing', '', {}, /an empty file/],
  ['another machine', elfSample({ machine: 183 }), {}, /arm64/],
  ['a name that is none', elfSample(), { name: 'Not A Name' }, /A kernel cannot be called "Not A Name"/],
  ['modules of a bare kernel', elfSample(), { modules: true }, /is no Debian package, and only from one can modules be taken/],
  ['a package that is none', '!<arch>\ndebian-binary   ', {}, /cannot be read as a Debian package/],
  ['no such configuration', elfSample(), { configPath: '/nonexistent/config' }, /There is no file \/nonexistent\/config/],
])('refused, with nothing kept: %s', async (_, data, more, say) => {
  await expect(keepKernel(store, { path: await file('given', data), ...more })).rejects.toThrow(say);
  expect(await contents()).toEqual([]);
});

test('what is not there, and a folder, are refused by their path', async () => {
  await expect(keepKernel(store, { path: join(folder, 'none') })).rejects.toThrow('There is no file');
  await expect(keepKernel(store, { path: folder })).rejects.toThrow('is a folder');
  expect(await contents()).toEqual([]);
});

async function deb(tree: string): Promise<string> {
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await writeFile(
    join(tree, 'DEBIAN/control'),
    'Package: linux-image-6.1.99-test\nVersion: 6.1.99-1\nArchitecture: amd64\nMaintainer: a <a@b>\nDescription: x\n',
  );
  const path = `${tree}.deb`;
  const built = await exec(['dpkg-deb', '--root-owner-group', '-Znone', '--build', tree, path], { timeoutMs: 20_000 });
  if (built.code !== 0) throw new Error(built.stderr);
  return path;
}
const noDpkg = await lacks('dpkg-deb', 'prlimit');
const noDepmod = await lacks('depmod');
for (const reason of [noDpkg, noDepmod]) if (reason !== undefined) console.log(`skipped: kernel packages: ${reason}`);

test.skipIf((noDpkg ?? noDepmod) !== undefined)(
  'of a Debian package: kernel, configuration, and modules where they are asked for',
  async () => {
    const tree = join(folder, 'image');
    await mkdir(join(tree, 'boot'), { recursive: true });
    await writeFile(join(tree, 'boot/vmlinuz-6.1.99-test'), elfSample());
    await writeFile(join(tree, 'boot/config-6.1.99-test'), CONFIG);
    await mkdir(join(tree, 'lib/modules/6.1.99-test/kernel'), { recursive: true });
    await writeFile(join(tree, 'lib/modules/6.1.99-test/kernel/a.ko'), moduleSample('a', { alias: 'virtio:d00000001v*' }));
    await symlink('/usr/src/linux', join(tree, 'lib/modules/6.1.99-test/build'));
    const path = await deb(tree);
    const bare = await keepKernel(store, { path, name: 'bare' });
    expect(bare.record).toMatchObject({
      modules: null,
      config: { by: 'config-file', file: 'config-6.1.99-test' },
      from: { is: 'package', file: 'image.deb', package: 'linux-image-6.1.99-test', version: '6.1.99-1' },
    });
    const { modules } = (await keepKernel(store, { path, name: 'whole', modules: true })).record;
    const kept = await keptModules(store.blobPath(modules?.blob ?? ''), { release: '6.1.99-test', called: 'whole@1' });
    const names = [...kept.walk()].map(({ path: name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['6.1.99-test/kernel/a.ko', '6.1.99-test/modules.dep.bin', '6.1.99-test/modules.alias.bin']),
    );
    expect(names.filter((name) => !/^6\.1\.99-test(\/kernel(\/a\.ko)?|\/modules\.[a-z.]+)?$/.test(name))).toEqual([]);
    expect(await kept.text('6.1.99-test/modules.alias')).toContain('alias virtio:d00000001v* a');
    expect((await keepKernel(store, { path, name: 'whole', modules: true })).made).toBe(false);
  },
);

test.skipIf(noDpkg !== undefined)('a package without a kernel, or with a link in its place, is refused', async () => {
  const tree = join(folder, 'image');
  await mkdir(join(tree, 'boot'), { recursive: true });
  const path = await deb(tree);
  await expect(keepKernel(store, { path })).rejects.toThrow(/linux-image-6\.1\.99-test 6\.1\.99-1\) holds no kernel/);
  await symlink(await file('outside', elfSample()), join(tree, 'boot/vmlinuz-1'));
  await expect(keepKernel(store, { path: await deb(tree) })).rejects.toThrow('holds no kernel');
  expect(await contents()).toEqual([]);
});

test.skipIf(noDpkg !== undefined)(
  'a package is looked at before anything of it is on the disk: its size, the names in it, and whose modules it has',
  async () => {
    const tree = join(folder, 'image');
    await mkdir(join(tree, 'boot'), { recursive: true });
    await writeFile(join(tree, 'boot/vmlinuz-6.1.99-test'), elfSample());
    await mkdir(join(tree, 'lib/modules/5.10.0/kernel'), { recursive: true });
    await writeFile(join(tree, 'lib/modules/5.10.0/kernel/a.ko'), moduleSample('a'));
    await writeFile(join(tree, 'zeros'), Buffer.alloc(3 * 1024 * 1024));
    const path = await deb(tree);
    await expect(keepKernel(store, { path, modules: true })).rejects.toThrow(/holds no modules of Linux 6\.1\.99-test, only of 5\.10\.0/);
    expect(await contents()).toEqual([]);
    await mkdir(join(folder, 'scratch'));
    const small = readKernelPackage(path, { scratch: join(folder, 'scratch'), mostBytes: 1024 * 1024 });
    await expect(small).rejects.toThrow(/unpacks to more than 1 MiB, which no kernel package does/);
    expect((await stat(join(folder, 'scratch/package.tar'))).size).toBe(1024 * 1024);
  },
);

test.skipIf(noDpkg !== undefined)('a package with a name that climbs is refused by that name', async () => {
  const tree = join(folder, 'image');
  await mkdir(tree, { recursive: true });
  const path = await deb(tree);
  const parts = join(folder, 'parts');
  await mkdir(parts);
  await writeFile(join(parts, 'harmless'), 'x');
  const run = async (...argv: string[]): Promise<void> => {
    const done = await exec(argv, { timeoutMs: 20_000, cwd: parts });
    if (done.code !== 0) throw new Error(done.stderr);
  };
  await run('ar', 'x', path);
  await run('tar', '--create', '--file=data.tar', '--transform=s,harmless,../../climbs,', '--absolute-names', 'harmless');
  await run('ar', 'r', path, 'debian-binary', 'control.tar', 'data.tar');
  await expect(keepKernel(store, { path })).rejects.toThrow(/"\.\.\/\.\.\/climbs" is none that a file in an image can have/);
  expect(await contents()).toEqual([]);
});

test('a kernel that a golden version is made with stays; one that nobody uses goes with its blobs, once they are no longer young', async () => {
  const { record } = await keepKernel(store, { path: await file('vmlinux', elfSample({ tail: ikconfig })), name: 'mine' });
  const golden = await store.exclusively(undefined, (scratch) => {
    const content = aGoldenContent();
    return store.seal({ ...content, kernel: { ...content.kernel, blob: record.kernel.blob } }, scratch);
  });
  await expect(shelf.delete('mine')).rejects.toThrow('The kernel mine@1 is that of tiny@1. Delete that golden version first.');
  expect((await shelf.all()).items).toEqual([record]);
  now += 2 * HOUR;
  await store.drop(golden);
  expect(await blobs()).toEqual([record.kernel.blob, record.config?.blob ?? ''].toSorted()); // the record keeps its own
  const bytes = record.kernel.bytes + (record.config?.bytes ?? 0);
  expect(await shelf.delete('mine')).toEqual({ deleted: 'mine@1', freed: { bytes, kept: [] } });
  expect(await blobs()).toEqual([]);
  await expect(shelf.delete('mine')).rejects.toThrow('There is no kernel mine.');
});

test('a deleted kernel whose blobs are young, or are those of another, says what stays and why', async () => {
  const path = await file('vmlinux', elfSample());
  const { record } = await keepKernel(store, { path, name: 'one' });
  await keepKernel(store, { path, name: 'two' });
  now += 2 * HOUR;
  const shared = await shelf.delete('one');
  expect(shared.freed).toMatchObject({
    bytes: 0,
    kept: [{ blob: record.kernel.blob, why: expect.stringContaining('another kernel is made of it') }],
  });
  now -= 2 * HOUR;
  expect((await shelf.delete('two')).freed).toMatchObject({ bytes: 0, kept: [{ why: expect.stringContaining('younger than an hour') }] });
  expect(await blobs()).toEqual([record.kernel.blob]);
});

test('a damaged record is told, can be deleted, and until then nothing unused is removed', async () => {
  const { record } = await keepKernel(store, { path: await file('vmlinux', elfSample()), name: 'mine' });
  const path = join(store.folder, 'kernels/mine/1/record.json');
  await rm(path);
  await writeFile(path, '{"schema":1}');
  expect(await shelf.all()).toEqual({ items: [], damaged: [path] });
  now += 2 * HOUR;
  expect(await store.dropUnused()).toEqual({ dropped: [], young: [] });
  expect(await blobs()).toEqual([record.kernel.blob]);
  expect(await shelf.delete('mine')).toEqual({ deleted: 'mine@1', freed: { bytes: 0, kept: [] } });
  expect(await blobs()).toEqual([]);
});

test.each([
  ['6.1.0-56-cloud-amd64', 'linux-6-1-0-56-cloud-amd64'],
  ['6.1.99+', 'linux-6-1-99'],
  ['x'.repeat(100), `linux-${'x'.repeat(57)}`],
])('a release %s is called %s', (release, name) => {
  expect(nameOf(release)).toBe(name);
});

test('a record says nothing that its schema does not know', () => {
  const record = {
    schema: 1,
    name: 'a',
    version: 1,
    createdAt: 0,
    kernel: { ...aBlobRecord('k'), release: '6.1', banner: 'Linux version 6.1', pvh: true, leastMemoryMiB: 31 },
    file: { format: 'bzImage', compression: 'gzip', bytes: 1, sha256: sha256('f') },
    config: null,
    modules: null,
    from: { is: 'file', file: 'f' },
  };
  expect(kernelRecordSchema.safeParse(record).success).toBe(true);
  expect(kernelRecordSchema.safeParse({ ...record, more: 1 }).success).toBe(false);
  expect(kernelRecordSchema.safeParse({ ...record, version: 0 }).success).toBe(false);
  expect(kernelRecordSchema.safeParse({ ...record, from: { is: 'file' } }).success).toBe(false);
});
