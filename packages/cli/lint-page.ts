/** Pure: findings of a lint as people read them. */
import type { PlacedFinding } from './daemon-face.ts';
import { painted, plain, type Paint, type Style } from './render.ts';

export type LintSummary = { file: string; firecracker: string; host: boolean; errors: number; warnings: number; notes: number };

const groups: readonly { severity: PlacedFinding['severity']; title: string; paint: Paint }[] = [
  { severity: 'error', title: 'Errors', paint: 'red' },
  { severity: 'warning', title: 'Warnings', paint: 'yellow' },
  { severity: 'note', title: 'Notes', paint: 'bold' },
];

export function summaryOf(about: Pick<LintSummary, 'file' | 'firecracker' | 'host'>, findings: readonly PlacedFinding[]): LintSummary {
  const count = (severity: PlacedFinding['severity']): number => findings.filter((one) => one.severity === severity).length;
  return { ...about, errors: count('error'), warnings: count('warning'), notes: count('note') };
}

export function lintPage(summary: LintSummary, findings: readonly PlacedFinding[], style: Style): readonly string[] {
  const file = plain(summary.file);
  const lines: string[] = [];
  for (const { severity, title, paint } of groups) {
    const found = findings.filter((one) => one.severity === severity);
    if (found.length === 0) continue;
    lines.push(painted(style, paint, title));
    for (const one of found) {
      const place = `${file}:${one.line}:${one.column}${one.at === '' ? '' : `  ${plain(one.at)}`}`;
      lines.push(`  ${painted(style, 'bold', place)}${one.of === 'host' ? painted(style, 'dim', '  on this machine') : ''}`);
      lines.push(...wrapped(one.what, '    ', style), ...wrapped(one.why, '    ', style).map((text) => painted(style, 'dim', text)));
      lines.push(...wrapped(`→ ${one.fix}`, '    ', style), '');
    }
  }
  return [...lines, verdict(summary, style)];
}

function verdict({ file, firecracker, host, errors, warnings, notes }: LintSummary, style: Style): string {
  const where = `Firecracker ${firecracker}${host ? ', this machine looked at' : ''}`;
  const counts = [
    [errors, 'error'],
    [warnings, 'warning'],
    [notes, 'note'],
  ] as const;
  const found = counts.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}${count === 1 ? '' : 's'}`);
  if (found.length === 0) return `${painted(style, 'green', '✓')} ${plain(file)}: nothing found (${where})`;
  return `${errors > 0 ? painted(style, 'red', '✗') : painted(style, 'green', '✓')} ${plain(file)}: ${found.join(', ')} (${where})`;
}

/** At words, to the width of a terminal; a pipe gets each sentence in one line. */
export function wrapped(text: string, indent: string, style: Style): readonly string[] {
  const words = plain(text).split(' ');
  const room = style.width === null || style.width <= 0 ? Number.POSITIVE_INFINITY : Math.max(20, style.width - 1) - indent.length;
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}
