import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FaultError, routes } from '@linstock/contract';
import { aBoot, aVm, smallServer, type SmallServer } from '@linstock/sdk/testing';
import { commands } from './commands.ts';
import { here } from './testing/here.ts';
import { runCliProcess, type CliRun } from './testing/run.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function serving(
  handlers: Parameters<typeof smallServer>[0],
  token: string | null = null,
): Promise<{
  server: SmallServer;
  cli(...argv: string[]): Promise<CliRun>;
  process(...argv: string[]): Promise<CliRun>;
  env: Record<string, string>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'linstock-cli-'));
  const server = await smallServer(handlers);
  open.push(
    () => rm(folder, { recursive: true }),
    () => server.close(),
  );
  await writeFile(join(folder, 'serving.json'), JSON.stringify({ url: server.url, pid: 1, token, startedAt: 1 }));
  const env = { LINSTOCK_STATE: folder };
  return { server, env, cli: (...argv) => here(argv, folder), process: (...argv) => runCliProcess(argv, env) };
}

test('done: 0, data on stdout, the token of serving.json is used', async () => {
  const { server, process: cli } = await serving({ 'vm.show': () => aVm({ says: 'evil\u001B[2J text' }) }, 'secret');
  const run = await cli('vm', 'show', 'first');
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^name +first\nid +vm_01\nstate +running\nverified +✓ proved\nfault +evil text\n/);
  expect(server.seen[0]?.headers['authorization']).toBe('Bearer secret');
});

test('a fault: 1, a sentence with code and request id on stderr, its document on stdout with --json', async () => {
  const { process: cli } = await serving({
    'vm.create': () => {
      throw new FaultError('vm-name-taken', { name: 'web', id: 'vm_9' });
    },
  });
  expect(await cli('vm', 'create', '--name', 'web')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'error: A VM called web already exists (vm_9); choose another name or delete that one.\n       (vm-name-taken, request req_0)\n',
  });
  const json = await cli('vm', 'create', '--name', 'web', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ code: 'vm-name-taken', status: 409, data: { id: 'vm_9' } });
  expect(json.code).toBe(1);
});

test('nobody there: 1, and what to do', async () => {
  const run = await here(['vm', 'list']);
  expect(run).toMatchObject({ code: 1, stdout: '' });
  expect(run.stderr).toContain('Start one with `linstock up`');
  expect((await here(['health', '--url', 'http://127.0.0.1:1'])).stderr).toContain('http://127.0.0.1:1: the connection was refused');
});

test('usage, as a process', async () => expect(await runCliProcess(['vm', 'dance'])).toMatchObject({ code: 2, stdout: '' }));

test.each([
  [['vm', 'create', '--memory', 'much']],
  [['vm', 'create', '--port', '80:ftp']],
  [['vm', 'create', '--arg', 'a b']],
  [['vm', 'create', '--no-start', '--wait', 'verified']],
  [['vm', 'show']],
  [['vm', 'dance', 'first']],
  [['vm', 'exec', 'first']],
  [['vm', 'list', '--frobnicate']],
  [['vm', 'stop', 'first', '--wait', 'happiness']],
  [['vm', 'list', '--url', 'nonsense']],
  [['vm', 'import']],
  [['vm', 'import', '/nonexistent']],
  [['vm', 'import', 'x.json', '--name', 'No Name']],
  [['vm', 'import', 'x.json', '--port', '80:ftp']],
  [['vm', 'import', 'x.json', '--no-start', '--wait', 'verified']],
  [['vm', 'import', 'x.json', '--url', 'http://127.0.0.1:1']],
  [['lint']],
  [['lint', '/nonexistent']],
  [['lint', '/']],
  [['lint', 'x.json', '--firecracker', '1.2']],
  [['up', '--port', '99999']],
  [['test']],
  [[]],
])('usage: 2, nothing on stdout: %j', async (argv) => {
  const run = await here(argv);
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(run.stderr).not.toBe('');
});

