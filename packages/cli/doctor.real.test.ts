/** `linstock doctor` as a program, on this machine: by whoever runs the tests, and by nobody. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { doctorReportSchema, type DoctorReport } from '@linstock/contract';
import { othersCanReach } from '@linstock/testkit';
import { runCliProcess } from './testing/run.ts';

const root = process.getuid?.() === 0;
const main = join(import.meta.dirname, 'main.ts');
/** A state folder that nobody makes. */
const state = '/nonexistent/linstock';

function reportOf(stdout: string): DoctorReport {
  return doctorReportSchema.parse(JSON.parse(stdout));
}

test('a report and the exit code that belongs to it; nothing is made', async () => {
  const run = await runCliProcess(['doctor', '--json', '--no-probe'], { LINSTOCK_STATE: state });
  const { summary, checks, root: asRoot } = reportOf(run.stdout);
  expect(run.code).toBe(summary.badMusts > 0 ? 1 : 0);
  expect(summary.badMusts).toBe(checks.filter((one) => one.grade === 'must' && one.verdict === 'bad').length);
  expect(asRoot).toBe(root);
  expect(checks.find((one) => one.id === 'kvm.runs-guests')?.verdict).not.toBe('ok'); // no guest was started, so nobody knows
  expect(existsSync(state)).toBe(false);
});

test('a page: the worst first, one line at the end that says it all, no escape codes in a pipe', async () => {
  const run = await runCliProcess(['doctor'], { LINSTOCK_STATE: state });
  expect(run.stdout).toMatch(/^This host: Linux /);
  expect(run.stdout).not.toContain('\u001B');
  const last = run.stdout.trimEnd().split('\n').at(-1) ?? '';
  expect(last).toMatch(/; bad: \d+ must, \d+ should, \d+ may; unknown: \d+, of which \d+ must; right: \d+; not applicable: \d+$/);
  expect(last.startsWith('✗')).toBe(run.code === 1);
});

const skip = !root
  ? 'only root can become somebody else'
  : !othersCanReach(main)
    ? 'others cannot reach this clone'
    : !othersCanReach(process.execPath)
      ? 'others cannot run this Node'
      : false;
test.skipIf(skip !== false)(`as nobody: it says what only root can see${skip === false ? '' : ` (skipped: ${skip})`}`, () => {
  const ran = spawnSync(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, main, 'doctor', '--json', '--no-probe'],
    {
      encoding: 'utf8',
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '', LINSTOCK_STATE: state },
    },
  );
  expect(ran.stderr).toMatch(/^looking at this host\n/);
  const { checks, summary, root: asRoot } = reportOf(ran.stdout);
  expect(asRoot).toBe(false);
  const hidden = checks.filter((one) => one.needsRoot).map((one) => one.id);
  expect(hidden).toEqual(expect.arrayContaining(['host.capabilities', 'network.nft', 'network.forward-policy']) as string[]);
  expect(summary.needRoot).toBe(hidden.length);
  // what is the same for everybody is read by everybody
  const asMe = reportOf(
    spawnSync(process.execPath, [main, 'doctor', '--json', '--no-probe'], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', LINSTOCK_STATE: state },
    }).stdout,
  );
  const same = ['cpu.mitigations', 'memory.swap-off', 'memory.ksm-off', 'cgroup.v2', 'host.kernel', 'host.packages', 'qemu.present'];
  const of = (list: readonly { id: string }[]): unknown[] => list.filter((one) => same.includes(one.id));
  expect(of(checks)).toEqual(of(asMe.checks));
});
