/** Bad input and disks with real file systems: needs e2fsprogs and qemu-img; the full-disk tests need root for a small tmpfs. */
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GoldenManifest } from '@linstock/contract';
import { exec, execOk } from '../tools/exec.ts';
import { sha256File } from '../tools/files.ts';
import { addGolden, lookAtGolden } from './add-golden.ts';
import type { AddGoldenRequest } from './add-golden.ts';
import { ensureDisk } from './disk.ts';
import { makeExt4 } from './ext4.ts';
import type { Ext4Plan, TreeEntry } from './ext4.ts';
import { bzImageSample, elfSample } from '@linstock/testkit/kernel-samples';
import { lacks } from './real-needs.ts';
import { ImageStore } from './store.ts';
import type { StepProgress } from './store.ts';

const reason = await lacks('mke2fs', 'debugfs', 'e2fsck', 'qemu-img');
if (reason !== undefined) console.log(`skipped: ${reason}`);

const BOUND = { timeoutMs: 60_000 };

describe.skipIf(reason !== undefined)('goldens from files, disks', () => {
  let folder: string;
  let store: ImageStore;
  const at = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'golden-'));
    await image('good.ext4', [program('sbin/init')]);
    await image('no-init.ext4', []);
    await image('not-executable.ext4', [program('sbin/init', 0o644)]);
    await image('folder-init.ext4', [{ kind: 'folder', path: 'sbin/init', mode: 0o755 }]);
    await image('linked.ext4', [
      folderEntry('lib'),
      folderEntry('lib/systemd'),
      program('lib/systemd/systemd'),
      link('sbin/init', '/lib/systemd/systemd'),
    ]);
    await image('dangling.ext4', [link('sbin/init', '/nowhere')]);
    await image('loop.ext4', [link('sbin/init', 'other'), link('sbin/other', 'init')]);
    await writeFile(at('cut.ext4'), (await readFile(at('good.ext4'))).subarray(0, 3_000_000));
    await execOk(['mke2fs', '-q', '-t', 'ext2', at('old.ext2'), '4M'], BOUND);
    await writeFile(at('vmlinux'), elfSample());
    await writeFile(at('bzImage'), bzImageSample(gzipSync(elfSample()), 1, { appendSize: false }));
    await writeFile(at('no-pvh'), elfSample({ note: false }));
    await writeFile(at('initrd'), gzipSync('070701'));
    await writeFile(at('script'), '#!/bin/sh\n');
    await writeFile(at('empty'), '');
    await writeFile(at('config'), 'CONFIG_IP_PNP=y\nCONFIG_VIRTIO_BLK=m\n');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    store = new ImageStore({ folder: await mkdtemp(join(folder, 'state-')), now: () => 1 });
    await store.open();
  });

  const folderEntry = (path: string): TreeEntry => ({ kind: 'folder', path, mode: 0o755 });
  const program = (path: string, mode = 0o755): TreeEntry => ({ kind: 'file', path, mode, data: Buffer.from('#!/bin/sh\n') });
  const link = (path: string, target: string): TreeEntry => ({ kind: 'symlink', path, target });
  const planOf = (entries: readonly TreeEntry[]): Ext4Plan => ({
    label: 'test',
    uuid: '6c696e73-746f-636b-8000-000000000001',
    hashSeed: '6c696e73-746f-636b-8000-000000000002',
    time: 1_700_000_000,
    entries: [folderEntry('sbin'), ...entries],
  });
  async function image(name: string, entries: readonly TreeEntry[]): Promise<void> {
    await makeExt4(planOf(entries), at(name));
  }
  const request = (parts: Partial<AddGoldenRequest> = {}): AddGoldenRequest => ({
    name: 'mine',
    kernelPath: at('vmlinux'),
    rootfsPath: at('good.ext4'),
    ...parts,
  });
  async function added(parts: Partial<AddGoldenRequest> = {}): Promise<GoldenManifest> {
    const outcome = await addGolden(store, request(parts));
    if (!outcome.ok) throw new Error(outcome.say);
    return outcome.golden;
  }

  test('a golden from a vmlinux and an ext4 image; its files are copies', async () => {
    const golden = await added({ configPath: at('config'), initrdPath: at('initrd'), ports: [{ port: 80, level: 'tcp' }] });
    expect(golden).toMatchObject({
      name: 'mine',
      version: 1,
      agent: false,
      kernel: { release: '6.1.99-test', configKnownBy: 'config-file', package: null },
      rootfs: { fstype: 'ext4', bytes: 8 * 1024 * 1024 },
    });
    expect(golden.kernel.config).toMatchObject({ IP_PNP: 'y', VIRTIO_BLK: 'm', EXT4_FS: 'n' });
    expect(await sha256File(store.blobPath(golden.rootfs.blob))).toBe(await sha256File(at('good.ext4')));
    expect(await store.verifyGolden(golden)).toEqual({ ok: true });
    expect((await added({ configPath: at('config'), initrdPath: at('initrd'), ports: [{ port: 80, level: 'tcp' }] })).version).toBe(1);
  });

  test('a bzImage is kept as the vmlinux it holds', async () => {
    const golden = await added({ kernelPath: at('bzImage') });
    expect(golden.kernel).toMatchObject({ format: 'elf', bytes: elfSample().length, configKnownBy: 'none', config: {} });
  });

  test('init may be a link, or be named', async () => {
    expect((await added({ rootfsPath: at('linked.ext4') })).bootArgs).not.toContain('init=/sbin/init');
    expect((await added({ rootfsPath: at('linked.ext4'), init: '/lib/systemd/systemd' })).bootArgs).toContain('init=/lib/systemd/systemd');
  });

  test('the init that the boot arguments name is the one that is looked for, and stands once, before a --', async () => {
    const bootArgs = ['console=ttyS0', 'init=/lib/systemd/systemd', '--', 'x'];
    const golden = await added({ rootfsPath: at('linked.ext4'), bootArgs });
    expect(golden).toMatchObject({ bootArgs, init: 'systemd' });
    expect((await added({ rootfsPath: at('good.ext4') })).init).toBe('other');
    const named = await added({ rootfsPath: at('linked.ext4'), init: '/lib/systemd/systemd', bootArgs: ['console=ttyS0', '--', 'x'] });
    expect(named.bootArgs).toEqual(['console=ttyS0', 'init=/lib/systemd/systemd', '--', 'x']);
    expect(await addGolden(store, request({ bootArgs: ['init=/none'] }))).toMatchObject({ ok: false, code: 'no-init' });
  });

  test('with an initrd that no root= is named for, init is its business', async () => {
    const bootArgs = ['console=ttyS0'];
    expect(await added({ rootfsPath: at('no-init.ext4'), initrdPath: at('initrd'), bootArgs })).not.toHaveProperty('init');
    const named = request({ rootfsPath: at('no-init.ext4'), initrdPath: at('initrd'), bootArgs: [...bootArgs, 'root=/dev/vda'] });
    expect(await addGolden(store, named)).toMatchObject({ ok: false, code: 'no-init' });
  });

  test('a look keeps nothing and tells what the files are', async () => {
    expect(await lookAtGolden(request({ kernelPath: at('bzImage') }))).toMatchObject({
      ok: true,
      kernelIs: 'bzImage',
      rootfs: { bytes: 8 * 1024 * 1024 },
      init: 'other',
    });
    expect(await readdir(join(store.folder, 'blobs/sha256'))).toEqual([]);
    expect(await lookAtGolden(request({ kernelPath: at('none') }))).toMatchObject({ ok: false, code: 'file-not-found' });
  });

  test('how far it is, in bytes, up to the last', async () => {
    const steps: StepProgress[] = [];
    await added({ progress: (step) => void steps.push(step) });
    const total = 8 * 1024 * 1024;
    expect(steps.at(-1)).toEqual({ name: 'read the root file system', done: total, total, unit: 'bytes' });
    expect(steps.every(({ done = -1 }) => done >= 0 && done <= total)).toBe(true);
  });

  test.each<[string, Partial<Record<'name' | 'kernelPath' | 'rootfsPath' | 'initrdPath' | 'init', string>>, string, RegExp]>([
    ['a bad name', { name: '../x' }, 'name-not-allowed', /cannot be called "\.\.\/x"/],
    ['no kernel file', { kernelPath: 'none' }, 'file-not-found', /There is no file .*none/],
    ['a folder as kernel', { kernelPath: '.' }, 'file-unreadable', /is a folder/],
    ['an empty kernel', { kernelPath: 'empty' }, 'not-a-kernel', /an empty file/],
    ['a script as kernel', { kernelPath: 'script' }, 'not-a-kernel', /it is a script/],
    ['a root file system as kernel', { kernelPath: 'good.ext4' }, 'not-a-kernel', /ext2\/3\/4 file system image/],
    ['a kernel without PVH', { kernelPath: 'no-pvh' }, 'kernel-without-pvh', /CONFIG_PVH=y/],
    ['a kernel as root file system', { rootfsPath: 'vmlinux' }, 'not-ext4', /it is an ELF file/],
    ['an empty root file system', { rootfsPath: 'empty' }, 'not-ext4', /an empty file/],
    ['an ext2 image', { rootfsPath: 'old.ext2' }, 'not-ext4', /ext2 or ext3/],
    ['half an image', { rootfsPath: 'cut.ext4' }, 'rootfs-cut-short', /needs 8388608 bytes and the file has 3000000/],
    ['no init', { rootfsPath: 'no-init.ext4' }, 'no-init', /has no \/sbin\/init/],
    ['an init that is not executable', { rootfsPath: 'not-executable.ext4' }, 'no-init', /not executable/],
    ['an init that is a folder', { rootfsPath: 'folder-init.ext4' }, 'no-init', /is a folder/],
    ['an init that leads nowhere', { rootfsPath: 'dangling.ext4' }, 'no-init', /a link to \/nowhere/],
    ['an init that leads in circles', { rootfsPath: 'loop.ext4' }, 'no-init', /round in circles/],
    ['a named init that is not there', { init: '/bin/other' }, 'no-init', /has no \/bin\/other/],
    ['an init that is no path', { init: 'a" b' }, 'no-init', /not an absolute path/],
    ['a script as initrd', { initrdPath: 'script' }, 'not-an-initrd', /it is a script/],
  ])('%s is refused in a sentence, and nothing is kept', async (_what, names, code, words) => {
    const paths = Object.fromEntries(Object.entries(names).map(([key, value]) => [key, key.endsWith('Path') ? at(value) : value]));
    const outcome = await addGolden(store, request(paths));
    expect(outcome).toMatchObject({ ok: false, code });
    expect(outcome.ok ? '' : outcome.say).toMatch(words);
    expect(await readdir(join(store.folder, 'blobs/sha256'))).toEqual([]);
    expect(await readdir(join(store.folder, 'goldens'))).toEqual([]);
    expect(await readdir(join(store.folder, 'scratch'))).toEqual([]);
  });

  test('a kernel that does not fit into the memory', async () => {
    const outcome = await addGolden(store, request({ machine: { vcpus: 1, memoryMiB: 31 } }));
    expect(outcome).toMatchObject({ ok: false, code: 'kernel-too-big-for-memory', say: expect.stringContaining('at least 32 MiB') });
  });

  test('an image is the same whenever and however often it is made', async () => {
    const plan = planOf([program('sbin/init'), folderEntry('etc'), link('etc/x', '/y')]);
    await mkdir(at('a'));
    await mkdir(at('b'));
    await makeExt4(plan, at('a/image'));
    await makeExt4(plan, at('b/image'));
    expect(await sha256File(at('a/image'))).toBe(await sha256File(at('b/image')));
    const facts = await execOk(['debugfs', '-R', 'stat /sbin/init', at('a/image')], BOUND);
    expect(facts.stdout).toMatch(/User:\s+0\s+Group:\s+0/);
  });

  test('an overlay disk: absolute backing path, kept when there', async () => {
    const golden = await added();
    const path = join(store.folder, 'vms/one/disk.qcow2');
    expect(await ensureDisk({ store, golden, format: 'qcow2', path })).toMatchObject({ ok: true, format: 'qcow2', path });
    const info = JSON.parse((await execOk(['qemu-img', 'info', '--output=json', path], BOUND)).stdout) as Record<string, unknown>;
    expect(info).toMatchObject({
      format: 'qcow2',
      'virtual-size': 8 * 1024 * 1024,
      'backing-filename': store.blobPath(golden.rootfs.blob),
      'backing-filename-format': 'raw',
    });
    await writeFile(path, 'what the guest wrote');
    await ensureDisk({ store, golden, format: 'qcow2', path });
    expect(await readFile(path, 'utf8')).toBe('what the guest wrote');
  });

  test('a raw disk: the same bytes, writable, with holes', async () => {
    const golden = await added();
    const path = join(store.folder, 'vms/one/disk.raw');
    expect(await ensureDisk({ store, golden, format: 'raw', path })).toMatchObject({ ok: true, format: 'raw', bytes: 8 * 1024 * 1024 });
    expect(await sha256File(path)).toBe(golden.rootfs.blob);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(path)).blocks * 512).toBeLessThan(4 * 1024 * 1024);
  });

  test('no disk is made from a damaged golden', async () => {
    const golden = await added();
    await chmod(store.blobPath(golden.rootfs.blob), 0o644);
    await truncate(store.blobPath(golden.rootfs.blob), 1000);
    const outcome = await ensureDisk({ store, golden, format: 'qcow2', path: join(store.folder, 'vms/one/disk') });
    expect(outcome).toMatchObject({ ok: false, code: 'golden-damaged', say: expect.stringContaining('truncated') });
  });

  test('no room for the image is a value, and leaves no golden', async ({ skip }) => {
    const small = await mkdtemp(join(folder, 'small-'));
    const mounted = await exec(['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', small], BOUND);
    skip(mounted.code !== 0, 'a small tmpfs cannot be mounted here (needs root)');
    try {
      const tight = new ImageStore({ folder: join(small, 'images'), now: () => 1 });
      await tight.open();
      const outcome = await addGolden(tight, request());
      expect(outcome).toMatchObject({ ok: false, code: 'disk-full', freeMiB: 0, say: expect.stringContaining('no room') });
      for (const part of ['blobs/sha256', 'goldens', 'scratch']) expect(await readdir(join(tight.folder, part))).toEqual([]);
    } finally {
      await exec(['umount', small], BOUND);
    }
  });

  test('a full file system is a value and leaves nothing', async ({ skip }) => {
    const golden = await added();
    const small = await mkdtemp(join(folder, 'small-'));
    const mounted = await exec(['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', small], BOUND);
    skip(mounted.code !== 0, 'a small tmpfs cannot be mounted here (needs root)');
    try {
      for (const format of ['qcow2', 'raw'] as const) {
        const outcome = await ensureDisk({ store, golden, format, path: join(small, 'disk') });
        expect(outcome).toMatchObject({ ok: false, code: 'disk-full', say: expect.stringContaining('no room') });
        expect(await readdir(small)).toEqual([]);
      }
    } finally {
      await exec(['umount', small], BOUND);
    }
  });
});