test('what is asked of vm.create is what was said', async () => {
  const { server, cli } = await serving({
    'vm.create': () => ({ vm: aVm({ state: 'creating' }), operation: null }),
    'vm.wait': ({ turn }) => ({ reached: turn > 0, vm: aVm() }),
  });
  const run = await cli(
    'vm',
    'create',
    '--name',
    'web',
    '--arg',
    'a=1',
    '--arg',
    'b',
    '--remove-arg',
    'quiet',
    '--port',
    '80:http',
    '--no-start',
    '--wait',
    '--json',
  );
  expect(server.seen[0]?.body).toEqual({
    name: 'web',
    bootArgs: { add: ['a=1', 'b'], replace: [], remove: ['quiet'] },
    ports: [{ port: 80, level: 'http' }],
    start: false,
  });
  expect(server.seen[1]?.query['until']).toBe('stopped');
  expect(JSON.parse(run.stdout)).toMatchObject({ reached: true, vm: { name: 'first' } });
  expect(run.stderr).toMatch(/^first: creating/); // progress is talk
  expect(run.stderr).not.toMatch(/[\u001B\r]/);
});

test('time to wait is up: 3, and the operation goes on', async () => {
  const { process: cli } = await serving({
    'vm.stop': () => ({ vm: aVm({ state: 'stopping' }), operation: null }),
    'vm.wait': () => ({ reached: false, vm: aVm({ state: 'stopping' }) }),
  });
  const run = await cli('vm', 'stop', 'first', '--wait', '--timeout', '0');
  expect(run.code).toBe(3);
  expect(run.stderr).toContain('The operation goes on: linstock vm show first');
});

test('interrupted: 130, and nothing is taken back', async () => {
  let interrupt: (() => void) | undefined;
  const { server, env } = await serving({ 'vm.stop': () => ({ vm: aVm(), operation: null }), 'vm.wait': () => interrupt?.() });
  const run = await runCliProcess(['vm', 'stop', 'first', '--wait'], env, (kill) => (interrupt = () => kill('SIGINT')));
  expect(run).toMatchObject({ code: 130, stdout: '', stderr: expect.stringContaining('Interrupted') as string });
  expect(server.seen.map((call) => call.name)).toEqual(['vm.stop', 'vm.wait']);
});

test('exec: the exit code and the bytes of the command', async () => {
  const frames = [
    { stream: 'stdout', data: Buffer.from('\u001B[31mout\n').toString('base64') },
    { stream: 'stderr', data: Buffer.from('err\n').toString('base64') },
    { exit: { code: 42, signal: null, timedOut: false } },
  ];
  const { server, process: cli } = await serving({
    'vm.exec': ({ response }) => void response.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join('')),
  });
  expect(await cli('vm', 'exec', '--env', 'A=b=c', 'first', '--', 'ls', '--json', '-l')).toEqual({
    code: 42,
    stdout: '\u001B[31mout\n',
    stderr: 'err\n',
  });
  expect(server.seen[0]?.body).toEqual({ argv: ['ls', '--json', '-l'], env: { A: 'b=c' } });
  const json = await cli('vm', 'exec', 'first', '--json', '--', 'ls');
  expect(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual(frames);
});

test('the console is cleaned, unless it is asked for raw', async () => {
  const { cli } = await serving({ 'vm.console': ({ response }) => void response.end('\u001B]0;evil\u0007boot\r\n') });
  expect((await cli('vm', 'console', 'first')).stdout).toBe('boot\n');
  expect((await cli('vm', 'console', 'first', '--raw')).stdout).toBe('\u001B]0;evil\u0007boot\r\n');
});

test('a bundle is written for its owner only, and over nothing', async () => {
  const bundle = {
    format: 'linstock-evidence-1',
    at: 1,
    madeBy: '0.1.0',
    subject: 'vm first (vm_01), boot boot_01',
    documents: [{ kind: 'console', name: 'console', text: 'a\nb\n', cut: 'the rest is left out' }],
  };
  const { cli } = await serving({ 'vm.evidence': () => bundle });
  const folder = await mkdtemp(join(tmpdir(), 'linstock bundle-'));
  const file = join(folder, 'first.json');
  const first = await cli('vm', 'bundle', 'first', '--out', file);
  expect(first.stdout).toBe(`${file}: vm first (vm_01), boot boot_01\n  console         2 lines; the rest is left out\n`);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(bundle);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = await cli('vm', 'bundle', 'first', '--out', file);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('is there already') });
  await rm(folder, { recursive: true });
});

