/** A golden version is proved by a real guest before a tag may move to it; one whose guest cannot come up is failed, and why is said. */
import { describe, expect, test } from 'vitest';
import { addGolden, ImageStore } from '@linstock/host';
import { faultOf, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('verifying golden images');

describe.skipIf(reason !== undefined)('verifying golden images', () => {
  const here = useInstallation({ subnet: '10.77.22.0/24' });
  keepsEvidence(() => here.it);

  test('tiny is proved, promoted, and booted by its tag', async () => {
    const { api } = here.it;
    expect(await faultOf(api.goldens.promote('tiny', 'stable', { version: 1 }))).toMatchObject({ code: 'golden-not-proved' });
    const one = await api.goldens.verify('tiny', { withinMs: 200_000 });
    expect(one).toMatchObject({ state: 'active', why: null });
    expect((await api.boots.show(one.boot as string)).proof?.verified).toBe('proved');
    expect(await api.goldens.promote('tiny', 'stable', { version: one.version, ifRevision: 0 })).toMatchObject({ revision: 1 });
    const { vm } = await here.it.verified({ golden: 'tiny:stable' });
    expect(vm.golden.version).toBe(one.version);
    await api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
  });

  test('an image whose root is not there fails with what became of its guest, and nothing of it is left', async () => {
    const { it } = here;
    const images = new ImageStore({ folder: it.paths.images, now: Date.now });
    const [tiny] = await it.api.goldens.list();
    if (tiny === undefined) throw new Error('there is no tiny');
    const added = await addGolden(images, {
      name: 'broken',
      kernelPath: images.blobPath(tiny.kernel.blob),
      rootfsPath: images.blobPath(tiny.rootfs.blob),
      initrdPath: images.blobPath(tiny.initrd?.blob ?? ''),
      machine: { vcpus: 1, memoryMiB: 128 },
      bootArgs: [...tiny.bootArgs.filter((arg) => !arg.startsWith('root=')), 'root=/dev/vdz'],
    });
    expect(added).toMatchObject({ ok: true });
    const one = await it.api.goldens.verify('broken', { withinMs: 200_000 });
    expect(one).toMatchObject({ state: 'failed', boot: expect.stringMatching(/^boot_/) as string });
    expect(one.why).toMatch(/VMM ended|panicked|took|still/);
    expect(await faultOf(it.api.goldens.promote('broken', 'stable', { version: 1 }))).toMatchObject({ code: 'golden-not-proved' });
    await it.api.vms.wait((await it.api.boots.show(one.boot as string)).vm, 'deleted', { withinMs: 60_000 });
    await it.expectNoVmLeft();
  });
});
