import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultError, type DoctorReport, type HostCheck } from '@linstock/contract';
import type { DaemonFace } from './daemon-face.ts';
import { doctorCommand } from './commands/doctor.ts';
import { doctorPage } from './doctor-page.ts';
import { readEnvironment } from './environment.ts';
import { hostPackages } from './host-packages.ts';
import { runCli } from './main.ts';
import { memorySink } from './testing/sink.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-doctor-'));
  // a host that lacks one package without which nothing boots, and one that it can do without
  for (const tool of hostPackages.filter((one) => !['golang-go', 'zstd'].includes(one.package)).flatMap((one) => one.tools)) {
    await writeFile(join(folder, tool), '#!/bin/sh\n');
    await chmod(join(folder, tool), 0o755);
  }
});
afterAll(() => rm(folder, { recursive: true }));

const aCheck = (more: Partial<HostCheck> & Pick<HostCheck, 'id' | 'verdict'>): HostCheck => ({
  grade: 'must',
  read: `what was read of ${more.id}`,
  expected: 'what it should be',
  why: 'The reason of it.',
  fix: more.verdict === 'ok' || more.verdict === 'not-applicable' ? null : 'the way to repair it',
  needsRoot: false,
  ...more,
});

function aReport(checks: readonly HostCheck[], root = true): DoctorReport {
  const count = (test: (one: HostCheck) => boolean): number => checks.filter(test).length;
  return {
    kernel: '6.1.0\u001B[2J',
    root,
    at: 1,
    checks: [...checks],
    summary: {
      ok: count((one) => one.verdict === 'ok'),
      bad: count((one) => one.verdict === 'bad'),
      unknown: count((one) => one.verdict === 'unknown'),
      notApplicable: count((one) => one.verdict === 'not-applicable'),
      badMusts: count((one) => one.verdict === 'bad' && one.grade === 'must'),
      unknownMusts: count((one) => one.verdict === 'unknown' && one.grade === 'must'),
      needRoot: count((one) => one.needsRoot),
    },
  };
}

type Asked = Parameters<DaemonFace['doctor']>[0];

