/** A Firecracker config file becomes a VM that boots and is proved as far as its image can show. */
import { hash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GoldenManifest, Proof, VmView } from '@linstock/contract';
import { exec, execOk, ImageStore } from '@linstock/host';
import { conditionOf, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const reason = await reasonToSkip('import of config files');
const bound = { timeoutMs: 60_000 };
const minutes = 200_000;

type Imported = {
  import: { golden: { name: string; version: number } | null; made: boolean; changes: { at: string; says: string }[] };
  vm: VmView;
  reached: boolean | null;
};

describe.skipIf(reason !== undefined)('import of config files', () => {
  const here = useInstallation({ subnet: '10.77.30.0/24' });
  keepsEvidence(() => here.it);
  let folder: string;
  let blobs: { kernel: string; initrd: string; rootfs: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-import-'));
    const store = new ImageStore({ folder: here.it.paths.images, now: Date.now });
    const [tiny] = (await here.it.api.goldens.list()) as readonly GoldenManifest[];
    const { kernel, initrd, rootfs } = tiny as GoldenManifest;
    blobs = { kernel: store.blobPath(kernel.blob), initrd: store.blobPath(initrd?.blob ?? ''), rootfs: store.blobPath(rootfs.blob) };
    // an image of somebody who never heard of us: without the agent
    await copyFile(blobs.rootfs, join(folder, 'rootfs.ext4'));
    await inImage('rootfs.ext4', 'rm /sbin/linstock-agent');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function inImage(name: string, ...lines: string[]): Promise<void> {
    await execOk(['chmod', '600', join(folder, name)], bound);
    for (const line of lines) await execOk(['debugfs', '-w', '-R', line, join(folder, name)], bound);
    expect((await exec(['e2fsck', '-fn', join(folder, name)], bound)).code).toBe(0);
  }

  /** As people write them: relative paths, an address of their own, Firecracker's machine in the arguments. */
  async function config(name: string, changes: { rootfs?: string; args?: string; kernel?: string; memory?: number } = {}): Promise<string> {
    const file = join(folder, name);
    await writeFile(
      file,
      JSON.stringify({
        'boot-source': {
          kernel_image_path: changes.kernel ?? blobs.kernel,
          initrd_path: blobs.initrd,
          boot_args: `console=ttyS0 reboot=k panic=1 pci=off noapic acpi=off ip=172.16.0.2::172.16.0.1:255.255.255.252::eth0:off ${changes.args ?? ''}`,
        },
        drives: [{ drive_id: 'rootfs', path_on_host: changes.rootfs ?? 'rootfs.ext4', is_root_device: true, is_read_only: false }],
        'machine-config': { vcpu_count: 2, mem_size_mib: changes.memory ?? 192 },
        'network-interfaces': [{ iface_id: 'eth0', host_dev_name: 'fc-tap-nowhere', guest_mac: '06:00:AC:10:00:02' }],
      }),
    );
    return file;
  }

  async function imported(...words: string[]): Promise<Imported> {
    const run = await here.it.run(['vm', 'import', ...words, '--json'], minutes);
    expect({ code: run.code, said: run.stderr }).toMatchObject({ code: 0 });
    return JSON.parse(run.stdout) as Imported;
  }
  const sha256Of = async (path: string): Promise<string> => hash('sha256', await readFile(path));
  const proofOf = async (vm: string): Promise<Proof> => (await here.it.api.vms.proof(vm)).proof as Proof;
  const goldens = async (): Promise<string[]> => (await here.it.api.goldens.list()).map((one) => `${one.name}@${one.version}`).toSorted();

  test('from the file to a verified VM, by console and network alone', async () => {
    const before = await sha256Of(join(folder, 'rootfs.ext4'));
    const result = await imported(await config('web.json'), '--name', 'web', '--port', '6080:http', '--wait', 'verified');
    expect(result).toMatchObject({
      import: { golden: { name: 'imported-web', version: 1 }, made: true },
      vm: { name: 'web', state: 'running', verified: 'proved', vcpus: 2, memoryMiB: 192 },
      reached: true,
    });
    expect(result.import.changes.map(({ at }) => at)).toContain('/network-interfaces/0/host_dev_name');
    const golden = await here.it.api.goldens.show('imported-web');
    expect(golden).toMatchObject({
      agent: false,
      init: 'other',
      bootArgs: ['console=ttyS0', 'reboot=k', 'panic=1', 'pci=off', 'ip={ip}', 'root=/dev/vda', 'rw'],
    });

    const proof = await proofOf('web');
    const unasked = ['agent.ready', 'clock.offset', 'random.seeded'];
    expect(proof.conditions.filter(({ asked }) => !asked).map(({ id }) => id)).toEqual(unasked);
    expect(proof.conditions.filter(({ asked, verdict }) => asked && verdict !== 'proved')).toEqual([]);
    expect(conditionOf(proof, 'agent.ready').verdict).toBe('unknown');
    expect(conditionOf(proof, 'net.address').evidence.map(({ source }) => source)).toContain('probe');
    // Debian's kernel has no IP_PNP: somebody else must have set the address
    expect(conditionOf(proof, 'cmdline.understood').observed).toContain('is for the initrd or user space');
    // the guest writes to its disk, and not to the file
    expect(await sha256Of(join(folder, 'rootfs.ext4'))).toBe(before);
  });

  test('the same file again is the same image, and a changed one the next version', async () => {
    const file = await config('twice.json');
    expect((await imported(file, '--no-start', '--wait')).import).toMatchObject({
      golden: { name: 'imported-twice', version: 1 },
      made: true,
    });
    expect((await imported(file, '--no-start', '--wait')).import).toMatchObject({
      golden: { name: 'imported-twice', version: 1 },
      made: false,
    });
    await config('twice.json', { args: 'quiet' });
    const third = await imported(file, '--no-start', '--wait');
    expect(third).toMatchObject({
      import: { golden: { version: 2 }, made: true },
      vm: { state: 'stopped', golden: { name: 'imported-twice', version: 2 } },
    });
  });

  test('an init that says nothing does not keep a boot from being verified, and its word is not made up', async () => {
    await copyFile(join(folder, 'rootfs.ext4'), join(folder, 'mute.ext4'));
    await writeFile(join(folder, 'init'), '#!/bin/sh\nwhile :; do sleep 3600; done\n');
    await inImage('mute.ext4', 'rm /sbin/init', `write ${join(folder, 'init')} /sbin/init`, 'sif /sbin/init mode 0100755');
    const { vm } = await imported(await config('mute.json', { rootfs: 'mute.ext4' }), '--name', 'mute', '--wait', 'verified');
    expect(vm.verified).toBe('proved');
    expect(conditionOf(await proofOf('mute'), 'init.finished')).toMatchObject({ verdict: 'unknown', asked: false });
  });

  test('--dry-run says the same and changes nothing', async () => {
    const before = await goldens();
    const { import: report } = await imported(await config('dry.json'), '--dry-run');
    expect(report).toMatchObject({ golden: null, made: false });
    expect(report.changes.map(({ says }) => says).join(' ')).toMatch(/noapic is dropped.*ip=\{ip\} instead of/);
    expect(await goldens()).toEqual(before);
  });

  describe('wrong files: one sentence, and nothing is changed', () => {
    test.each<[string, () => Promise<string>, RegExp]>([
      ['a drive that is a folder', () => config('x.json', { rootfs: '.' }), /is a folder, not a file/],
      ['a drive that is not there', () => config('x.json', { rootfs: 'none' }), /There is no file \S+\/none/],
      [
        'a drive of another format',
        () => other('qcow2', (file) => execOk(['qemu-img', 'create', '-q', '-f', 'qcow2', file, '1M'], bound)),
        /it is a qcow2 disk/,
      ],
      ['a kernel that is a program', () => config('x.json', { kernel: process.execPath }), /ordinary program/],
      ['a kernel that is not there', () => config('x.json', { kernel: '/none' }), /There is no file \/none/],
      ['an init that is not there', () => config('x.json', { args: 'init=/none' }), /has no \/none/],
      ['memory that cannot do', () => config('x.json', { memory: 20 }), /needs at least \d+ MiB/],
      ['an argument that was never filled in', () => config('x.json', { args: 'host=undefined' }), /contains "undefined"/],
    ])('%s', async (_, make, words) => {
      const before = await goldens();
      const run = await here.it.run(['vm', 'import', await make(), '--name', 'never']);
      expect({ code: run.code, stdout: run.stdout }).toEqual({ code: 1, stdout: '' });
      expect(run.stderr).toMatch(words);
      expect(await goldens()).toEqual(before);
      expect(await readdir(join(here.it.paths.images, 'scratch'))).toEqual([]);
      expect(await here.it.run(['vm', 'show', 'never'])).toMatchObject({ code: 1 });
    });
    async function other(name: string, make: (file: string) => Promise<unknown>): Promise<string> {
      await make(join(folder, name));
      return config('x.json', { rootfs: name });
    }
  });

  test('what lint finds in the file on this host', async () => {
    await mkdir(join(folder, 'elsewhere'), { recursive: true });
    const run = await here.it.run(['lint', await config('elsewhere/x.json'), '--json']);
    const { findings } = JSON.parse(run.stdout) as { findings: { severity: string; at: string; of: string }[] };
    expect(run.code).toBe(1);
    expect(findings.filter(({ severity, of }) => severity === 'error' && of === 'host').map(({ at }) => at)).toEqual([
      '/drives/0/path_on_host',
      '/network-interfaces/0/host_dev_name',
    ]);
  });

  test('nothing of them is left', async () => {
    const { it } = here;
    for await (const vm of it.api.vms.list()) await it.api.vms.delete(vm.id, { until: 'deleted' });
    await it.expectNoVmLeft();
  });
});
