/** `rootfs lint` as a process of its own: no controller, no root, and the exit codes. */
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findingLines, lookedAt } from './rootfs-page.ts';
import { runCliProcess } from './testing/run.ts';

let folder: string;
const cli = (...argv: string[]): ReturnType<typeof runCliProcess> => runCliProcess(['rootfs', 'lint', ...argv]);

async function put(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(folder, 'root-'));
  for (const name of ['dev', 'proc', 'sys', 'run', 'tmp']) await mkdir(join(root, name));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    if (text.startsWith('-> ')) await symlink(text.slice(3), join(root, path));
    else await writeFile(join(root, path), text);
    if (text.startsWith('#!')) await chmod(join(root, path), 0o755);
  }
  return root;
}
const script = '#!/bin/sh\nhttpd -p 0.0.0.0:6080 -h /www\n';
/** A program that needs no loader. */
const elf = `\u007fELF\u0002\u0001\u0001${'\0'.repeat(9)}\u0002\0\u003e\0${'\0'.repeat(60)}`;
const small = { 'sbin/init': script, 'bin/sh': elf, 'etc/os-release': 'PRETTY_NAME="Small\u001b[2J"\n' };
const makeExecutable = async (root: string): Promise<string> => {
  await chmod(join(root, 'bin/sh'), 0o755);
  return root;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lint-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('nothing found: 0', async () => {
  const root = await makeExecutable(await put(small));
  const run = await cli(root, '--port', '6080');
  expect(run).toEqual({ code: 0, stderr: '', stdout: `${root}: folder, Small, init: script\n\nnothing found\n` });
});

test('warnings are no errors: 0', async () => {
  const root = await makeExecutable(await put(small));
  const run = await cli(root, '--port', '80');
  expect(run.code).toBe(0);
  expect(run.stdout).toContain('warning  [ports.nobody]\n    Nothing that starts names port 80.\n');
  expect(run.stdout.endsWith('\n1 warning\n')).toBe(true);
});

test('an error: 1, with path and line, the worst first', async () => {
  const root = await makeExecutable(
    await put({ ...small, 'sbin/init': script.replace('0.0.0.0', '127.0.0.1'), 'etc/machine-id': `${'0'.repeat(32)}\n` }),
  );
  const run = await cli(root, '--port', '6080');
  expect(run.code).toBe(1);
  expect(run.stdout.split('\n').filter((line) => /^\w+ {2}/.test(line))).toEqual([
    'error  /sbin/init:2  [ports.loopback-only]',
    'warning  /etc/machine-id:1  [clones.machine-id]',
  ]);
  expect(run.stdout).toContain('127.0.0.1');
  expect(run.stdout).toContain('(port.N is not proved)');
});

test('as JSON, on stdout alone', async () => {
  const root = await put({ ...small, 'sbin/init': '-> /nowhere' });
  const run = await cli(root, '--json');
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(JSON.parse(run.stdout)).toMatchObject({
    image: { keptIn: 'folder', init: 'other', fileSystem: null },
    findings: [{ id: 'init.unusable', severity: 'error', path: '/sbin/init', line: null, refutes: 'init.finished' }],
  });
});

test('the command line that guests get bears on what is found', async () => {
  const root = await makeExecutable(await put(small));
  const run = await cli(root, '--cmdline', 'console=ttyS0 init=/opt/init');
  expect(run.stdout).toContain('Requested init /opt/init failed (error -2)');
});

test.each([
  [['--port', 'x'], '--port x'],
  [['--port', '70000'], '--port 70000'],
  [['--ip', 'eth0'], '--ip eth0'],
  [['--nonsense'], 'unknown option'],
])('%j is usage: 2', async (args, says) => {
  const run = await cli(folder, ...args);
  expect(run.code).toBe(2);
  expect(run.stderr).toContain(says);
});

test('what cannot be opened is a fault: 1, told in one sentence', async () => {
  await writeFile(join(folder, 'text'), 'hello');
  expect(await cli(join(folder, 'text'))).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('it is a text file') as string,
  });
  expect(await cli(join(folder, 'nowhere'))).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no file') as string });
  const root = await put(small);
  expect(await cli(root, '--kernel', join(folder, 'text'))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not a kernel') as string,
  });
});

test('control characters of an image do not reach the terminal', () => {
  const evil = 'a\u001b[31mb\u202ec';
  const lint = { ok: true, image: { keptIn: 'tar', system: evil, init: 'other', fileSystem: null } } as const;
  const finding = {
    id: 'x.y',
    severity: 'note',
    path: evil,
    line: 1,
    what: evil,
    why: evil,
    fix: evil,
    predicts: evil,
    refutes: null,
  } as const;
  const lines = findingLines(lookedAt(evil, { ...lint, findings: [finding] }), [finding], { colour: false, width: null });
  expect(lines.join('\n')).not.toMatch(/[\u001b\u202e]/);
});
