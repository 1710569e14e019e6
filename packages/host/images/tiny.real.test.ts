/**
 * The golden image `tiny` for real: fetched, built twice, booted in QEMU's microvm. Needs a Debian or Ubuntu with package lists, network to the
 * archive, e2fsprogs, qemu-system-x86_64; Go for the agent.
 */
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GoldenManifest } from '@linstock/contract';
import { resolveArgs } from '@linstock/core';
import { exec } from '../tools/exec.ts';
import type { ExecResult } from '../tools/exec.ts';
import { readTextIfThere } from '../tools/files.ts';
import { ensureDisk } from './disk.ts';
import { lookForKernel } from './kernel-package.ts';
import { lacks } from './real-needs.ts';
import { ImageStore } from './store.ts';
import { ensureTiny } from './tiny.ts';
import type { AgentSource } from './tiny.ts';

const AGENT_SOURCE = fileURLToPath(new URL('../../../guest/agent', import.meta.url));
const LEASE = {
  address: '192.168.100.3',
  gateway: '192.168.100.1',
  netmask: '255.255.255.0',
  prefix: 24,
  mac: '02:fc:00:00:00:03',
  vm: 'tiny',
};
const BUILD = { timeout: 600_000 };
const BOOT = { timeout: 120_000 };

const kernel = await lookForKernel();
const reason =
  (await lacks('mke2fs', 'debugfs', 'qemu-img', 'qemu-system-x86_64', 'dpkg-deb', 'apt-get')) ?? (kernel.ok ? undefined : kernel.say);
if (reason !== undefined) console.log(`skipped: ${reason}`);
/** shared by the builds of this file: a cold one takes ten seconds and more */
const goCache = join(tmpdir(), `linstock-go-cache-${process.pid}`);
const agent: AgentSource =
  (await exec(['go', 'version'], { timeoutMs: 60_000, cwd: AGENT_SOURCE })).code === 0 ? { source: AGENT_SOURCE, cache: goCache } : false;
if (agent === false) console.log('the image is built without the agent: there is no Go here');