async function run(
  argv: readonly string[],
  answer: DoctorReport | Error,
): Promise<{ code: number; stdout: string; stderr: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const nobody = (): Promise<never> => Promise.reject(new Error('only the doctor was asked'));
  const daemon: DaemonFace = {
    prepare: nobody,
    startInBackground: nobody,
    serve: nobody,
    stop: nobody,
    purge: nobody,
    exec: nobody,
    isStaticElf: () => true,
    doctor: (o) => {
      asked.push(o);
      o.progress({ name: 'starting two small guests' });
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const stdout = memorySink();
  const stderr = memorySink();
  const code = await runCli(argv, {
    environment: { ...readEnvironment({}), stateFolder: '/nonexistent/linstock', programFolders: [folder] },
    stdout,
    stderr,
    signal: new AbortController().signal,
    self: './linstock',
    chance: { now: () => 1, word: () => 'abcd1234' },
    commands: [doctorCommand(() => Promise.resolve(daemon))],
  });
  return { code, stdout: stdout.text(), stderr: stderr.text(), asked };
}

const mixed = aReport([
  aCheck({ id: 'a.fine', verdict: 'ok' }),
  aCheck({ id: 'a.broken', verdict: 'bad', read: 'evil\u001B[31m text' }),
  aCheck({ id: 'b.slow', verdict: 'bad', grade: 'may' }),
  aCheck({ id: 'b.risky', verdict: 'bad', grade: 'should' }),
  aCheck({ id: 'c.dark', verdict: 'unknown' }),
  aCheck({ id: 'c.closed', verdict: 'unknown', needsRoot: true }),
  aCheck({ id: 'd.other', verdict: 'not-applicable', read: 'no such thing' }),
  aCheck({ id: 'd.another', verdict: 'not-applicable', read: 'no such thing' }),
]);

test('a bad must: 1, and everything is printed, the worst first', async () => {
  const { code, stdout, stderr } = await run(['doctor'], mixed);
  expect(code).toBe(1);
  expect(stderr).toContain('looking at this host\n');
  expect(stdout).toMatchInlineSnapshot(`
    "This host: Linux 6.1.0, looked at as root
    Measured against a production host with many tenants; where a development host may ignore something, its "why" says so.

    Bad, and must be right (1)

    ✗ a.broken  must
      read      evil text
      expected  what it should be
      why       The reason of it.
      fix       the way to repair it

    Bad, and should be right (1)

    ✗ b.risky  should
      read      what was read of b.risky
      expected  what it should be
      why       The reason of it.
      fix       the way to repair it

    Could be better (1)

    ✗ b.slow  may
      read      what was read of b.slow
      expected  what it should be
      why       The reason of it.
      fix       the way to repair it

    Unknown (1)

    ? c.dark  must
      read     what was read of c.dark
      to know  the way to repair it

    Unknown, but not to root: run ./linstock doctor as root (1)
    ?  c.closed  must  what was read of c.closed

    Right (1)
    ✓  a.fine  must  what was read of a.fine

    Not applicable (2)
    -  d.other, d.another: no such thing

    ✗ not fit for production; bad: 1 must, 1 should, 1 may; unknown: 2, of which 2 must; right: 1; not applicable: 2
    "
  `);
});

test('no must is bad: 0', async () => {
  const grades = await run(
    ['doctor'],
    aReport([aCheck({ id: 'a.b', verdict: 'bad', grade: 'should' }), aCheck({ id: 'a.c', verdict: 'ok' })]),
  );
  expect(grades.code).toBe(0);
  expect(grades.stdout).toMatch(
    /\n✓ fit for production; bad: 0 must, 1 should, 0 may; unknown: 0, of which 0 must; right: 1; not applicable: 0\n$/,
  );
});

test('a must that is unknown is not taken for right: 0, and not called fit', async () => {
  const { code, stdout } = await run(['doctor'], aReport([aCheck({ id: 'a.b', verdict: 'unknown' })]));
  expect(code).toBe(0);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\? nothing is wrong that must be right, and not all of it is known; /);
});

test('--json is the report and nothing else', async () => {
  const { code, stdout } = await run(['doctor', '--json'], mixed);
  expect(code).toBe(1);
  expect(stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse(stdout)).toEqual(mixed);
});

test('what is asked of the host: packages as root would need them, probe or no probe', async () => {
  const [asked] = (await run(['doctor'], mixed)).asked;
  expect(asked).toMatchObject({ stateFolder: '/nonexistent/linstock', programFolders: [folder], probe: true });
  expect(asked?.packages).toMatchObject({
    needed: ['golang-go'],
    useful: ['zstd'],
    install: expect.stringContaining('golang-go zstd') as string,
  });
  expect((await run(['doctor', '--no-probe'], mixed)).asked[0]?.probe).toBe(false);
});

test('a fault of the settings: 1, and its sentence', async () => {
  const { code, stdout, stderr } = await run(
    ['doctor'],
    new FaultError('request-invalid', { problems: 'LINSTOCK_QEMUU is not a setting' }),
  );
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('LINSTOCK_QEMUU');
});

test.each([[['doctor', 'now']], [['doctor', '--frobnicate']]])('usage: 2: %j', async (argv) => {
  const { code, stdout, asked } = await run(argv, mixed);
  expect({ code, stdout, asked }).toEqual({ code: 2, stdout: '', asked: [] });
});

test('no line is wider than the terminal, and colours are only there when they are wanted', () => {
  const long = aReport(
    mixed.checks.map((one) => ({
      ...one,
      read: `${one.read} ${'word '.repeat(30)}/${'x'.repeat(120)}`,
      fix: one.fix && `${one.fix} ${'or '.repeat(40)}`,
    })),
  );
  for (const width of [40, 80, 200]) {
    for (const line of doctorPage(long, { colour: false, width }, 'linstock')) expect([...line].length, line).toBeLessThanOrEqual(width);
    const coloured = doctorPage(long, { colour: true, width }, 'linstock').join('\n');
    expect(coloured).toContain('\u001B[31m✗ a.broken\u001B[0m');
    expect(coloured.replaceAll(/\u001B\[\d+m/g, '')).toBe(doctorPage(long, { colour: false, width }, 'linstock').join('\n'));
  }
});
