/** The reader on this machine, against what the test itself sees of it: made here, or asked by other means. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { DoctorReport } from '@linstock/contract';
import { staticProgram } from '../tools/born-in.ts';
import { examineHost } from './examine.ts';
import { readHost, type ReadOrder } from './read.ts';
import { kernelFiles, type HostReadings } from './readings.ts';

const root = process.getuid?.() === 0;
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function aFolder(above = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(above, 'linstock-read-'));
  await chmod(folder, 0o755);
  open.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function read(more: Partial<ReadOrder> = {}): Promise<HostReadings> {
  return await readHost({
    qemu: '/nonexistent/qemu',
    stateFolder: join(await aFolder(), 'state'),
    subnet: '192.168.100.0/24',
    programFolders: [],
    firecrackers: [],
    packages: { needed: [], useful: [], install: '' },
    probe: false,
    signal: new AbortController().signal,
    progress: () => {},
    ...more,
  });
}

const verdictOf = (report: DoctorReport, id: string): string => report.checks.find((one) => one.id === id)?.verdict ?? 'no such check';

/** A static program of this processor. */
function program(...hex: readonly string[]): Buffer {
  return staticProgram(Buffer.from(hex.join('').replaceAll(' ', ''), 'hex'));
}
/** Writes a line and ends: write(1, line, length), exit_group(0). The line follows the code, 16 bytes after the place it is counted from. */
function saying(line: string): Buffer {
  const words = Buffer.from(`${line}\n`);
  const length = Buffer.from([words.length, 0, 0, 0]).toString('hex');
  return program('b801000000 bf01000000 488d3510000000', `ba${length} 0f05`, 'b8e7000000 31ff 0f05', words.toString('hex'));
}
/** Waits for a signal, again and again: pause(). */
const waiting = program('b822000000 0f05 ebf7');

test('files, devices and folders are what they are', async () => {
  const host = await read();
  expect(host.kernel).toBe(spawnSync('uname', ['-r'], { encoding: 'utf8' }).stdout.trim());
  expect(host.uid).toBe(process.getuid?.());
  // those that do not change while they are looked at
  const changing = ['/proc/meminfo', '/proc/cpuinfo', '/proc/self/status', '/proc/mounts', '/proc/self/mountinfo', '/proc/self/limits'];
  for (const path of kernelFiles.filter((one) => !changing.includes(one))) {
    const reading = host.files[path];
    if (reading.is === 'text') expect(reading.text, path).toBe(readFileSync(path, 'utf8'));
    else expect(() => readFileSync(path), path).toThrow();
    if (reading.is === 'absent') expect(existsSync(path), path).toBe(false);
  }
  for (const path of changing) expect(host.files[path as '/proc/meminfo'].is, path).toBe('text');
  for (const [path, sight] of [
    ['/dev/kvm', host.kvm],
    ['/dev/net/tun', host.tun],
  ] as const) {
    let opens = true;
    try {
      closeSync(openSync(path, 'r+'));
    } catch {
      opens = false; // whatever the reason: the reader must not have opened it either
    }
    expect(sight.is === 'opens', path).toBe(opens);
    expect(sight.is === 'absent', path).toBe(!existsSync(path));
  }
  if (host.vulnerabilities.is === 'read')
    expect(host.vulnerabilities.entries.map((one) => one.name)).toEqual(
      (await readdir('/sys/devices/system/cpu/vulnerabilities')).toSorted(),
    );
  if (host.cgroup.mount !== null)
    expect(host.cgroup.controllers).toEqual({ is: 'text', text: readFileSync(join(host.cgroup.mount, 'cgroup.controllers'), 'utf8') });
});