describe.skipIf(reason !== undefined)('tiny', () => {
  let folder: string;
  let store: ImageStore;
  let golden: GoldenManifest;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tiny-'));
    store = new ImageStore({ folder: join(folder, 'state'), now: () => Date.now() });
    await store.open();
    golden = await built(store, agent);
  }, 600_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(goCache, { recursive: true, force: true });
  });

  async function built(into: ImageStore, source: AgentSource): Promise<GoldenManifest> {
    const outcome = await ensureTiny(into, { agent: source });
    if (!outcome.ok) throw new Error(outcome.say);
    return outcome.golden;
  }

  test('what the manifest says', () => {
    expect(golden).toMatchObject({
      name: 'tiny',
      version: 1,
      agent: agent !== false,
      ports: [{ port: 6080, level: 'http' }],
      kernel: { format: 'elf', configKnownBy: 'config-file', config: { PVH: 'y', MODULES: 'y' } },
    });
    expect(golden.kernel.banner).toMatch(/^Linux version \d.* #\d/);
    expect(golden.initrd?.modules).toContain('virtio_blk');
    const modules = golden.initrd?.modules ?? [];
    expect(modules.indexOf('virtio')).toBeLessThan(modules.indexOf('virtio_mmio'));
  });

  test('a second call builds nothing and asks nobody', async () => {
    const steps: string[] = [];
    const again = await ensureTiny(store, { agent, progress: (step) => steps.push(step.name) });
    expect(again).toMatchObject({ ok: true, built: false, golden: { digest: golden.digest, version: 1 } });
    expect(steps).toEqual([]);
    expect(await ensureTiny(store, { agent, packages: 'newest' })).toMatchObject({ ok: true, built: false, golden: { version: 1 } });
  });

  test('another store gives the same bytes; two requests at once build once', BUILD, async () => {
    const other = new ImageStore({ folder: join(folder, 'other'), now: () => 1 });
    await other.open();
    const steps = new Set<string>();
    const progress = (step: { name: string }): unknown => steps.add(step.name);
    const both = await Promise.all([ensureTiny(other, { agent, progress }), ensureTiny(other, { agent, progress })]);
    expect(both.filter((outcome) => outcome.ok && outcome.built)).toHaveLength(1);
    for (const outcome of both) {
      expect(outcome).toMatchObject({
        ok: true,
        golden: {
          digest: golden.digest,
          kernel: { blob: golden.kernel.blob },
          initrd: { blob: golden.initrd?.blob },
          rootfs: { blob: golden.rootfs.blob },
        },
      });
    }
    expect([...steps]).toEqual([
      'ask the package lists',
      'build the guest agent',
      'fetch the kernel package',
      'fetch busybox',
      'unpack the kernel',
      'make the initrd',
      'make the root file system',
      'store',
    ]);
    expect(await readdir(join(folder, 'other/scratch'))).toEqual([]);
    // A damaged part is built again and keeps its version, because the content is the same.
    await rm(other.blobPath(golden.rootfs.blob));
    expect(await ensureTiny(other, { agent })).toMatchObject({ ok: true, built: true, golden: { version: 1 } });
    // Another key is another version.
    if (agent !== false)
      expect(await ensureTiny(other, { agent: false })).toMatchObject({ ok: true, built: true, golden: { version: 2, agent: false } });
  });

  test('an abort stops the work, leaves nothing and hurts nobody after', BUILD, async () => {
    const other = new ImageStore({ folder: join(folder, 'aborted'), now: () => 1 });
    await other.open();
    const controller = new AbortController();
    await expect(
      ensureTiny(other, {
        agent,
        signal: controller.signal,
        progress: (step) => {
          if (step.name === 'fetch busybox') controller.abort();
        },
      }),
    ).rejects.toThrow(/abort/i);
    expect(await readdir(join(folder, 'aborted/scratch'))).toEqual([]);
    expect(await other.versions('tiny')).toEqual([]);
  });

  type Boot = { console: () => Promise<string>; url: string; ended: Promise<ExecResult>; stop: () => Promise<void> };

  /** One guest as the driver of QEMU starts it, by hand; user-mode network with the promised port forwarded. */
  async function boot(name: string, tokens: readonly string[]): Promise<Boot> {
    const disk = await ensureDisk({ store, golden, format: 'qcow2', path: join(folder, name, 'disk.qcow2') });
    if (!disk.ok) throw new Error(disk.say);
    const port = await freePort();
    const log = join(folder, name, 'console.log');
    const hostKhz = Math.round(Number(/^cpu MHz\s*: ([\d.]+)/m.exec((await readTextIfThere('/proc/cpuinfo')) ?? '')?.[1] ?? '0') * 1000);
    const args = resolveArgs(golden.bootArgs, LEASE);
    if (args.is === 'wrong') throw new Error(JSON.stringify(args.problems));
    const append = [...args.tokens, `tsc_early_khz=${hostKhz}`, 'tsc=reliable', ...tokens];
    const controller = new AbortController();
    const ended = exec(
      [
        'qemu-system-x86_64',
        '-M',
        'microvm,acpi=on',
        '-accel',
        'tcg,thread=multi',
        '-cpu',
        'max',
        '-m',
        String(golden.machine.memoryMiB),
        '-smp',
        '1',
        '-nodefaults',
        '-no-user-config',
        '-nographic',
        '-no-reboot',
        '-kernel',
        store.blobPath(golden.kernel.blob),
        '-initrd',
        store.blobPath(golden.initrd?.blob ?? ''),
        '-append',
        append.join(' '),
        '-chardev',
        `file,id=con,path=${log}`,
        '-serial',
        'chardev:con',
        '-drive',
        `id=d0,file=${disk.path},format=qcow2,if=none`,
        '-device',
        'virtio-blk-device,drive=d0,serial=rootfs',
        '-netdev',
        `user,id=n0,net=192.168.100.0/24,host=192.168.100.1,restrict=on,hostfwd=tcp:127.0.0.1:${port}-192.168.100.3:6080`,
        '-device',
        'virtio-net-device,netdev=n0',
        '-device',
        'virtio-rng-device',
      ],
      { timeoutMs: 90_000, signal: controller.signal },
    );
    return {
      console: async () => ((await readTextIfThere(log)) ?? '').replaceAll('\r', ''),
      url: `http://127.0.0.1:${port}/`,
      ended,
      stop: async () => {
        controller.abort();
        await ended;
      },
    };
  }

  async function freePort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }

  test('boots, says ready and serves', BOOT, async () => {
    const guest = await boot('serves', []);
    try {
      await expect.poll(guest.console, { timeout: 60_000 }).toMatch(/^linstock-init: ready up=\S+ listen=0\.0\.0\.0:6080$/m);
      const reply = await fetch(`${guest.url}vnc.html`, { signal: AbortSignal.timeout(20_000) });
      expect(reply.status).toBe(200);
      expect(await reply.text()).toContain('linstock tiny guest');
      const text = await guest.console();
      expect(text).toContain(golden.kernel.banner);
      expect(text).toContain('linstock-initrd: ip 192.168.100.3/24 gw 192.168.100.1 dev eth0 set\n');
      expect(text).toContain('linstock-init: address eth0 192.168.100.3/24\n');
      expect(text).not.toMatch(/FAILED|not found/);
      // What the kernel calls unknown is what the manifest says userspace reads.
      const unknown =
        /Unknown kernel command line parameters "(.*)", will be passed/
          .exec(text)?.[1]
          ?.split(' ')
          .map((token) => token.split('=')[0]) ?? [];
      expect(unknown).toEqual(golden.userspaceArgs);
    } finally {
      await guest.stop();
    }
  });

  test.each<[string, readonly string[], readonly RegExp[], readonly RegExp[]]>([
    [
      'nothing served',
      ['linstock.test.httpd=none', 'linstock.test.reboot=0'],
      [/^linstock-init: not ready: asked to serve nothing/m, /test: reboot/],
      [/init: ready/],
    ],
    [
      'served on loopback only',
      ['linstock.test.httpd=127.0.0.1:6080', 'linstock.test.reboot=0'],
      [/^linstock-init: ready up=\S+ listen=127\.0\.0\.1:6080$/m],
      [],
    ],
    [
      'an address that is not there',
      ['linstock.test.httpd=10.9.9.9:6080', 'linstock.test.reboot=0'],
      [/FAILED: httpd does not start on 10\.9\.9\.9:6080/, /FAILED: not ready: nothing listens/],
      [/init: ready/],
    ],
    ['a panic after ready', ['linstock.test.panic=0'], [/init: ready/, /Kernel panic - not syncing: sysrq triggered crash/], []],
    [
      'an init that ends',
      ['linstock.test.exit=3'],
      [/init: ready/, /Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300/],
      [],
    ],
    ['no root=', ['root='], [/^linstock-initrd: FAILED: no root= on the kernel command line$/m], [/linstock-init:/]],
    [
      'a root of another type',
      ['rootfstype=squashfs'],
      [/^linstock-initrd: FAILED: root \/dev\/vda \(squashfs, rw\) cannot be mounted: /m],
      [/linstock-init:/],
    ],
    [
      'no such init',
      ['init=/sbin/other'],
      [/^linstock-initrd: FAILED: init=\/sbin\/other is not an executable file on \/dev\/vda$/m],
      [/linstock-init:/],
    ],
    [
      'a bad mask',
      ['ip=192.168.100.3:::255.0.255.0::eth0:off', 'linstock.test.reboot=0'],
      [/ip=.* not applied: 255\.0\.255\.0 is no network mask/],
      [],
    ],
    [
      'no such device',
      ['ip=192.168.100.9::192.168.100.1:255.255.255.0::eth7:off', 'linstock.test.reboot=0'],
      [/not applied: there is no network device eth7/],
      [],
    ],
    ['DHCP asked for', ['ip=dhcp', 'linstock.test.reboot=0'], [/ip=dhcp not applied: only a fixed address is/], []],
    ['a console flood', ['linstock.test.flood=50', 'linstock.test.reboot=0'], [/^linstock-init: flood line 50 of 50$/m, /init: ready/], []],
    ['a read-only root', ['ro', 'linstock.test.reboot=0'], [/root \/dev\/vda mounted ext4 ro, starting \/sbin\/init/, /init: ready/], []],
  ])('broken on purpose: %s; the VMM ends by itself', BOOT, async (what, tokens, present, absent) => {
    const guest = await boot(what.replaceAll(/\W+/g, '-'), tokens);
    expect(await guest.ended).toMatchObject({ code: 0, timedOut: false });
    const text = await guest.console();
    for (const line of present) expect(text).toMatch(line);
    for (const line of absent) expect(text).not.toMatch(line);
  });

  test('the address is taken away after ready', BOOT, async () => {
    const guest = await boot('flush', ['linstock.test.flush=0', 'linstock.test.reboot=2']);
    expect(await guest.ended).toMatchObject({ code: 0 });
    expect(await readFile(join(folder, 'flush/console.log'), 'utf8')).toMatch(/init: ready[^]*test: drop_addresses[^]*test: reboot/);
  });
});
