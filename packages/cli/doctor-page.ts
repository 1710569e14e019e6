/** Pure: the report of `doctor` as people read it. The worst comes first, what is right comes short, and the last line says it all. */
import type { DoctorReport, HostCheck, HostVerdict } from '@linstock/contract';
import { painted, plain, table, wrapped, type Paint, type Style } from './render.ts';

type Look = { mark: string; paint: Paint };
const looks: Record<HostVerdict, Look> = {
  bad: { mark: '✗', paint: 'red' },
  unknown: { mark: '?', paint: 'yellow' },
  ok: { mark: '✓', paint: 'green' },
  'not-applicable': { mark: '-', paint: 'dim' },
};

/** What should or may be right is no reason for alarm. */
function lookOf({ verdict, grade }: HostCheck): Look {
  return verdict === 'bad' && grade !== 'must' ? { ...looks.bad, paint: 'yellow' } : looks[verdict];
}

export function doctorPage(report: DoctorReport, style: Style, self: string): string[] {
  const group = (
    title: string,
    test: (one: HostCheck) => boolean,
    lines: (checks: readonly HostCheck[]) => readonly string[],
  ): string[] => {
    const checks = report.checks.filter(test);
    if (checks.length === 0) return [];
    return ['', ...wrapped(`${title} (${checks.length})`, style, 0).map((line) => painted(style, 'bold', line)), ...lines(checks)];
  };
  const inFull = (checks: readonly HostCheck[]): string[] => checks.flatMap((one) => ['', ...whole(one, style)]);
  const inShort = (checks: readonly HostCheck[]): string[] => rows(checks, style);
  return [
    ...wrapped(`This host: Linux ${report.kernel}, looked at ${report.root ? 'as root' : 'as an ordinary user'}`, style, 0),
    ...wrapped(
      'Measured against a production host with many tenants; where a development host may ignore something, its "why" says so.',
      style,
      0,
    ),
    ...group('Bad, and must be right', (one) => one.verdict === 'bad' && one.grade === 'must', inFull),
    ...group('Bad, and should be right', (one) => one.verdict === 'bad' && one.grade === 'should', inFull),
    ...group('Could be better', (one) => one.verdict === 'bad' && one.grade === 'may', inFull),
    ...group('Unknown', (one) => one.verdict === 'unknown' && !one.needsRoot, inFull),
    ...group(`Unknown, but not to root: run ${self} doctor as root`, (one) => one.needsRoot, inShort),
    ...group('Right', (one) => one.verdict === 'ok', inShort),
    ...group(
      'Not applicable',
      (one) => one.verdict === 'not-applicable',
      (checks) => byReason(checks, style),
    ),
    '',
    ...summaryOf(report, style),
  ];
}

function whole(check: HostCheck, style: Style): string[] {
  const { mark, paint } = lookOf(check);
  const said: readonly (readonly [string, string])[] = [
    ['read', check.read],
    ...(check.verdict === 'unknown'
      ? []
      : ([
          ['expected', check.expected],
          ['why', check.why],
        ] as const)),
    ...(check.fix === null ? [] : ([[check.verdict === 'unknown' ? 'to know' : 'fix', check.fix]] as const)),
  ];
  const width = Math.max(...said.map(([name]) => name.length));
  return [
    `${painted(style, paint, `${mark} ${plain(check.id)}`)}  ${painted(style, 'dim', check.grade)}`,
    ...said.flatMap(([name, text]) =>
      wrapped(text, style, width + 4).map((line, index) => `  ${painted(style, 'dim', (index === 0 ? name : '').padEnd(width))}  ${line}`),
    ),
  ];
}

/** A line each. */
function rows(checks: readonly HostCheck[], style: Style): string[] {
  const cells = checks.map((one) => {
    const { mark, paint } = lookOf(one);
    return [{ text: mark, paint }, one.id, { text: one.grade, paint: 'dim' as const }, one.read];
  });
  return table(['', '', '', ''], cells, style).slice(1);
}

/** Many do not apply for the same reason, such as that there is no Firecracker. */
function byReason(checks: readonly HostCheck[], style: Style): string[] {
  const reasons = Map.groupBy(checks, (one) => one.read);
  return [...reasons].flatMap(([reason, group]) =>
    wrapped(`${group.map((one) => one.id).join(', ')}: ${reason}`, style, 3).map(
      (line, index) => `${index === 0 ? painted(style, 'dim', '-') : ' '}  ${line}`,
    ),
  );
}

function summaryOf({ summary, checks }: DoctorReport, style: Style): string[] {
  const { ok, unknown, notApplicable, badMusts, unknownMusts } = summary;
  const [{ mark, paint }, says] =
    badMusts > 0
      ? ([looks.bad, 'not fit for production'] as const)
      : unknownMusts > 0
        ? ([looks.unknown, 'nothing is wrong that must be right, and not all of it is known'] as const)
        : ([looks.ok, 'fit for production'] as const);
  const bad = (['must', 'should', 'may'] as const).map(
    (grade) => `${checks.filter((one) => one.verdict === 'bad' && one.grade === grade).length} ${grade}`,
  );
  const counts = `bad: ${bad.join(', ')}; unknown: ${unknown}, of which ${unknownMusts} must; right: ${ok}; not applicable: ${notApplicable}`;
  return wrapped(`${mark} ${says}; ${counts}`, style, 0).map((line) => painted(style, paint, line));
}
