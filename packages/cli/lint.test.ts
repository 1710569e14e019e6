import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlacedFinding } from './daemon-face.ts';
import { lintPage, summaryOf, wrapped } from './lint-page.ts';
import { here } from './testing/here.ts';
import { runCliProcess, type CliRun } from './testing/run.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-lint-'));
});
afterAll(() => rm(folder, { recursive: true }));

const well = {
  'boot-source': { kernel_image_path: '/k/vmlinux', boot_args: 'console=ttyS0 reboot=k panic=1' },
  drives: [{ drive_id: 'root', path_on_host: '/d/root', is_root_device: true, is_read_only: true }],
};
async function lint(config: object | string | Uint8Array, ...options: string[]): Promise<CliRun> {
  const file = join(folder, 'vm_config.json');
  await writeFile(file, typeof config === 'string' || config instanceof Uint8Array ? config : JSON.stringify(config, null, 1));
  const run = await here(['lint', file, ...options]);
  return { ...run, stdout: run.stdout.replaceAll(`${folder}/`, '') };
}

test('nothing found: 0, one line', async () => {
  expect(await lint(well, '--no-host')).toEqual({ code: 0, stdout: '✓ vm_config.json: nothing found (Firecracker 1.16.1)\n', stderr: '' });
});

test('errors: 1, grouped, each with its place', async () => {
  const sick = {
    ...well,
    'machine-config': { vcpu_count: 64, mem_size_mib: 128 },
    network_interfaces: [],
    serial: {},
    entropy: { rate_limiter: null },
  };
  const run = await lint(
    { ...sick, drives: [{ ...well.drives[0], is_read_only: undefined, cache_type: 'Writeback' }] },
    '--no-host',
    '--firecracker',
    '1.9.1',
  );
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(run.stdout).toMatchInlineSnapshot(`
    "Errors
      vm_config.json:15:3  /machine-config/vcpu_count
        /machine-config/vcpu_count is 64 and must be a whole number from 1 to 32.
        Firecracker ends with this error.
        → Write a whole number from 1 to 32.

    Warnings
      vm_config.json:4:3  /boot-source/boot_args
        pci=off is missing.
        Firecracker 1.9.1 does not append it to arguments that are given: the kernel looks for a PCI bus, which costs time.
        → Add pci=off.

      vm_config.json:18:2  /network_interfaces
        No version of Firecracker has a field /network_interfaces, and Firecracker would ignore it in silence.
        Nothing that it asks for happens.
        → Write "network-interfaces".

      vm_config.json:19:2  /serial
        There is no section /serial in a configuration file, in no version.
        Firecracker ignores it in silence: nothing that it asks for happens.
        → Leave it out: the console goes to standard output. The serial device is set over the API alone, and it came with 1.14.0.

    Notes
      vm_config.json:7:3  /drives/0/is_read_only
        is_read_only is missing.
        It is then false.
        → Say which.

    ✗ vm_config.json: 1 error, 3 warnings, 1 note (Firecracker 1.9.1)
    "
  `);
});

test('warnings alone: 0', async () => {
  const run = await lint({ ...well, network_interfaces: [] }, '--no-host');
  expect(run.code).toBe(0);
  expect(run.stdout).toContain('✓ vm_config.json: 1 warning (Firecracker 1.16.1)');
});

test('this machine is looked at, and its findings are marked', async () => {
  const run = await lint({ ...well, drives: [{ ...well.drives[0], path_on_host: 'none.ext4' }] });
  expect(run.code).toBe(1);
  expect(run.stdout).toMatch(/vm_config\.json:\d+:\d+ {2}\/drives\/0\/path_on_host {2}on this machine\n {4}There is no image none\.ext4\./);
  expect(run.stdout).toContain(`looked up from ${folder}.`);
});

