/** What cannot be done is answered with its code and a sentence that says what, why and what to do; nothing is changed, nothing half made. */
import { hash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GoldenManifest } from '@linstock/contract';
import { addGolden, exec, execOk, faultOfRefusal, ImageStore } from '@linstock/host';
import { conditionOf, eventually, faultOf, Installation, keepsEvidence, leftOf, reasonToSkip } from './installation.ts';

const reason = await reasonToSkip('bad input');
const bound = { timeoutMs: 60_000 };

describe.skipIf(reason !== undefined)('bad input', () => {
  let it: Installation;
  let folder: string;
  keepsEvidence(() => it);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-guests-bad-'));
    it = await Installation.make({ subnet: '10.77.4.0/24' });
    await it.start();
    // a proof that cannot be had is given up after half a minute: they have it while the other tests run
    for (const { name, listen } of broken) await it.api.vms.create({ name, bootArgs: { add: [`linstock.test.httpd=${listen}`] } });
  });
  afterAll(async () => {
    await it.purge();
    await rm(folder, { recursive: true, force: true });
  });

  async function vmNames(): Promise<string[]> {
    const names: string[] = [];
    for await (const vm of it.api.vms.list()) names.push(vm.name);
    return names;
  }
  const broken = [
    { name: 'nobody-listens', listen: 'none', observed: /tcp: refused; nothing in the guest listens on it/ },
    { name: 'loopback-only', listen: '127.0.0.1:6080', observed: /tcp: refused; in the guest it listens on 127\.0\.0\.1 only/ },
  ];
  /** Another installation for one test, purged afterwards: its evidence is kept before that. */
  async function withOther(
    options: { subnet: string; folder?: string; environment?: Record<string, string> },
    work: (other: Installation) => Promise<void>,
  ): Promise<void> {
    const other = await Installation.make(options);
    try {
      await work(other);
    } catch (error) {
      console.log(`evidence kept in ${await other.keepEvidence(options.subnet)}`);
      throw error;
    } finally {
      await other.purge();
    }
  }
  /** Path, size and content of every file that is not a log. */
  async function contentOf(state: string): Promise<Record<string, string>> {
    const files: Record<string, string> = {};
    for (const entry of await readdir(state, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && !path.endsWith('.log'))
        files[path.slice(state.length)] = (await stat(path)).size > 1_000_000 ? 'large' : hash('sha256', await readFile(path));
    }
    return files;
  }

  describe('a request', () => {
    test.each([
      ['an unknown golden image', { golden: 'huge' }, 'golden-unknown', /no golden image huge; there are: tiny@1/],
      ['an unknown version', { golden: 'tiny@99' }, 'golden-unknown', /no golden image tiny@99/],
      [
        'too little memory',
        { memoryMiB: 16 },
        'guest-too-small',
        /16 MiB of memory cannot boot tiny: its kernel and initrd need at least \d+ MiB/,
      ],
      ['an unknown network', { network: 'moon' }, 'network-unknown', /no network moon; there are: default/],
      ['a boot argument from a broken program', { bootArgs: { add: ['ip=undefined::undefined'] } }, 'boot-args-invalid', /undefined/],
      ['a boot argument twice', { bootArgs: { add: ['console=ttyS0'] } }, 'boot-args-invalid', /use replace/],
    ])('%s', async (_, spec, code, says) => {
      const fault = await faultOf(it.api.vms.create(spec));
      expect(fault).toEqual({ code, says: expect.stringMatching(says) });
      expect(await vmNames()).toEqual(broken.map((one) => one.name));
    });
  });

  describe('an image', () => {
    async function added(parts: { kernelPath?: string; rootfsPath?: string }): Promise<{ code: string; says: string }> {
      const store = new ImageStore({ folder: it.paths.images, now: Date.now });
      const [tiny] = await it.api.goldens.list();
      const blobs = {
        kernelPath: store.blobPath((tiny as GoldenManifest).kernel.blob),
        rootfsPath: store.blobPath((tiny as GoldenManifest).rootfs.blob),
      };
      const outcome = await addGolden(store, { name: 'mine', ...blobs, ...parts });
      if (outcome.ok) throw new Error('it was taken');
      const { fault, message } = faultOfRefusal(outcome, it.stateFolder);
      return { code: fault.code, says: message };
    }

    test('a kernel that is none, a root file system without init: refused, the list is as before', async () => {
      await writeFile(join(folder, 'script'), '#!/bin/sh\n');
      await execOk(['mke2fs', '-q', '-t', 'ext4', join(folder, 'no-init'), '4M'], bound);
      expect(await added({ kernelPath: join(folder, 'script') })).toEqual({
        code: 'image-refused',
        says: expect.stringMatching(/script.*it is a script/),
      });
      expect(await added({ rootfsPath: join(folder, 'no-init') })).toEqual({
        code: 'image-refused',
        says: expect.stringMatching(/has no \/sbin\/init/),
      });
      expect((await it.api.goldens.list()).map((golden) => golden.name)).toEqual(['tiny']);
      expect(await readdir(join(it.paths.images, 'scratch'))).toEqual([]);
    });

    test('a kernel that was cut short after it was taken is named, and not booted', async () => {
      const [golden] = await it.api.goldens.list();
      const blob = join(it.paths.images, 'blobs/sha256', (golden as GoldenManifest).kernel.blob);
      await copyFile(blob, join(folder, 'cut')); // the file itself is shared with other installations
      await truncate(join(folder, 'cut'), 1_000_000);
      await rename(blob, join(folder, 'whole'));
      await rename(join(folder, 'cut'), blob);
      const { vm } = await it.api.vms.create({ name: 'cut' });
      const stumbling = await eventually(
        () => it.api.vms.show(vm.id),
        (view) => view.stumble !== null || view.fault !== null,
        60_000,
      );
      const { code, data } = (stumbling.fault ?? stumbling.stumble) as { code: string; data: { say?: string } };
      expect({ code, say: data.say }).toEqual({ code: 'artifact-corrupt', say: expect.stringMatching(/kernel|blob|[0-9a-f]{12}/) });
      const boot = stumbling.boot;
      if (boot !== null) expect(it.unitOf(boot)).toEqual({ keeper: [], vmm: [] });
      await rename(join(folder, 'whole'), blob);
      await it.api.vms.delete(vm.id, { until: 'deleted' });
    });
  });

  describe('a host', () => {
    test('a subnet that is there already: the controller does not start, and changes nothing', async () => {
      await execOk(['ip', 'link', 'add', 'lsclash0', 'type', 'bridge'], bound);
      try {
        await execOk(['ip', 'address', 'add', '10.77.41.77/25', 'dev', 'lsclash0'], bound);
        const other = await Installation.make({ subnet: '10.77.41.0/24' });
        const { code, problem } = await other.refusal();
        expect(code).toBe(1);
        expect(problem).toMatchObject({
          code: 'network-clash',
          detail: 'Subnet 10.77.41.0/24 overlaps 10.77.41.77/25 on interface lsclash0; choose another subnet.',
        });
        const left = await leftOf(other.mark, other.stateFolder);
        expect(left.filter((thing) => !/^(file|cgroup linstock-)/.test(thing))).toEqual([]);
        await execOk(['ip', 'link', 'del', 'lsclash0'], bound);
        await other.start(); // the reason is gone, and with it the refusal
        await other.purge();
      } finally {
        await exec(['ip', 'link', 'del', 'lsclash0'], bound);
      }
    });

    test('a full disk: named, nothing half made, and it goes on when there is room again', { timeout: 300_000 }, async () => {
      const small = join(folder, 'small');
      await mkdir(small);
      await execOk(['mount', '-t', 'tmpfs', '-o', 'size=120m', 'tmpfs', small], bound);
      try {
        await withOther({ subnet: '10.77.42.0/24', folder: join(small, 'one') }, async (other) => {
          await other.start();
          const { api } = other;
          const { vm } = await api.vms.create({ name: 'full', start: false }, { until: 'stopped' });
          await fill(join(small, 'ballast'));
          const refused = await api.vms.create({ name: 'more' }).then(
            () => null,
            (error: Error) => error.message,
          );
          if (refused !== null) expect(refused).toMatch(/No space is left under .*free some/);
          else {
            const view = await eventually(
              () => api.vms.show('more'),
              (one) => (one.stumble ?? one.fault) !== null,
              60_000,
            );
            expect(view.stumble ?? view.fault).toMatchObject({ code: 'host-disk-full' });
          }
          expect((await api.health()).pid).toBe(other.pid); // it lives, and tells
          await rm(join(small, 'ballast'));
          if (refused === null) await api.vms.delete('more', { until: 'deleted' });
          const started = await api.vms.start(vm.id, { until: 'verified', withinMs: 200_000 });
          expect(started.vm).toMatchObject({ verified: 'proved', fault: null, stumble: null });
          await api.vms.delete(vm.id, { until: 'deleted' });
          await other.expectNoVmLeft();
        });
      } finally {
        await execOk(['umount', small], bound);
      }
    });
    async function fill(path: string): Promise<void> {
      const full = await exec(['dd', 'if=/dev/zero', `of=${path}`, 'bs=64k'], bound);
      expect(full.stderr).toContain('No space left');
    }

    test('a state folder that may not be written', async () => {
      const other = await Installation.make({ subnet: '10.77.43.0/24', user: 65_534, prepared: false });
      await chmod(other.stateFolder, 0o555);
      await exec(['chown', '0:0', other.stateFolder], bound);
      const { code, problem } = await other.refusal();
      expect({ code, problem }).toMatchObject({
        code: 1,
        problem: { code: 'host-lacks-permission', detail: expect.stringContaining(other.stateFolder) },
      });
      expect(await readdir(other.stateFolder)).toEqual([]);
      await rm(other.folder, { recursive: true });
    });

    test('a controller that runs there already', async () => {
      const { code, problem } = await it.refusal();
      expect({ code, problem }).toMatchObject({
        code: 1,
        problem: { code: 'daemon-already-running', detail: expect.stringContaining(`pid ${it.pid}`) },
      });
      expect((await it.api.health()).pid).toBe(it.pid);
    });
  });

  describe('a database', () => {
    let other: Installation;
    beforeAll(async () => {
      other = await Installation.make({ subnet: '10.77.44.0/24' });
      await other.start();
      await other.api.vms.create({ name: 'kept', start: false }, { until: 'stopped' });
      expect(await other.stop()).toBe(0);
    });
    afterAll(() => other.purge());

    async function refusedUnchanged(code: string, detail: RegExp): Promise<void> {
      const before = await contentOf(other.stateFolder);
      expect(await other.refusal()).toMatchObject({ code: 1, problem: { code, detail: expect.stringMatching(detail) } });
      expect(await contentOf(other.stateFolder)).toEqual(before);
    }

    test('of a newer release: refused, and every file is as it was', async () => {
      const database = new DatabaseSync(other.paths.database);
      database.exec(`update meta set value = value + 1 where name = 'schema'`);
      database.close();
      await refusedUnchanged('database-newer', /newer Linstock \(schema \d+, this one knows \d+\); run the newer release/);
      const back = new DatabaseSync(other.paths.database);
      back.exec(`update meta set value = value - 1 where name = 'schema'`);
      back.close();
    });

    test('that is damaged: refused, and every file is as it was', async () => {
      const whole = await readFile(other.paths.database);
      await writeFile(other.paths.database, Buffer.concat([whole.subarray(0, 4_096), Buffer.alloc(whole.length - 4_096, 0x5a)]));
      await refusedUnchanged('database-corrupt', /cannot be read.*Restore the backup; nothing was changed/);
      await writeFile(
        other.paths.database,
        'this is no database, and longer than the header of one is, so that it is looked at as one\n'.repeat(60),
      );
      await refusedUnchanged('database-corrupt', /cannot be read.*Restore the backup; nothing was changed/);
      await writeFile(other.paths.database, whole);
    });

    test('given back, it serves again with what it knew', async () => {
      await other.start();
      expect(await other.api.vms.show('kept')).toMatchObject({ state: 'stopped' });
    });
  });

  test.each(broken)('a promise that the guest does not keep: $name', async ({ name, observed }) => {
    expect(await faultOf(it.api.vms.wait(name, 'verified'))).toEqual({
      code: 'goal-unreachable',
      says: expect.stringContaining('its boot was examined and is refuted'),
    });
    const { proof, vm } = await it.api.vms.proof(name);
    expect(vm).toMatchObject({ state: 'running', verified: 'refuted', fault: null });
    expect(conditionOf(proof, 'port.6080')).toMatchObject({ verdict: 'refuted', observed: expect.stringMatching(observed) });
    expect(conditionOf(proof, 'net.layer2').verdict).toBe('proved'); // that is not to blame
    await it.api.vms.delete(name, { until: 'deleted' });
  });

  test('nothing is left of all that', () => it.expectNoVmLeft());
});