test('a diagnosis of a VM: what the controller found, and exit code 1 unless it is ok', async () => {
  const because = [{ source: 'console', line: 7, text: 'evil\u001B[2J line', guestControlled: true }];
  const cause = { code: 'boot.kernel-panic', title: 'It panicked', layer: 'boot', confidence: 'likely', because, disproof: 'no panic' };
  const none = { phaseReached: null, benign: [], ruledOut: [], missing: [] };
  const { cli } = await serving({
    'vm.diagnosis': ({ params }) =>
      params['id'] === 'well'
        ? { ...none, outcome: 'ok', causes: [] }
        : { ...none, outcome: 'failed', causes: [{ ...cause, fix: { text: 'Look there.', command: [] } }] },
  });
  const sick = await cli('vm', 'diagnose', 'sick');
  expect(sick.code).toBe(1);
  expect(sick.stdout).toMatch(/✗ failed\n\nlikely {2}It panicked\n {2}boot\.kernel-panic\n {2}console:7 .*evil line\n {2}→ Look there\./);
  const well = await cli('vm', 'diagnose', 'well', '--json');
  expect(well).toMatchObject({ code: 0 });
  expect(JSON.parse(well.stdout)).toMatchObject({ outcome: 'ok' });
});

test('cases: what is wrong now, page after page, and one of them whole', async () => {
  const diagnosis = { outcome: 'failed', phaseReached: null, causes: [], benign: [], ruledOut: [], missing: [] };
  const one = {
    id: 'case_01',
    code: 'boot.kernel-panic',
    title: 'It panicked',
    layer: 'boot',
    confidence: 'likely',
    guestWord: true,
    vm: 'vm_01',
    vmName: 'web',
    state: 'open',
    boots: 2,
    openedAt: 1_760_000_000_000,
    seenAt: 1_760_000_000_000,
    firstBoot: 'boot_01',
    boot: 'boot_02',
    closedAt: null,
    closed: null,
  };
  const { server, cli } = await serving({
    'case.list': ({ query }) =>
      query['after'] === 'case_01'
        ? { items: [{ ...one, id: 'case_02', guestWord: false, closed: { why: 'deleted', boot: null }, closedAt: 1 }], next: null }
        : { items: [one], next: 'case_01' },
    'case.show': () => ({ ...one, diagnosis }),
  });
  const { stdout } = await cli('case', 'list', '--all', '--vm', 'web');
  expect(stdout).toMatch(/^case_01 +web +open +boot\.kernel-panic +likely, said by the guest +2 +\S+ +It panicked$/m);
  expect(stdout).toMatch(/^case_02 +web +deleted /m);
  expect(server.seen.map(({ query }) => query)).toEqual([
    { state: 'all', vm: 'web' },
    { state: 'all', vm: 'web', after: 'case_01' },
  ]);
  expect(await cli('case', 'list', '--all', '--closed')).toMatchObject({ code: 2 });
  const shown = await cli('case', 'show', 'case_01');
  expect(shown.stdout).toMatch(/last seen +2025-10-09 08:53:20Z {2}boot boot_02 {2}\(2 boots\)\nclosed +-\n\n✗ failed/);
  expect(JSON.parse((await cli('case', 'show', 'case_01', '--json')).stdout)).toEqual({ ...one, diagnosis });
});

