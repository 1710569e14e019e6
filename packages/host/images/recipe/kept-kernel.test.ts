import { mkdtemp, rm, truncate, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { elfSample } from '@linstock/testkit/kernel-samples';
import { keepKernel } from '../../kernels/keep.ts';
import { packModules } from '../../kernels/module-tree.ts';
import { KernelShelf } from '../../kernels/shelf.ts';
import { moduleSample } from '../../kernels/testing/module-sample.ts';
import { lacks } from '../real-needs.ts';
import { ImageStore } from '../store.ts';
import { writeTar } from '../tree/tar-write.ts';
import { Tree, fileNode, folderNode, linkNode, type Folder } from '../tree/tree.ts';
import { howItBoots, keyOfKept, readKeptKernel, REQUIRES_ALONE, type KeptBoot } from './kept-kernel.ts';
import { layModules, modulesKey } from './modules.ts';

const noDepmod = await lacks('depmod');
if (noDepmod !== undefined) console.log(`skipped: modules of kept kernels: ${noDepmod}`);

let folder: string;
let store: ImageStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
  store = new ImageStore({ folder: join(folder, 'store'), now: Date.now });
  await store.open();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const RELEASE = '6.1.99-test';
const built = Object.fromEntries(REQUIRES_ALONE.map((option) => [option, 'y']));

/** Keeps a kernel with everything that is needed built in, but for what `values` says. */
async function keep(values: Readonly<Record<string, string>> = {}): Promise<void> {
  const options = { ...built, X86_64: 'y', SMP: 'y', ...values };
  const lines = Object.entries(options).map(([option, value]) =>
    value === 'n' ? `# CONFIG_${option} is not set` : `CONFIG_${option}=${value}`,
  );
  await writeFile(join(folder, 'vmlinux'), elfSample());
  await writeFile(join(folder, 'config'), `# Linux/x86 6.1.99 Kernel Configuration\n${lines.join('\n')}\n`);
  await keepKernel(store, { path: join(folder, 'vmlinux'), configPath: join(folder, 'config'), name: 'mine' });
}
/** The newest kernel once more, with this archive of modules. */
async function withModules(archive: (file: string) => Promise<void>): Promise<void> {
  const shelf = new KernelShelf(store);
  const record = await shelf.find('mine');
  if (record === undefined) throw new Error('nothing was kept');
  const file = join(folder, 'modules.tar');
  await archive(file);
  const modules = await store.adoptBlob(file);
  const { schema: _schema, version: _version, createdAt: _createdAt, ...content } = record;
  await store.withScratch((scratch) => shelf.put({ ...content, modules }, scratch));
}
function moduleFolder(...names: string[]): Folder {
  const tree = new Tree();
  for (const name of names) tree.put(`kernel/${name}.ko`, fileNode(moduleSample(name)));
  return tree.root;
}
const kept = (named = 'mine'): Promise<KeptBoot> => readKeptKernel(store, named);

test('a kernel that drives the guest by itself is all that the image boots with', async () => {
  await keep();
  const found = await kept('mine@1');
  expect(found).toMatchObject({
    kernel: { release: RELEASE, configKnownBy: 'config-file', package: null, config: { VIRTIO_BLK: 'y', IP_PNP: 'y' } },
    initrd: false,
    modules: { release: RELEASE, archive: null },
  });
  expect(keyOfKept(found, Buffer.from('script'))).toMatchObject({ initrd: 'none' });
});

test.each<[string, Record<string, string>, boolean, ReturnType<typeof howItBoots>['initrd'], string[]]>([
  ['all built in', {}, false, false, []],
  ['all built in, with modules that the image gets', {}, true, false, []],
  ['a driver as a module that nobody kept', { VIRTIO_BLK: 'm' }, false, false, ['VIRTIO_BLK']],
  ['a driver as a module that was kept', { VIRTIO_BLK: 'm', IP_PNP: 'n', BLK_DEV_INITRD: 'y', RD_GZIP: 'y' }, true, true, []],
  ['what our initrd cannot bring', { VIRTIO_NET: 'm', TMPFS: 'm', RD_GZIP: 'y' }, true, true, ['BLK_DEV_INITRD', 'TMPFS']],
  ['what is off', { VIRTIO_CONSOLE: 'n', BLK_DEV_INITRD: 'y', RD_GZIP: 'y' }, true, true, ['VIRTIO_CONSOLE']],
])('how a kernel boots: %s', (_, values, hasModules, initrd, missing) => {
  expect(howItBoots({ ...built, ...values }, hasModules)).toMatchObject({ initrd, missing });
});

test('what stands in the way is named', async () => {
  await keep({ VIRTIO_BLK: 'm', IP_PNP: 'n' });
  await expect(kept()).rejects.toThrow(
    /no modules were kept with it, and these are not built into it: CONFIG_IP_PNP, CONFIG_VIRTIO_BLK\. Build/,
  );
  await withModules((file) => writeTar(new Tree(moduleFolder('a')), file));
  await expect(kept()).rejects.toThrow('The modules of mine@2 were kept without what modprobe needs of them.');
});

test('no such kernel, one whose configuration nobody knows, and one whose file is damaged', async () => {
  await expect(kept()).rejects.toThrow('There is no kernel mine in the store');
  await writeFile(join(folder, 'bare'), elfSample());
  await keepKernel(store, { path: join(folder, 'bare'), name: 'bare' });
  await expect(kept('bare')).rejects.toThrow('What is built into the kernel bare@1 is not known');
  await keep();
  const { kernel } = await kept('mine');
  await chmod(store.blobPath(kernel.blob), 0o644);
  await truncate(store.blobPath(kernel.blob), 10);
  await expect(kept()).rejects.toThrow('damaged or gone');
});

test.skipIf(noDepmod !== undefined)('the modules of a kernel are those of its image, and no others', async () => {
  await keep();
  const scratch = join(folder, 'store/scratch');
  await withModules((file) =>
    packModules({ release: RELEASE, from: moduleFolder('virtio_blk', 'fuse'), scratch, file, signal: undefined }),
  );
  const { modules } = await kept();
  const image = new Tree();
  image.put('lib', linkNode('usr/lib'));
  for (const other of ['5.10.0-1-amd64', RELEASE]) image.put(`usr/lib/modules/${other}/kernel/old.ko`, fileNode('old'));
  image.put('usr/lib/modules/empty', folderNode());
  await layModules(image, modules, store, undefined);
  const names = [...image.walk()].map(({ path }) => path).filter((path) => path.startsWith('usr/lib/modules/'));
  expect(names).toEqual(
    expect.arrayContaining([`usr/lib/modules/${RELEASE}/kernel/fuse.ko`, `usr/lib/modules/${RELEASE}/modules.dep.bin`]),
  );
  expect(names.filter((path) => /old|5\.10/.test(path))).toEqual([]);
  expect(image.at('lib')?.kind).toBe('symlink');
  expect(modulesKey(modules)).not.toBe(modulesKey({ ...modules, archive: null }));
});

test('a kernel without modules leaves those of its release that the image brings', async () => {
  const image = new Tree();
  for (const release of ['5.10.0', RELEASE]) image.put(`lib/modules/${release}/kernel/a.ko`, fileNode('a'));
  await layModules(image, { release: RELEASE, called: 'mine@1', archive: null }, store, undefined);
  expect(image.at(`lib/modules/${RELEASE}/kernel/a.ko`)).toBeDefined();
  expect(image.at('lib/modules/5.10.0')).toBeUndefined();
});
