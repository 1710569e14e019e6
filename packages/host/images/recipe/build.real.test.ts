/** Recipes built for real, with nothing but busybox in them: seconds each. What takes minutes (base, desktop) is in test/guests/recipes.real.test.ts. */
import { copyFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RootfsRecord } from '@linstock/contract';
import { execOk } from '../../tools/exec.ts';
import { isStaticElf } from '../../tools/elf.ts';
import { readIfThere } from '../../tools/files.ts';
import { layoutOf, writeLayout } from '../oci/testing/layouts.ts';
import { lacks } from '../real-needs.ts';
import { ImageStore } from '../store.ts';
import { buildRootfs } from './build.ts';
import type { RootfsRequest } from './build.ts';
import { RootfsShelf } from './shelf.ts';

const BOUND = { timeoutMs: 60_000 };
const busybox = await readIfThere('/bin/busybox');
const reason =
  (await lacks('debugfs', 'e2fsck', 'tar')) ??
  (busybox === undefined || !isStaticElf(busybox.subarray(0, 4096)) ? 'there is no static /bin/busybox here' : undefined);
if (reason !== undefined) console.log(`skipped: recipes: ${reason}`);
const noSandbox = reason ?? (process.getuid?.() === 0 ? await lacks('bwrap') : 'commands of recipes need root');
if (noSandbox !== undefined) console.log(`skipped: commands of recipes: ${noSandbox}`);

