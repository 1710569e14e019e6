/**
 * Images from recipes as real guests: a container image in seconds; one whose program fails, which is waited for half a minute, and `base` and
 * `desktop`, which take minutes and Debian's archive, when all is asked for (`./linstock test --all`).
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FaultError, type GoldenManifest } from '@linstock/contract';
import { buildHere } from '@linstock/daemon';
import { exec, isStaticElf } from '@linstock/host';
import { conditionOf, keepsEvidence, reasonToSkip, useInstallation } from './installation.ts';

const busybox = await readFile('/bin/busybox').catch(() => Buffer.alloc(0)); // absent is as good as not static
const reason =
  (await reasonToSkip('images from recipes', 'umoci', 'go')) ??
  (isStaticElf(busybox.subarray(0, 4096)) ? undefined : 'there is no static /bin/busybox here');
const isAll = process.env['TEST_ALL'] === '1';
const reasonNotAll = isAll
  ? await reasonToSkip('base and desktop', 'mmdebstrap', 'go')
  : 'base and desktop are built with ./linstock test --all only';
for (const why of [reason, reasonNotAll]) if (why !== undefined) console.log(`skipped: ${why}`);

const BUILD_MS = 1_800_000;
/** A desktop under emulation, on a machine that has other things to do. */
const VERIFIED_MS = 600_000;

describe.skipIf(reason !== undefined)('container images as guests', () => {
  const here = useInstallation({ subnet: '10.77.24.0/24' });
  keepsEvidence(() => here.it);
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-oci-'));
    await makeImage(folder);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const build = async (recipe: Record<string, unknown>): Promise<GoldenManifest> => {
    await writeFile(join(folder, 'recipe.json'), JSON.stringify({ from: 'oci:./layout', machine: { memoryMiB: 128 }, ...recipe }));
    return (await built(here.it.stateFolder, folder, './recipe.json')).golden;
  };

  test('its program runs as it says, is proved by its port, and is asked to end before the machine goes', async () => {
    const golden = await build({ name: 'web', ports: [{ port: 8080, level: 'http' }] });
    expect(golden).toMatchObject({
      name: 'web',
      version: 1,
      agent: true,
      init: 'other',
      bootArgs: expect.arrayContaining(['init=/linstock/linstock-init']) as string[],
    });
    const { vm, boot } = await here.it.verified({ golden: 'web' });
    const { proof } = await here.it.api.vms.proof(vm.id);
    expect(conditionOf(proof, 'port.8080').verdict).toBe('proved');
    expect(conditionOf(proof, 'init.finished').verdict).toBe('proved');
    await here.it.api.vms.stop(vm.id, { until: 'stopped', withinMs: 60_000 });
    const console_ = await here.it.consoleOf(boot);
    expect(console_).toMatch(/linstock-init: ready up=\S+ start=\/bin\/serve/);
    expect(console_).toMatch(/^serve: 1000 1000 2000 blue \/srv\/app\r?$/m);
    expect(console_).toMatch(/linstock-init: going down \(terminated\)\r?\n[^]*serve: asked to end/);
    expect(console_).not.toContain('did not end within');
    await here.it.api.vms.delete(vm.id, { until: 'deleted', withinMs: 60_000 });
  });

  test('a program that fails is said to have failed, and the VM stays to be looked into', async ({ skip }) => {
    skip(!isAll, 'it waits half a minute; ./linstock test --all runs it');
    await build({ name: 'failing', files: [{ path: 'bin/serve', text: '#!/bin/sh\nexit 3\n', mode: '755' }] });
    const one = await here.it.api.goldens.verify('failing', { withinMs: 200_000 });
    expect(one).toMatchObject({ state: 'failed' });
    const { proof } = await here.it.api.boots.show(one.boot as string);
    expect(conditionOf(proof, 'init.finished')).toMatchObject({
      verdict: 'refuted',
      observed: expect.stringContaining('ended with 3') as string,
    });
    expect(conditionOf(proof, 'agent.ready').verdict).toBe('proved');
  });
});