test('a state folder that is not there yet: nothing is made, and the one above it is looked at', async () => {
  const above = await aFolder();
  const { state } = await read({ stateFolder: join(above, 'a', 'b') });
  expect(state).toMatchObject({ path: join(above, 'a', 'b'), nearest: above, own: { is: 'absent' }, installation: { is: 'absent' } });
  const { bavail, bsize } = statfsSync(above);
  expect(state.freeBytes).toBeGreaterThan((bavail * bsize) / 2);
  const reflink = spawnSync('sh', ['-c', 'echo x > a && cp --reflink=always a b', 'sh'], { cwd: await aFolder(above) });
  expect(state.sharesBlocks).toBe(reflink.status === 0 ? 'yes' : 'no');
  expect((await readdir(above)).filter((name) => name.startsWith('.linstock'))).toEqual([]);
});

test('a state folder that is there: its mode, and whose installation it is', async () => {
  const folder = await aFolder();
  await chmod(folder, 0o750);
  await writeFile(join(folder, 'installation.json'), '{"mark":"ab12"}');
  const { state } = await read({ stateFolder: folder });
  expect(state).toMatchObject({ nearest: folder, installation: { is: 'text', text: '{"mark":"ab12"}' } });
  expect(state.own).toMatchObject({ is: 'there', uid: process.getuid?.() });
  expect(state.own.is === 'there' && state.own.mode & 0o777).toBe(0o750);
});

test('without the probe boot, and without QEMU, no guest is started', async () => {
  expect((await read()).probes).toEqual({ is: 'skipped', why: 'no guest was started (--no-probe)' });
  expect((await read({ probe: true })).probes).toEqual({ is: 'skipped', why: 'no guest could be started: there is no /nonexistent/qemu' });
});

const qemu = '/usr/bin/qemu-system-x86_64';
test.skipIf(!existsSync(qemu))('the probe boot decides, and not that the device opens (needs QEMU)', async () => {
  const steps: string[] = [];
  const host = await read({ qemu, probe: true, progress: (step) => steps.push(step.name) });
  const report = examineHost(host, 1);
  expect(verdictOf(report, 'qemu.present')).toBe('ok');
  expect(verdictOf(report, 'qemu.runs-guests')).toBe('ok');
  if (host.probes.is !== 'made') throw new Error(host.probes.why);
  const works = host.probes.kvm.works;
  expect(verdictOf(report, 'kvm.runs-guests') === 'ok').toBe(works);
  if (host.kvm.is === 'opens' && !works)
    expect(report.checks.find((one) => one.id === 'kvm.runs-guests')?.read).toMatch(/^\/dev\/kvm opens, and cannot run a guest: /);
  expect(steps).toEqual(['reading this host', 'starting two small guests, under KVM and under emulation']);
});

test.skipIf(!root)('what a network takes, asked of nft and ip (needs root)', async () => {
  const host = await read();
  expect(host.nftRules).toMatchObject({ is: 'ran', code: 0 });
  expect(host.nftChains).toMatchObject({ is: 'ran', code: 0 });
  expect(JSON.parse(host.addresses.is === 'ran' ? host.addresses.stdout : '')).toEqual(
    expect.arrayContaining([expect.objectContaining({ ifname: 'lo' }) as object]) as object,
  );
  // the rules were only checked
  expect(spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout).not.toContain('d0c0');
});