test('--json: one document, findings or not', async () => {
  const run = await lint({ ...well, mine: 1 }, '--no-host', '--json');
  expect(JSON.parse(run.stdout)).toEqual({
    file: 'vm_config.json',
    firecracker: '1.16.1',
    host: false,
    errors: 0,
    warnings: 1,
    notes: 0,
    findings: [
      {
        severity: 'warning',
        of: 'file',
        at: '/mine',
        line: 14,
        column: 2,
        what: expect.stringContaining('/mine') as string,
        why: expect.any(String) as string,
        fix: 'Leave it out.',
      },
    ],
  });
  expect(JSON.parse((await lint('', '--json')).stdout)).toMatchObject({ errors: 1, findings: [{ at: '', line: 1, column: 1 }] });
});

test('standard input, and its folder is that of the caller', async () => {
  const run = await runCliProcess(
    ['lint', '-', '--json'],
    {},
    undefined,
    JSON.stringify({ ...well, drives: [{ ...well.drives[0], path_on_host: 'x' }] }),
  );
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(run.stdout).toContain(`looked up from ${process.cwd()}.`);
  expect(await runCliProcess(['lint', '-', '--no-host'], {}, undefined, '{')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^Errors\n {2}-:1:2/) as string,
  });
});

describe('what is no file: 2, one sentence', () => {
  test.each([
    ['/nonexistent/x.json', /^error: \/nonexistent\/x\.json: there is no such file\n$/],
    ['/', /^error: \/: it is a folder/],
    ['/proc/self/mem', /^error: \/proc\/self\/mem: it cannot be read \(EIO\)\n$/],
  ])('%s', async (file, words) =>
    expect(await here(['lint', file])).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(words) as string }),
  );

  test('a version that is none', async () => {
    expect(await lint(well, '--firecracker', '1.8.0')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('known are 1.9.0 to 1.16.1') as string,
    });
  });
});

test.each([
  ['a flood', Buffer.alloc(3 * 1024 * 1024, '[')],
  ['zeros', Buffer.alloc(2_000)],
  ['noise', Buffer.from(Array.from({ length: 4_000 }, (_, i) => (i * 7919) % 256))],
])('any bytes are one finding: %s', async (_, bytes) => {
  const run = await lint(bytes);
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(run.stdout).toMatch(/✗ vm_config\.json: 1 error/);
});

test('a hostile file cannot move the cursor', async () => {
  const run = await lint({ ...well, '\u001b[2Jevil\u202e': 1 }, '--no-host');
  // eslint-disable-next-line no-control-regex
  expect(run.stdout).not.toMatch(/[\u001b\u202e]/);
  expect((await lint({ ...well, '\u001b[2Jevil': 1 }, '--no-host', '--json')).stdout).not.toContain('\u001b');
});

describe('the page', () => {
  const finding: PlacedFinding = {
    severity: 'note',
    of: 'file',
    at: '',
    line: 1,
    column: 2,
    what: 'What it is.',
    why: 'Because of that.',
    fix: 'Do this.',
  };
  const about = { file: 'f', firecracker: '1.16.1', host: true };

  test('colours on a terminal, and lines as wide as it is', () => {
    const long = { ...finding, severity: 'error' as const, what: 'a sentence that is too long for this terminal' };
    const text = lintPage(summaryOf(about, [long]), [long], { colour: true, width: 40 });
    expect(text[0]).toBe('\u001b[31mErrors\u001b[0m');
    expect(text).toContain('    a sentence that is too long for');
    expect(text).toContain('    this terminal');
  });

  test('counts', () => {
    expect(lintPage(summaryOf(about, [finding, finding]), [finding, finding], { colour: false, width: null }).at(-1)).toBe(
      '✓ f: 2 notes (Firecracker 1.16.1, this machine looked at)',
    );
  });

  test.each([0, 1, 5, 21])('a width of %d loses no word', (width) => {
    expect(
      wrapped('one two three', '    ', { colour: false, width })
        .map((line) => line.trim())
        .join(' '),
    ).toBe('one two three');
  });
});