describe.skipIf(reasonNotAll !== undefined)('base and desktop', { timeout: 2 * BUILD_MS }, () => {
  const here = useInstallation({ subnet: '10.77.25.0/24' });
  keepsEvidence(() => here.it);

  test.each([
    ['base', 'port.22'],
    ['desktop', 'port.6080'],
  ])('%s is built, boots and is proved', async (named, port) => {
    const { golden } = await built(here.it.stateFolder, here.it.folder, named);
    expect(golden.init).toBe('systemd');
    expect(await built(here.it.stateFolder, here.it.folder, named)).toMatchObject({
      built: false,
      golden: { digest: golden.digest },
    });
    const one = await here.it.api.goldens.verify(named, { withinMs: VERIFIED_MS });
    expect(one).toMatchObject({ state: 'active', why: null });
    const { proof } = await here.it.api.boots.show(one.boot as string);
    expect(conditionOf(proof, port)).toMatchObject({ verdict: 'proved' });
    expect(conditionOf(proof, 'init.finished')).toMatchObject({ verdict: 'proved' });
  });

  test('an image whose own network service takes the address away: foretold before any boot, and then seen', async () => {
    const recipe = {
      name: 'founding',
      from: 'debian:trixie',
      packages: ['dbus', 'iproute2', 'systemd-sysv', 'udev'],
      files: [{ path: 'etc/systemd/network/10-wired.network', text: '[Match]\nName=e*\n\n[Network]\nDHCP=yes\n' }],
      units: { enable: ['systemd-networkd.service'] },
      machine: { memoryMiB: 256 },
    };
    await writeFile(join(here.it.folder, 'founding.json'), JSON.stringify(recipe));
    await built(here.it.stateFolder, here.it.folder, './founding.json');
    const { findings } = await here.it.api.goldens.lint('founding');
    expect(findings.filter(({ severity }) => severity === 'error')).toMatchObject([
      { id: 'net.address-replaced', path: '/etc/systemd/network/10-wired.network', refutes: 'net.address' },
    ]);
    const one = await here.it.api.goldens.verify('founding', { waive: 'to see it happen', withinMs: VERIFIED_MS });
    expect(one).toMatchObject({ state: 'failed' });
    const { proof } = await here.it.api.boots.show(one.boot as string);
    expect(conditionOf(proof, 'net.address')).toMatchObject({
      verdict: 'refuted',
      observed: expect.stringContaining('then systemd-networkd started') as string,
    });
    expect(conditionOf(proof, 'agent.ready').verdict).toBe('proved');
  });

  test('the same with swiotlb=force asked for: the diagnosis names networkd, and swiotlb as what it is', async () => {
    const { vm } = await here.it.api.vms.create({
      name: 'founding',
      golden: 'founding@1',
      memoryMiB: 512,
      bootArgs: { add: ['swiotlb=force'] },
    });
    await expect(here.it.api.vms.wait(vm.id, 'verified', { withinMs: VERIFIED_MS })).rejects.toBeInstanceOf(FaultError);
    const diagnosis = await here.it.api.vms.diagnosis(vm.id);
    expect(diagnosis.causes.filter(({ confidence }) => confidence !== 'possible').map(({ code }) => code)).toEqual([
      'guest.net.address-dropped-by-networkd',
    ]);
    expect(diagnosis.ruledOut.map(({ code }) => code)).toContain('kernel.lacks-swiotlb');
    await here.it.api.vms.delete(vm.id);
  });

  test('base, built from nothing again, is the same', async () => {
    const before = await built(here.it.stateFolder, here.it.folder, 'base');
    const again = await built(here.it.stateFolder, here.it.folder, 'base', 'fresh');
    expect(again.golden.rootfs).toEqual(before.golden.rootfs);
  });
});

function built(
  stateFolder: string,
  cwd: string,
  recipe: string,
  use: 'as-built' | 'fresh' = 'as-built',
): Promise<{ golden: GoldenManifest; built: boolean }> {
  const order = { what: 'golden' as const, recipe, cwd, use, name: null, kernel: null };
  return buildHere(stateFolder, order, { signal: AbortSignal.timeout(BUILD_MS), progress: () => {} });
}

/** An image as another tool makes it: busybox, a script that serves, a user of its own. */
async function makeImage(folder: string): Promise<void> {
  const layout = join(folder, 'layout');
  const bundle = join(folder, 'bundle');
  const run = async (...argv: string[]): Promise<void> => {
    const result = await exec(argv, { timeoutMs: 60_000 });
    if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`);
  };
  await run('umoci', 'init', '--layout', layout);
  await run('umoci', 'new', '--image', `${layout}:one`);
  await run('umoci', 'unpack', '--image', `${layout}:one`, bundle);
  const root = join(bundle, 'rootfs');
  await run('mkdir', join(root, 'bin'), join(root, 'etc'), join(root, 'www'));
  await run('cp', '/bin/busybox', join(root, 'bin/busybox'));
  await run('ln', '-s', 'busybox', join(root, 'bin/sh'));
  await writeFile(join(root, 'www/index.html'), 'hello');
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\napp:x:1000:\nextra:x:2000:app\n');
  await writeFile(
    join(root, 'bin/serve'),
    '#!/bin/sh\necho "serve: $(busybox id -u) $(busybox id -G) $COLOUR $(pwd)"\ntrap "echo serve: asked to end; kill $!; exit 0" TERM\nbusybox httpd -f -p 8080 -h /www &\nwait\n',
    { mode: 0o755 },
  );
  await run('chmod', '-R', 'a+rX', root); // this process keeps what it makes from others
  await run('umoci', 'repack', '--image', `${layout}:one`, bundle);
  await run(
    'umoci',
    'config',
    '--image',
    `${layout}:one`,
    '--config.entrypoint',
    '/bin/serve',
    '--config.user',
    'app',
    '--config.env',
    'COLOUR=blue',
    '--config.workingdir',
    '/srv/app',
  );
}
