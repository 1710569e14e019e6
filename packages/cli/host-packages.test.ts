import { expect, test } from 'vitest';
import { FaultError } from '@linstock/contract';
import type { Ran } from './daemon-face.ts';
import { ensurePackages } from './host-install.ts';
import { commandForAdministrator, hostPackages, howFar, installArguments, missingPackages, type Look } from './host-packages.ts';
import { Out } from './out.ts';
import { memorySink } from './testing/sink.ts';

const everything = [...hostPackages.flatMap((one) => one.tools), 'apt-get'];
const look = (some: { lacks?: readonly string[]; root?: boolean; busyboxIsStatic?: boolean } = {}): Look => ({
  present: (tool) => everything.includes(tool) && !(some.lacks ?? []).includes(tool),
  busyboxIsStatic: some.busyboxIsStatic ?? true,
  root: some.root ?? true,
});
const names = (one: Look): string[] => missingPackages(one).map((item) => item.package);

test.each<[string, Parameters<typeof look>[0], string[]]>([
  ['a complete host', {}, []],
  ['no QEMU', { lacks: ['qemu-system-x86_64'] }, ['qemu-system-x86']],
  ['no go', { lacks: ['go'] }, ['golang-go']],
  ['a busybox that needs a loader', { busyboxIsStatic: false }, ['busybox-static']],
  ['nothing to check images with', { lacks: ['e2fsck'] }, ['e2fsprogs']],
  ['network tools are of no use to an ordinary user', { lacks: ['nft', 'ip', 'arping', 'ping'], root: false }, []],
  ['network tools for root', { lacks: ['nft', 'ip', 'arping', 'ping'] }, ['iproute2', 'nftables', 'iputils-arping', 'iputils-ping']],
])('%s', (_, some, packages) => expect(names(look(some))).toEqual(packages));

test('how far apt-get is: its last word of that, whatever else it says', () => {
  expect(howFar('Reading package lists...\n')).toBeNull();
  expect(howFar('dlstatus:1:0:Retrieving\nGet:1 http\ndlstatus:3:47.4719:Retrieving file 3\nGet:2')).toEqual({
    phase: 'downloading',
    percent: 47,
  });
  expect(howFar('dlstatus:9:100:x\npmstatus:cpio:3.33:Unpacking cpio\npmstatus:cpio:6')).toEqual({ phase: 'setting up', percent: 3 });
});

test('every package has its reason, and the commands are exact', () => {
  for (const one of hostPackages) expect(one.reason.length).toBeGreaterThan(10);
  const missing = missingPackages(look({ lacks: ['nft', 'zstd'] }));
  expect(commandForAdministrator(missing)).toBe("sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends zstd nftables'");
  expect(installArguments(missing)).toEqual([
    'apt-get',
    '-q',
    '-o',
    'Dpkg::Use-Pty=0',
    '-o',
    'APT::Status-Fd=3',
    'install',
    '-y',
    '--no-install-recommends',
    'zstd',
    'nftables',
  ]);
});

const ran = (code: number): Ran => ({
  argv: [],
  signal: null,
  ms: 1,
  stdout: '',
  stdoutDroppedBytes: 0,
  stderrDroppedBytes: 0,
  code,
  timedOut: false,
  aborted: false,
  spawnError: null,
  stderr: code === 0 ? '' : 'E: \u001B[31mUnable to locate package',
});

async function install(
  looks: readonly Look[],
  codes: readonly number[],
  ask: ((question: string) => Promise<boolean>) | null = null,
): Promise<{ argvs: (readonly string[])[]; said: string; result: readonly string[] | FaultError }> {
  const argvs: (readonly string[])[] = [];
  const stderr = memorySink();
  const left = [...looks];
  await using out = new Out({ stdout: memorySink(), stderr, json: false, colour: false, clock: { now: () => 0 }, timers: false });
  const result = await ensurePackages({
    look: () => Promise.resolve(left.length > 1 ? (left.shift() ?? look()) : (left[0] ?? look())),
    exec: (argv) => {
      argvs.push(argv.slice(argv.indexOf('apt-get')));
      return Promise.resolve(ran(codes[argvs.length - 1] ?? 0));
    },
    ask,
    out,
    signal: new AbortController().signal,
  }).catch((error: unknown) => {
    if (FaultError.is(error)) return error;
    throw error;
  });
  return { argvs, said: stderr.text(), result };
}

test('nothing is missing: nothing is said or run', async () =>
  expect(await install([look()], [])).toEqual({ argvs: [], said: '', result: [] }));

test('what is missing is named with its reason, then installed', async () => {
  const { argvs, said, result } = await install([look({ lacks: ['nft'] }), look()], [0]);
  expect(argvs).toEqual([installArguments(missingPackages(look({ lacks: ['nft'] })))]);
  expect(said).toContain('nftables         keeps guests apart and lets them out by NAT');
  expect(result).toEqual(['nftables']);
});

test('the lists are refreshed only when the install failed', async () => {
  const { argvs, result } = await install([look({ lacks: ['nft'] }), look()], [100, 0, 0]);
  expect(argvs.map((argv) => argv.find((word) => /^(install|update)$/.test(word)))).toEqual(['install', 'update', 'install']);
  expect(result).toEqual(['nftables']);
});

test('what cannot be installed is a fault when nothing boots without it, and shows why', async () => {
  const { said, result } = await install([look({ lacks: ['nft'] })], [100, 100, 100]);
  expect(FaultError.is(result, 'host-lacks-tool')).toBe(true);
  expect(said).toContain('apt-get: E: Unable to locate package\n');
  expect((await install([look({ lacks: ['zstd'] })], [100, 100, 100])).result).toEqual([]);
});

test('a package that is not set up is said, even when the programs are there', async () => {
  const { said, result } = await install([look({ lacks: ['nft'] }), look()], [100, 0, 100]);
  expect(said).toContain('apt-get: E: Unable to locate package\n');
  expect(said).toContain('apt-get -f install');
  expect(result).toEqual(['nftables']);
});

test('a no is a no', async () => {
  const { argvs, result } = await install([look({ lacks: ['qemu-system-x86_64'] })], [], () => Promise.resolve(false));
  expect(argvs).toEqual([]);
  expect(FaultError.is(result) && result.fault.data).toMatchObject({ tool: 'qemu-system-x86_64' });
});

test('an ordinary user gets the one command for the administrator', async () => {
  const { argvs, said, result } = await install([look({ lacks: ['busybox', 'zstd'], root: false, busyboxIsStatic: false })], []);
  expect(argvs).toEqual([]);
  expect(said).toContain("sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends busybox-static zstd'");
  expect(FaultError.is(result, 'host-lacks-tool')).toBe(true);
  expect((await install([look({ lacks: ['zstd'], root: false })], [])).result).toEqual([]);
});
