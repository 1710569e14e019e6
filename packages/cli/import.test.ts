/** What `vm import` asks and shows. The golden image itself is made in test/guests/import.real.test.ts. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { FaultError } from '@linstock/contract';
import { aVm, smallServer, type SmallServer } from '@linstock/sdk/testing';
import { vmImportCommand } from './commands/vm/import.ts';
import { goldenNameOf } from './config-file.ts';
import { type ImportedGolden, type ImportFace } from './daemon-face.ts';
import { here } from './testing/here.ts';
import type { CliRun } from './testing/run.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const imported: ImportedGolden = {
  golden: { name: 'imported-web', version: 2 },
  made: true,
  kernel: '6.1.141',
  rootfsBytes: 300 * 1024 * 1024,
  memoryMiB: 512,
  vcpus: 2,
  firecracker: null,
  bootArgs: ['console=ttyS0', 'ip={ip}'],
  changes: [
    { at: '/drives/0/path_on_host', says: 'Each VM gets a copy of this file.' },
    { at: '/vsock', says: 'The vsock device is left out.' },
  ],
  warnings: [{ at: '/mine', what: 'No version has it.', fix: 'Leave it out.' }],
};

type Asked = Parameters<ImportFace['importGolden']>[0];
async function stage(
  o: { vms?: readonly string[]; fails?: Error; made?: boolean; usual?: string } = {},
): Promise<{ server: SmallServer; asked: Asked[]; run(...argv: string[]): Promise<CliRun> }> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-import-'));
  const server = await smallServer({
    'health.show': () => ({ status: 'ok' }),
    'vm.list': ({ query }) => ({
      items: (o.vms ?? []).filter((name) => name === query['name']).map((name) => aVm({ name, id: `vm_${name}` })),
      next: null,
      seq: 1,
    }),
    'host.list': () => ({ items: [{ facts: { usualVmm: o.usual ?? 'qemu' } }] }),
    'vm.create': () => ({ vm: aVm({ name: 'web', state: 'creating' }), operation: null }),
    'vm.wait': () => ({ reached: true, vm: aVm({ name: 'web' }) }),
  });
  open.push(
    () => rm(folder, { recursive: true }),
    () => server.close(),
  );
  await writeFile(join(folder, 'serving.json'), JSON.stringify({ url: server.url, pid: 1, token: null, startedAt: 1 }));
  await writeFile(join(folder, 'web.json'), '{}');
  const asked: Asked[] = [];
  const face: ImportFace = {
    mostConfigBytes: 1_000,
    importGolden: (order) => {
      asked.push(order);
      order.progress({ name: 'copy the root file system', done: 1, total: 2, unit: 'bytes' });
      if (o.fails !== undefined) return Promise.reject(o.fails);
      return Promise.resolve(
        order.stateFolder === null ? { ...imported, golden: null, made: false } : { ...imported, made: o.made ?? true },
      );
    },
  };
  const command = vmImportCommand(() => Promise.resolve(face));
  return { server, asked, run: (...argv) => here(['vm', 'import', join(folder, 'web.json'), ...argv], folder, [command]) };
}

test('the golden is made of the file, and the VM of the golden; the report comes before the VM', async () => {
  const { server, asked, run } = await stage();
  const { code, stdout, stderr } = await run('--name', 'web', '--port', '80:http', '--wait', 'verified');
  expect(code).toBe(0);
  expect(asked).toMatchObject([{ name: 'imported-web', stateFolder: expect.stringContaining('linstock-import') as string }]);
  expect(Buffer.from(asked[0]!.bytes).toString()).toBe('{}');
  const create = server.seen.find(({ name }) => name === 'vm.create');
  expect(create?.body).toEqual({ name: 'web', golden: 'imported-web@2', memoryMiB: 512, vcpus: 2, ports: [{ port: 80, level: 'http' }] });
  expect(server.seen.find(({ name }) => name === 'vm.wait')?.query['until']).toBe('verified');
  expect(stderr).toMatch(/^looking at the files\n/);
  expect(stdout.replaceAll(/\/\S*linstock-import-\w+\//g, '')).toMatchInlineSnapshot(`
    "What Linstock changes
      /drives/0/path_on_host  Each VM gets a copy of this file.
      /vsock                  The vsock device is left out.

    machine    2 vCPU, 512 MiB
    kernel     6.1.141
    disk       300 MiB
    boot args  console=ttyS0 ip={ip}
    golden     imported-web@2
    warnings   /mine: No version has it.
               More: linstock lint web.json

    name       web
    id         vm_01
    state      running
    verified   ✓ proved
    network    default  192.168.100.2  02:00:00:00:00:02
    reach      port 8080 at 192.168.100.2:8080
    operation  -
    "
  `);
});

test('a second time the same is there already', async () => {
  const { run } = await stage({ made: false });
  expect((await run()).stdout).toContain('imported-web@2 (the same was there already)');
});

test('--json: one document', async () => {
  const { run } = await stage();
  expect(JSON.parse((await run('--json')).stdout)).toMatchObject({ import: imported, vm: { name: 'web' }, operation: null, reached: null });
});

test.each([
  [[], 'qemu', false],
  [[], 'firecracker', true],
  [['--vmm', 'qemu'], 'firecracker', false],
  [['--vmm', 'firecracker@1.9.1'], 'qemu', true],
])('%j where %s is usual: on Firecracker %s', async (words, usual, onFirecracker) => {
  const { server, asked, run } = await stage({ usual });
  expect((await run(...words)).code).toBe(0);
  expect(asked).toMatchObject([{ onFirecracker }]);
  expect(server.seen.find(({ name }) => name === 'vm.create')?.body).toEqual(
    expect.objectContaining(words[1] === undefined ? {} : { vmm: words[1] }),
  );
});

test('a VMM that there is not', async () => {
  const { asked, run } = await stage();
  expect(await run('--vmm', 'bhyve')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--vmm bhyve: it must be qemu, firecracker') as string,
  });
  expect(asked).toEqual([]);
});

test('--no-start', async () => {
  const { server, run } = await stage();
  expect((await run('--no-start', '--wait')).code).toBe(0);
  expect(server.seen.find(({ name }) => name === 'vm.create')?.body).toMatchObject({ start: false });
  expect(server.seen.find(({ name }) => name === 'vm.wait')?.query['until']).toBe('stopped');
});

describe('--dry-run', () => {
  test('keeps nothing and asks nobody', async () => {
    const { server, asked, run } = await stage();
    const { code, stdout } = await run('--dry-run', '--name', 'web');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^What Linstock would change\n/);
    expect(stdout).toContain('none is made: this was a look');
    expect(asked).toMatchObject([{ stateFolder: null }]);
    expect(server.seen).toEqual([]);
    expect(JSON.parse((await run('--dry-run', '--json')).stdout)).toMatchObject({ import: { golden: null, changes: imported.changes } });
  });

  test('needs no controller of this host, so --url does no harm', async () =>
    expect(await (await stage()).run('--dry-run', '--url', 'http://127.0.0.1:1')).toMatchObject({ code: 0 }));
});

describe('refused before a byte is copied', () => {
  test('a name that is taken', async () => {
    const { asked, run } = await stage({ vms: ['web'] });
    expect(await run('--name', 'web')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('A VM called web already exists (vm_web)') as string,
    });
    expect(asked).toEqual([]);
  });

  test('no controller', async () => {
    const { server, asked, run } = await stage();
    await server.close();
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('Start one with `linstock up`') as string });
    expect(asked).toEqual([]);
  });

  test('a controller elsewhere', async () => {
    const { server, asked, run } = await stage();
    expect(await run('--url', server.url)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('run it there, without --url') as string,
    });
    expect([asked, server.seen]).toEqual([[], []]);
  });
});

test('a refusal of the image is the fault, and no VM is asked for', async () => {
  const { server, run } = await stage({ fails: new FaultError('image-refused', { say: 'There is no file /k. Check the path.' }) });
  expect(await run('--json')).toMatchObject({ code: 1, stdout: expect.stringContaining('image-refused') as string });
  expect(server.seen.map(({ name }) => name)).not.toContain('vm.create');
});

describe('wrong files, one sentence each', () => {
  let folder: string;
  const config = (changes: object): string =>
    JSON.stringify({
      'boot-source': { kernel_image_path: 'vmlinux' },
      drives: [{ drive_id: 'root', path_on_host: 'root', is_root_device: true, is_read_only: true }],
      ...changes,
    });
  test.each<[string, string, RegExp]>([
    ['no JSON', '{', /x\.json cannot be imported: The file is not JSON\./],
    ['what Firecracker refuses', config({ vsock: {} }), /cannot be imported: \/vsock\/guest_cid: .* is missing.*\(config-refused/s],
    ['no kernel', config({}), /There is no file \S+\/vmlinux\. Check the path\.\n.*\(image-refused/s],
    ['a folder as kernel', config({ 'boot-source': { kernel_image_path: '.' } }), /is a folder, not a file/],
    ['no root file system', config({ drives: [] }), /Nothing is the root device/],
    [
      'a partition',
      config({ drives: [{ drive_id: 'root', path_on_host: 'root', is_root_device: true, partuuid: 'x' }] }),
      /without a partition table/,
    ],
  ])('%s', async (_, text, words) => {
    folder = await mkdtemp(join(tmpdir(), 'linstock-import-'));
    open.push(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'x.json'), text);
    const run = await here(['vm', 'import', join(folder, 'x.json'), '--dry-run']);
    expect(run).toMatchObject({ code: 1, stdout: '' });
    expect(run.stderr.slice(run.stderr.indexOf('error:'))).toMatch(words);
    expect(await readdir(folder)).toEqual(['x.json']);
  });
});

test.each([
  ['/a/vm_config.json', 'imported-vm-config'],
  ['Web Server.v2.json', 'imported-web-server-v2'],
  ['-', 'imported-config'],
  ['ÄÖ.json', 'imported-config'],
  [`${'x'.repeat(53)}-y.json`, `imported-${'x'.repeat(53)}`],
])('the golden of %s is %s', (file, name) => {
  expect(goldenNameOf(file)).toBe(name);
  expect(name).toMatch(/^[a-z][a-z0-9-]{0,62}$/);
});
