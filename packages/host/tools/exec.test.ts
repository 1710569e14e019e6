import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTextIfThere } from './files.ts';
import { ToolFailure, describeFailure, exec, execOk, succeeded } from './exec.ts';

const BOUND = { timeoutMs: 20_000 };

test('a command that works: code 0, both streams, nothing dropped', async () => {
  const result = await exec(['sh', '-c', 'echo out; echo err >&2'], BOUND);
  expect(result).toMatchObject({
    code: 0,
    signal: null,
    stdout: 'out\n',
    stderr: 'err\n',
    timedOut: false,
    aborted: false,
    spawnError: null,
    stdoutDroppedBytes: 0,
  });
  expect(succeeded(result)).toBe(true);
});

test('a command that fails has the same shape and is not thrown', async () => {
  const result = await exec(['sh', '-c', 'echo why >&2; exit 7'], BOUND);
  expect(result).toMatchObject({ code: 7, stderr: 'why\n', spawnError: null });
  expect(succeeded(result)).toBe(false);
  expect(describeFailure(result)).toBe('sh failed with exit code 7: why');
});

test('no such program is a value', async () => {
  const result = await exec(['/nonexistent/tool'], BOUND);
  expect(result).toMatchObject({ code: null, spawnError: 'ENOENT' });
  expect(describeFailure(result)).toContain('not installed');
});

test.each([[[]], [['']], [['echo', 'a\0b']]])('a vector that no kernel takes (%j) is a value', async (argv) => {
  expect(await exec(argv, BOUND)).toMatchObject({ spawnError: 'EINVAL', code: null });
});

test('a command that takes too long is ended, with everything it started', async () => {
  const result = await exec(['sh', '-c', 'sleep 300 & echo $!; wait'], { timeoutMs: 300 });
  expect(result).toMatchObject({ timedOut: true, spawnError: null });
  expect(succeeded(result)).toBe(false);
  const child = Number(result.stdout.trim());
  await expect.poll(() => alive(child)).toBe(false);
});

test('an abort ends the command, even one that ignores SIGTERM', async () => {
  const controller = new AbortController();
  const running = exec(['sh', '-c', 'trap "" TERM; sleep 300 & wait; wait'], { timeoutMs: 60_000, signal: controller.signal });
  controller.abort();
  expect(await running).toMatchObject({ aborted: true, timedOut: false });
  await expect(execOk(['true'], { timeoutMs: 1000, signal: controller.signal })).rejects.toThrow(/abort/i);
});

test('an aborted signal starts nothing', async () => {
  expect(await exec(['true'], { timeoutMs: 1000, signal: AbortSignal.abort() })).toMatchObject({ aborted: true, code: null });
});

test('input arrives whole, and a reader that stops early is no error of ours', async () => {
  const input = Buffer.alloc(300_000, 'x');
  expect((await exec(['wc', '-c'], { ...BOUND, input })).stdout.trim()).toBe('300000');
  expect((await exec(['true'], { ...BOUND, input })).code).toBe(0);
});

test('only the end of a flood is kept', async () => {
  const result = await exec(['seq', '1', '100000'], { ...BOUND, maxOutputBytes: 1000 });
  expect(result.stdout).toHaveLength(1000);
  expect(result.stdout.endsWith('100000\n')).toBe(true);
  expect(result.stdoutDroppedBytes).toBe(588_895 - 1000);
});

test('standard output can go to a file, as bytes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'exec-'));
  try {
    const file = join(folder, 'out');
    expect((await exec(['printf', '\\377\\000'], { ...BOUND, stdoutFile: file })).code).toBe(0);
    expect([...(await readFile(file))]).toEqual([255, 0]);
    expect(await exec(['true'], { ...BOUND, stdoutFile: join(folder, 'no/where') })).toMatchObject({ spawnError: 'ENOENT' });
    const log = join(folder, 'log');
    for (const word of ['out', 'err']) {
      const argv = ['sh', '-c', `echo ${word}; echo ${word}2 >&2`];
      expect(await exec(argv, { ...BOUND, logFile: log })).toMatchObject({ code: 0, stdout: '', stderr: '' });
    }
    expect(await readFile(log, 'utf8')).toBe('out\nout2\nerr\nerr2\n');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a grandchild that keeps the pipes open does not keep us', async () => {
  const result = await exec(['sh', '-c', 'setsid sleep 20 & echo $!'], BOUND);
  expect(result.code).toBe(0);
  process.kill(Number(result.stdout.trim()), 'SIGKILL');
});

test('the environment: C locale, our own settings kept out, additions on top', async () => {
  process.env['LINSTOCK_SECRET_FOR_TEST'] = 'x';
  try {
    const { stdout } = await exec(['env'], { ...BOUND, env: { EXTRA: '1' } });
    expect(stdout).toContain('LC_ALL=C\n');
    expect(stdout).toContain('EXTRA=1\n');
    expect(stdout).not.toContain('LINSTOCK_SECRET');
  } finally {
    delete process.env['LINSTOCK_SECRET_FOR_TEST'];
  }
});

test('execOk turns a failure into a ToolFailure that carries the result', async () => {
  const error = await execOk(['sh', '-c', 'exit 3'], BOUND).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ToolFailure);
  expect((error as ToolFailure).result.code).toBe(3);
});

/** A process that is there and not a zombie waiting for whoever adopted it. */
async function alive(pid: number): Promise<boolean> {
  const stat = await readTextIfThere(`/proc/${pid}/stat`);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}