describe.skipIf(reason !== undefined)('recipes', () => {
  let folder: string;
  let store: ImageStore;
  let now = 1_767_225_600_000;
  let umask: number;
  beforeAll(async () => {
    umask = process.umask(0o077); // as the commands that build images set it
    folder = await mkdtemp(join(tmpdir(), 'recipes-'));
    store = new ImageStore({ folder: join(folder, 'images'), now: () => now });
    await store.open();
    await copyFile('/bin/busybox', join(folder, 'busybox'));
    // stands for the programs that are compiled: which bytes they have matters to nobody here
    await writeFile(join(folder, 'program'), 'a program');
  });
  afterAll(async () => {
    process.umask(umask);
    await rm(folder, { recursive: true });
  });

  const recipe = {
    from: 'scratch',
    init: '/bin/busybox',
    agent: false,
    freeMiB: 8,
    files: [{ path: 'bin/busybox', from: 'busybox', mode: '755' }],
  };
  async function build(
    content: Record<string, unknown>,
    more: Partial<RootfsRequest> = {},
  ): Promise<{ rootfs: RootfsRecord; built: boolean; steps: string[] }> {
    await writeFile(join(folder, 'recipe.json'), JSON.stringify({ name: 'small', ...recipe, ...content }));
    return buildNamed('./recipe.json', more);
  }
  async function buildNamed(
    named: string,
    more: Partial<RootfsRequest> = {},
  ): Promise<{ rootfs: RootfsRecord; built: boolean; steps: string[] }> {
    const steps: string[] = [];
    now += 1_000;
    const program = { binary: join(folder, 'program') };
    const request = {
      named,
      cwd: folder,
      builtIn: fileURLToPath(new URL('../../../../guest/images', import.meta.url)),
      agent: program,
      init: program,
      progress: (step: { name: string }) => void (steps.at(-1) === step.name || steps.push(step.name)),
    };
    return { ...(await buildRootfs(store, () => now, { ...request, ...more })), steps };
  }
  const ask = async ({ rootfs }: RootfsRecord, command: string): Promise<string> =>
    (await execOk(['debugfs', '-R', command, store.blobPath(rootfs.blob)], BOUND)).stdout;

  test('the same recipe gives the same bytes; what was built is found again; a change is another image', async () => {
    const content = {
      users: [{ name: 'root', uid: 0 }],
      files: [...recipe.files, { path: 'srv/own', text: 'x', uid: 1000, gid: 50, mode: '2750' }, { path: 'bin/sh', link: 'busybox' }],
      hostname: 'small',
    };
    const first = await build(content);
    expect(first).toMatchObject({
      built: true,
      rootfs: { name: 'small', from: 'scratch', packages: null, init: '/bin/busybox', initIs: 'other', agent: false },
    });
    expect(await build(content)).toMatchObject({ built: false, steps: [], rootfs: { createdAt: first.rootfs.createdAt } });
    const again = await build(content, { use: 'fresh' });
    expect(again.built).toBe(true);
    expect(again.rootfs.rootfs).toEqual(first.rootfs.rootfs);
    const other = await build({ ...content, hostname: 'other' });
    expect(other.rootfs.rootfs.blob).not.toBe(first.rootfs.rootfs.blob);
    expect((await new RootfsShelf(store).all()).map((one) => one.digest)).toEqual([other.rootfs.digest, again.rootfs.digest]);

    expect(await ask(first.rootfs, 'stat /srv/own')).toMatch(/Mode: +02750 .*\n.*\nUser: +1000 +Group: +50 /);
    expect(await ask(first.rootfs, 'stat /bin/sh')).toContain('Fast link dest: "busybox"');
    expect(await ask(first.rootfs, 'ls -p /')).toMatch(/\/tmp\//);
    await rm(store.blobPath(first.rootfs.rootfs.blob));
    expect((await new RootfsShelf(store).all()).map((one) => one.digest)).toEqual([other.rootfs.digest]);
    expect(await build(content)).toMatchObject({ built: true, rootfs: { rootfs: first.rootfs.rootfs } }); // a damaged image is made again
  });

  test('an abort and a failure leave the store as it was', async () => {
    const before = await readdir(store.folder, { recursive: true });
    const aborter = new AbortController();
    const aborted = build(
      { hostname: 'aborted' },
      { signal: aborter.signal, progress: (step) => (step.name === 'make the file system' ? aborter.abort(new Error('stop')) : undefined) },
    );
    await expect(aborted).rejects.toThrow('stop');
    await expect(build({ files: [], init: '/sbin/init' })).rejects.toThrow(/has no program \/sbin\/init, so nothing could be PID 1/);
    await expect(
      build({
        sizeMiB: 8,
        files: [
          ...recipe.files,
          { path: 'second', from: 'busybox' },
          { path: 'third', from: 'busybox' },
          { path: 'fourth', from: 'busybox' },
        ],
      }),
    ).rejects.toThrow(/8 MiB large and its content needs/);
    expect(await readdir(store.folder, { recursive: true })).toEqual(before);
  });

  test('a container image: its files with our init, started as it says; a second build unpacks nothing', async () => {
    const layers = [
      [
        { name: 'bin/busybox', data: await readFile(join(folder, 'busybox')), mode: 0o755 },
        { name: 'etc/passwd', data: 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh\n' },
        { name: 'dev/zero', type: '3', mode: 0o666 },
        { name: 'secret' },
      ],
      // a hard link whose other name is in the layer below
      [{ name: '.wh.secret' }, { name: 'etc/passwd2', type: '1', link: 'etc/passwd' }],
    ];
    const config = { Entrypoint: ['/bin/busybox', 'httpd'], Cmd: ['-f'], User: 'app', WorkingDir: '/srv/here' };
    await writeLayout(layoutOf([{ layers, packed: 'gzip', config }]), join(folder, 'layout'));
    const { rootfs, steps } = await buildNamed('oci:./layout');
    expect(steps).toContain('unpack 2 layers of ' + join(folder, 'layout'));
    expect(rootfs).toMatchObject({
      name: 'layout',
      from: expect.stringMatching(/^sha256:/) as string,
      init: '/linstock/linstock-init',
      agent: true,
    });
    expect(JSON.parse(await ask(rootfs, 'cat /linstock/start.json'))).toMatchObject({
      argv: ['/bin/busybox', 'httpd', '-f'],
      cwd: '/srv/here',
      uid: 1000,
      gid: 1000,
    });
    expect(await ask(rootfs, 'stat /linstock/linstock-init')).toMatch(/Mode: +0755 /);
    expect(await ask(rootfs, 'stat /srv/here')).toMatch(/Type: directory[^]*User: +1000 /);
    expect(await ask(rootfs, 'stat /etc/passwd2')).toMatch(/Links: 2 /);
    expect(await ask(rootfs, 'stat /dev/zero')).toMatch(/Type: character special/);
    expect(await ask(rootfs, 'ls -p /')).not.toContain('secret');
    expect(await buildNamed('oci:./layout')).toMatchObject({ built: false, steps: [] });
    await writeFile(join(folder, 'of-image.json'), JSON.stringify({ name: 'of-image', from: 'oci:./layout', hostname: 'x' }));
    expect((await buildNamed('./of-image.json')).steps.filter((step) => step.startsWith('unpack'))).toEqual([]);
  });

  test('a recipe without a container image has nothing that our init could start', async () => {
    await expect(build({ init: 'linstock' })).rejects.toThrow(/starts what a container image starts; it is made from none/);
  });

  describe.skipIf(noSandbox !== undefined)('commands', () => {
    const sh = (script: string): string[] => ['/bin/busybox', 'sh', '-c', script];

    test('they run in the tree, as its root, and see nothing of the host; the result is a layer and the same each time', async () => {
      const content = {
        files: [...recipe.files, { path: 'mark', text: 'm', uid: 1000 }],
        commands: [
          sh(
            'busybox mkdir /made && busybox cp /mark /made/copy && busybox chown 7:8 /made/copy && busybox chmod 4755 /made/copy && busybox ln /made/copy /made/second'.replaceAll(
              'busybox',
              '/bin/busybox',
            ),
          ),
          sh(
            '/bin/busybox id -u >/seen; /bin/busybox ls /proc/1/root/ >>/seen; /bin/busybox cat /proc/net/dev | /bin/busybox grep -c : >>/seen; echo x >/proc/sys/kernel/hostname || echo refused >>/seen',
          ),
          sh('/bin/busybox mount -t tmpfs none /made || echo refused >>/seen; /bin/busybox mknod /made/disk b 8 0 || echo refused >>/seen'),
          sh('echo left >/tmp/left; echo left >/run/left; umask >/umask'),
        ],
      };
      const first = await build(content);
      expect(await ask(first.rootfs, 'stat /made/copy')).toMatch(/Mode: +04755 .*\n.*\nUser: +7 +Group: +8 [^]*Links: 2 /);
      expect(await ask(first.rootfs, 'stat /made/copy')).toMatch(/mtime: 0x65920080:/); // what is made has no time of its own: 2024-01-01
      // root in its own world (proc, bin, dev …), with no network but loopback, and refused thrice
      expect(await ask(first.rootfs, 'cat /seen')).toMatch(
        /^0\nbin\ndev\nmade\nmark\nproc\nrun\nseen\ntmp\n1\nrefused\nrefused\nrefused\n$/,
      );
      expect(await ask(first.rootfs, 'ls -p /tmp')).not.toContain('left');
      expect(await ask(first.rootfs, 'cat /umask')).toBe('0022\n'); // though ours keeps all from others
      const layered = await build({ ...content, ports: [{ port: 1, level: 'tcp' }] });
      expect(layered.steps.some((step) => step.includes('command'))).toBe(false);
      expect(layered.rootfs.rootfs.blob).toBe(first.rootfs.rootfs.blob);
      const fresh = await build(content, { use: 'fresh' });
      expect(fresh.steps.filter((step) => /command \d of/.test(step))).toHaveLength(4);
      expect(fresh.rootfs.rootfs.blob).toBe(first.rootfs.rootfs.blob);
    });

    test('a command that fails says which, and its last words', async () => {
      await expect(build({ commands: [sh('true'), sh('echo it is so >&2; exit 3')] })).rejects.toThrow(
        /Command 2 of the recipe small failed\. \/bin\/busybox failed with exit code 3: it is so/,
      );
      await expect(build({ commands: [['/bin/absent']] })).rejects.toThrow(/Command 1 of the recipe small failed/);
    });
  });
});
