/** Readings in, report out. Pure: the same readings give the same report, and no text in them makes it throw. */
import type { DoctorReport, HostCheck } from '@linstock/contract';
import { cleanText } from '@linstock/core';
import type { Check } from './check.ts';
import { diskChecks } from './disk.ts';
import { firecrackerChecks } from './firecracker.ts';
import { isolationChecks } from './isolation.ts';
import { machineChecks } from './machine.ts';
import { memoryChecks } from './memory.ts';
import { networkChecks } from './network.ts';
import { processorChecks } from './processors.ts';
import type { HostReadings } from './readings.ts';
import { runningChecks } from './running.ts';

/** In the order of the document. */
export const families: readonly { name: string; checks: readonly Check[] }[] = [
  { name: 'KVM and processors', checks: processorChecks },
  { name: 'The machine', checks: machineChecks },
  { name: 'Memory', checks: memoryChecks },
  { name: 'Isolation', checks: isolationChecks },
  { name: 'Network', checks: networkChecks },
  { name: 'Disk and limits', checks: diskChecks },
  { name: 'Firecracker binaries', checks: firecrackerChecks },
  { name: 'Running Firecrackers', checks: runningChecks },
];

/** More than a person reads; a file of /proc can be longer. */
const MOST_READ = 400;

export function examineHost(host: HostReadings, at: number): DoctorReport {
  const checks = families.flatMap((family) => family.checks).map((check) => judge(check, host));
  const count = (test: (one: HostCheck) => boolean): number => checks.filter(test).length;
  return {
    kernel: cleanText(host.kernel, MOST_READ),
    root: host.uid === 0,
    at,
    checks,
    summary: {
      ok: count(({ verdict }) => verdict === 'ok'),
      bad: count(({ verdict }) => verdict === 'bad'),
      unknown: count(({ verdict }) => verdict === 'unknown'),
      notApplicable: count(({ verdict }) => verdict === 'not-applicable'),
      badMusts: count(({ verdict, grade }) => verdict === 'bad' && grade === 'must'),
      unknownMusts: count(({ verdict, grade }) => verdict === 'unknown' && grade === 'must'),
      needRoot: count(({ needsRoot }) => needsRoot),
    },
  };
}

function judge(check: Check, host: HostReadings): HostCheck {
  const { id, grade, why } = check;
  const { verdict, read, expected, fix, needsRoot } = check.look(host);
  const settled = verdict === 'ok' || verdict === 'not-applicable';
  return {
    id,
    grade,
    verdict,
    read: cleanText(read, MOST_READ),
    expected: expected ?? check.expected,
    why,
    fix: settled ? null : (fix ?? check.fix),
    needsRoot: needsRoot ?? false,
  };
}
