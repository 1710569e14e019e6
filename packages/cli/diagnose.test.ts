import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnosisSchema } from '@linstock/contract';
import { here } from './testing/here.ts';

const cases = join(import.meta.dirname, '../../test/cases');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'linstock-diagnose-'));
});
afterAll(() => rm(folder, { recursive: true }));

const lab = join(cases, 'lab-01-tap-not-on-bridge');

test('a failure: 1, the cause with its lines, what to do, what would disprove it', async () => {
  const run = await here(['diagnose', '--console', join(lab, 'console.log'), '--host', join(lab, 'host.txt')]);
  expect(run).toMatchObject({ code: 1, stderr: '' });
  expect(run.stdout.split('\n').slice(0, 9)).toEqual([
    '✗ failed; furthest reached: net.address',
    '',
    'likely  The TAP of the VM is not a port of its bridge',
    '  host.net.tap-not-on-bridge',
    expect.stringMatching(/^ {2}host:13 {2}4: fc-0003: </),
    expect.stringMatching(/^ {2}host:9 {2}2: fcbr0: <NO-CARRIER/),
    '  → Put it on the bridge.',
    '    ip link set fc-0003 master fcbr0',
    '  It would be wrong if: `bridge link` lists the TAP.',
  ]);
});

test('--json is a diagnosis and nothing else; healthy: 0', async () => {
  const healthy = join(cases, 'lab-00-healthy-tiny');
  const run = await here(['diagnose', '--json', '--console', join(healthy, 'console.log'), '--host', join(healthy, 'host.txt')]);
  expect(run.code).toBe(0);
  expect(diagnosisSchema.parse(JSON.parse(run.stdout))).toMatchObject({ outcome: 'ok', causes: [] });
});

test('everything mixed in one file, and the arguments that were asked for', async () => {
  const file = join(folder, 'all.txt');
  const [console, host] = await Promise.all([readFile(join(lab, 'console.log'), 'utf8'), readFile(join(lab, 'host.txt'), 'utf8')]);
  await writeFile(file, `My VM is not reachable, please help.\n\n\`\`\`\n${console}\n\`\`\`\n\n${host}`);
  const mixed = await here(['diagnose', file, '--json']);
  expect(JSON.parse(mixed.stdout)).toMatchObject({ outcome: 'failed', causes: [{ code: 'host.net.tap-not-on-bridge' }] });
  const asked = await here([
    'diagnose',
    '--console',
    join(cases, 'lab-00-healthy-tiny/console.log'),
    '--requested',
    'console=ttyS0 swiotlb=force',
    '--json',
  ]);
  expect(JSON.parse(asked.stdout)).toMatchObject({
    outcome: 'degraded',
    causes: [{ code: 'control.boot-args-not-applied', title: "Asked for, and not on the guest's command line: swiotlb=force" }],
  });
});

test('a bundle is read as it was written; what is none is refused', async () => {
  const file = join(folder, 'bundle.json');
  const text = await readFile(join(lab, 'host.txt'), 'utf8');
  const bundle = {
    format: 'linstock-evidence-1',
    at: 1,
    madeBy: '0.1.0',
    subject: 'vm web',
    documents: [{ kind: 'host', name: 'host', text, cut: null }],
  };
  await writeFile(file, JSON.stringify(bundle));
  expect(JSON.parse((await here(['diagnose', '--bundle', file, '--json'])).stdout)).toMatchObject({
    causes: [{ code: 'host.net.tap-not-on-bridge' }],
  });
  await writeFile(file, '{"format":"other"}');
  expect(await here(['diagnose', '--bundle', file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('it is no bundle of `vm bundle`') as string,
  });
});

test.each([
  [[], 'there is nothing to look at'],
  [['--console', '/nowhere/console.log'], '/nowhere/console.log: there is no such file'],
  [['-', '--console', '-'], '- is given more than once'],
])('%j is refused: 2', async (args, says) => {
  expect(await here(['diagnose', ...args])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(says) as string });
});
