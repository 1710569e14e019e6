import { mkdtemp, rm, truncate, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { elfSample } from '@linstock/testkit/kernel-samples';
import { keepKernel } from '../../kernels/keep.ts';
import { ImageStore } from '../store.ts';
import { bootPartsOfKept, REQUIRES_ALONE } from './kept-kernel.ts';

let folder: string;
let store: ImageStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
  store = new ImageStore({ folder: join(folder, 'store'), now: Date.now });
  await store.open();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Keeps a kernel with everything that is needed built in, but for what `values` says. */
async function keep(values: Readonly<Record<string, string>> = {}): Promise<void> {
  const options = { ...Object.fromEntries(REQUIRES_ALONE.map((option) => [option, 'y'])), X86_64: 'y', SMP: 'y', ...values };
  const lines = Object.entries(options).map(([option, value]) =>
    value === 'n' ? `# CONFIG_${option} is not set` : `CONFIG_${option}=${value}`,
  );
  await writeFile(join(folder, 'vmlinux'), elfSample());
  await writeFile(join(folder, 'config'), `# Linux/x86 6.1.99 Kernel Configuration\n${lines.join('\n')}\n`);
  await keepKernel(store, { path: join(folder, 'vmlinux'), configPath: join(folder, 'config'), name: 'mine' });
}
const parts = async (named = 'mine'): Promise<unknown> => (await bootPartsOfKept(store, named)).parts;

test('a kernel that drives the guest by itself is all that the image boots with', async () => {
  await keep();
  expect(await parts('mine@1')).toMatchObject({
    kernel: { release: '6.1.99-test', configKnownBy: 'config-file', package: null, config: { VIRTIO_BLK: 'y', IP_PNP: 'y' } },
    initrd: null,
    leastMemoryMiB: 32,
  });
});

test.each<[string, Record<string, string>, string]>([
  ['a driver that is a module', { VIRTIO_BLK: 'm' }, 'these are not built into it: CONFIG_VIRTIO_BLK. Build'],
  ['what is off', { VIRTIO_CONSOLE: 'n', IP_PNP: 'n' }, 'CONFIG_IP_PNP, CONFIG_VIRTIO_CONSOLE'],
])('%s is named', async (_, values, says) => {
  await keep(values);
  await expect(parts()).rejects.toThrow(says);
});

test('no such kernel, one whose configuration nobody knows, and one whose file is damaged', async () => {
  await expect(parts()).rejects.toThrow('There is no kernel mine in the store');
  await writeFile(join(folder, 'bare'), elfSample());
  await keepKernel(store, { path: join(folder, 'bare'), name: 'bare' });
  await expect(parts('bare')).rejects.toThrow('What is built into the kernel bare@1 is not known');
  await keep();
  const { kernel } = (await bootPartsOfKept(store, 'mine')).parts;
  await chmod(store.blobPath(kernel.blob), 0o644);
  await truncate(store.blobPath(kernel.blob), 10);
  await expect(parts()).rejects.toThrow('damaged or gone');
});