describe('Firecracker binaries', () => {
  test.skipIf(!root)('found by folder, run for their version, jailer beside them (needs root)', async () => {
    const folder = await aFolder('/run'); // nobody else may write there
    await writeFile(join(folder, 'firecracker'), saying('Firecracker v1.16.1'), { mode: 0o755 });
    await writeFile(join(folder, 'jailer'), saying('Jailer v1.16.1'), { mode: 0o755 });
    const again = await aFolder('/run');
    await symlink(join(folder, 'firecracker'), join(again, 'firecracker'));
    const host = await read({ firecrackers: null, programFolders: [folder, again, '/nonexistent'] });
    const mine = host.firecrackers.filter(({ firecracker }) => firecracker.path.startsWith('/run/'));
    expect(mine.map(({ firecracker, jailer }) => [firecracker.path, jailer?.path])).toEqual([
      [join(folder, 'firecracker'), join(folder, 'jailer')],
    ]);
    const report = examineHost({ ...host, firecrackers: mine }, 1);
    for (const id of ['present', 'version', 'jailer', 'static', 'owner'].map((name) => `firecracker.${name}`))
      expect([id, verdictOf(report, id)]).toEqual([id, 'ok']);
  });

  test.skipIf(!root)('release names, and a dynamic one (needs root)', async () => {
    const folder = await aFolder('/run');
    await copyFile('/bin/true', join(folder, 'firecracker-v1.9.1-x86_64'));
    await writeFile(join(folder, 'jailer-v1.9.1-x86_64'), saying('Jailer v1.9.1'), { mode: 0o755 });
    const host = await read({ firecrackers: [join(folder, 'firecracker-v1.9.1-x86_64')] });
    expect(host.firecrackers[0]).toMatchObject({
      firecracker: { linking: 'dynamic' },
      jailer: { linking: 'static', version: { is: 'ran', stdout: 'Jailer v1.9.1\n' } },
    });
  });

  test('where others may write, nothing is run', async () => {
    const folder = join(await aFolder(), 'open');
    await mkdir(folder);
    await chmod(folder, 0o777);
    const trace = join(folder, 'it-ran');
    await writeFile(join(folder, 'firecracker'), `#!/bin/sh\n: > ${trace}\necho Firecracker v1.16.1\n`, { mode: 0o755 });
    const host = await read({ firecrackers: [join(folder, 'firecracker'), '/nonexistent/firecracker'] });
    expect(host.firecrackers.map(({ firecracker }) => firecracker.version.is)).toEqual(['skipped', 'absent']);
    expect(existsSync(trace)).toBe(false);
    const report = examineHost(host, 1);
    expect(report.checks.find((one) => one.id === 'firecracker.owner')).toMatchObject({ verdict: 'bad' });
    expect(verdictOf(report, 'firecracker.version')).toBe('unknown');
  });
});

describe('running Firecrackers', () => {
  const start = async (argv: readonly string[]): Promise<ChildProcess> => {
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'ignore'] });
    open.push(() => child.kill('SIGKILL'));
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return child;
  };

  test('one that nobody put behind walls', async () => {
    const folder = await aFolder();
    await writeFile(join(folder, 'firecracker'), waiting, { mode: 0o755 });
    const { pid } = await start([join(folder, 'firecracker'), '--id', 'x']);
    const host = await read();
    const mine = host.running.filter((one) => one.pid === pid);
    expect(mine).toMatchObject([
      { root: { is: 'shared' }, threads: [{ is: 'text', text: expect.stringContaining('Name:\tfirecracker\n') as string }] },
    ]);
    const report = examineHost({ ...host, running: mine }, 1);
    expect(verdictOf(report, 'vms.jailed')).toBe('bad');
    expect(verdictOf(report, 'vms.capabilities')).toBe(root ? 'bad' : 'ok');
  });

  test.skipIf(!root)('one in a mount namespace of its own, as the jailer makes it (needs root)', async () => {
    const folder = await aFolder();
    await writeFile(join(folder, 'firecracker'), waiting, { mode: 0o755 });
    await copyFile('/bin/busybox', join(folder, 'busybox'));
    const ready = join(folder, 'ready');
    // as the jailer does: unshare, bind, pivot_root, put the old root away, become Firecracker
    const script = `mount --make-rprivate / && mount --bind ${folder} ${folder} && cd ${folder} && mkdir old && pivot_root . old && exec /busybox sh -c '/busybox umount -l /old && : > /ready && exec /firecracker'`;
    const { pid } = await start(['unshare', '--mount', 'sh', '-c', script]); // each becomes the next: the pid stays
    await expect.poll(() => existsSync(ready), { timeout: 20_000 }).toBe(true);
    const mine = async (): Promise<HostReadings['running'][number]['root'] | undefined> =>
      (await read()).running.find((one) => one.pid === pid)?.root;
    await expect.poll(mine, { timeout: 20_000 }).toEqual({ is: 'own' });
  });
});

test('an abort is an abort', async () => {
  const abort = new AbortController();
  abort.abort(new Error('enough'));
  await expect(read({ signal: abort.signal })).rejects.toThrow('enough');
});