test('lists and proofs look alike everywhere', async () => {
  const { cli } = await serving({
    'vm.list': () => ({
      items: [aVm(), aVm({ id: 'vm_02', name: 'web', state: 'failed', verified: 'refuted', address: null, reach: [] })],
      next: null,
      seq: 1,
    }),
    'vm.proof': () => ({ vm: aVm(), boot: 'boot_01', proof: aBoot().proof }),
    'boot.show': () => aBoot(),
  });
  expect((await cli('vm', 'list')).stdout).toMatchInlineSnapshot(`
    "NAME   STATE    VERIFIED   GOLDEN  ADDRESS        VCPUS  MEMORY   AGE  REACH                    ID
    first  running  ✓ proved   tiny@1  192.168.100.2  1      128 MiB  90s  8080→192.168.100.2:8080  vm_01
    web    failed   ✗ REFUTED  tiny@1  -              1      128 MiB  90s  -                        vm_02
    "
  `);
  expect((await cli('vm', 'proof', 'first', '--evidence')).stdout).toMatchInlineSnapshot(`
    "  CONDITION    VERDICT    EXPECTED                     OBSERVED
    ✓ vmm.started  proved     qemu 7.2.19 answers          qemu 7.2.19 answers
    ✓ memory.size  proved     at least 100 MiB of 128 MiB  112984 KiB
        console:41 (said by the guest): Memory: 112984K/130680K available

    ✓ proved: 2 of 2 conditions proved; furthest: net.path; boot boot_01
    "
  `);
  expect((await cli('boot', 'show', 'boot_01')).stdout).toMatchInlineSnapshot(`
    "boot        boot_01
    vm          first  vm_01
    kind        cold
    started     2025-10-09 08:53:20Z
    ended       -
    golden      tiny@1  aaaaaaaaaaaa
    vmm         qemu 7.2.19, tcg
    network     192.168.100.2  02:00:00:00:00:02
    asked args  quiet
    added args  console=ttyS0
    effective   quiet console=ttyS0
    console     9000 bytes
    proof       2 of 2 conditions proved

    vmm.started     ██                                                                120 ms     +120 ms
    kernel.started    █████████████████                                               900 ms     +780 ms
    init.finished                      ███████████████████████████████                2.40 s     +1.50 s
    verified                                                          ██████████      2.90 s     +500 ms

      CONDITION    VERDICT    EXPECTED                     OBSERVED
    ✓ vmm.started  proved     qemu 7.2.19 answers          qemu 7.2.19 answers
    ✓ memory.size  proved     at least 100 MiB of 128 MiB  112984 KiB
    "
  `);
});

test('events: a line each, JSON lines with --json', async () => {
  const event = {
    seq: 4,
    id: 'evt_4',
    source: 'linstock',
    type: 'vm.phase',
    subject: 'vm_01',
    time: 1_760_000_000_000,
    data: { phase: 'up' },
  };
  const { cli } = await serving({ 'event.list': () => ({ items: [event], lastSeq: 4 }) });
  expect((await cli('events', '--after', '3')).stdout).toBe('     4  2025-10-09 08:53:20Z  vm.phase            vm_01  {"phase":"up"}\n');
  expect(JSON.parse((await cli('events', '--json')).stdout)).toEqual(event);
});

test('an empty list is no data', async () => {
  const { cli } = await serving({ 'vm.list': () => ({ items: [], next: null, seq: 1 }) });
  expect(await cli('vm', 'list')).toMatchObject({ code: 0, stdout: '' });
  expect((await cli('vm', 'list', '--json')).stdout).toBe('{"items":[]}\n');
});

test('every noun of the API has its command, and no command is there twice', () => {
  const paths = commands.map((one) => one.path.join(' '));
  expect(new Set(paths).size).toBe(paths.length);
  const elsewhere: Record<string, string> = {
    'health.show': 'health',
    'vm.wait': 'vm start',
    'host.list': 'host show',
    'event.list': 'events',
    'metrics.show': 'health',
    'vm.evidence': 'vm bundle',
    'golden.abandon': 'golden delete',
    'build.start': 'golden build',
    'vm.diagnosis': 'vm diagnose',
  };
  for (const name of Object.keys(routes)) expect(paths).toContain(elsewhere[name] ?? name.replace('.', ' '));
});

test('completion knows every command', async () => {
  const { code, stdout } = await here(['completion', 'bash']);
  expect(code).toBe(0);
  expect(stdout).toContain(
    'vm) words="create import list show proof console bundle diagnose exec start stop pause resume verify delete" ;;',
  );
  expect(stdout).toContain('"vm console") words="--json --url --state --help --follow --boot --from --raw" ;;');
});
