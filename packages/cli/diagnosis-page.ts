/** Pure: a diagnosis as people read it. */
import type { Because, Diagnosis } from '@linstock/contract';
import { wrapped } from './lint-page.ts';
import { painted, plain, type Paint, type Style } from './render.ts';

const outcomes: Record<Diagnosis['outcome'], { sign: string; paint: Paint; says: string }> = {
  ok: { sign: '✓', paint: 'green', says: 'ok: nothing wrong is seen in this evidence' },
  degraded: { sign: '!', paint: 'yellow', says: 'degraded: it works, and something is wrong' },
  failed: { sign: '✗', paint: 'red', says: 'failed' },
  unknown: { sign: '?', paint: 'yellow', says: 'unknown: this evidence does not tell the cause' },
};

export function diagnosisPage(d: Diagnosis, style: Style): readonly string[] {
  const { sign, paint, says } = outcomes[d.outcome];
  const lines = [
    `${painted(style, paint, `${sign} ${says}`)}${d.phaseReached === null ? '' : `; furthest reached: ${plain(d.phaseReached)}`}`,
  ];
  for (const cause of d.causes) {
    if (cause.code.startsWith('unknown.')) {
      if (cause.because.length > 0) lines.push('', 'What is known:', ...cited(cause.because, style));
      continue;
    }
    lines.push(
      '',
      `${painted(style, cause.confidence === 'possible' ? 'yellow' : 'red', cause.confidence)}  ${painted(style, 'bold', plain(cause.title))}`,
    );
    lines.push(painted(style, 'dim', `  ${plain(cause.code)}`), ...cited(cause.because, style));
    lines.push(...wrapped(`→ ${cause.fix.text}`, '  ', style));
    if (cause.fix.command.length > 0) lines.push(`    ${plain(cause.fix.command.join(' '))}`);
    lines.push(...wrapped(`It would be wrong if: ${cause.disproof}`, '  ', style).map((l) => painted(style, 'dim', l)));
  }
  if (d.benign.length > 0) {
    lines.push('', painted(style, 'bold', 'Noise'));
    for (const noise of d.benign)
      lines.push(...cited(noise.because.slice(0, 1), style), ...wrapped(noise.why, '    ', style).map((l) => painted(style, 'dim', l)));
  }
  if (d.ruledOut.length > 0) {
    lines.push('', painted(style, 'bold', 'Ruled out'));
    for (const out of d.ruledOut) lines.push(`  ${plain(out.code)}`, ...cited(out.because.slice(0, 1), style, '    '));
  }
  if (d.missing.length > 0) {
    lines.push('', painted(style, 'bold', d.outcome === 'ok' || d.outcome === 'degraded' ? 'Not seen' : 'Look here next'));
    for (const [i, missing] of d.missing.entries()) lines.push(...wrapped(`${i + 1}. ${missing.what}: ${missing.how}`, '  ', style));
  }
  return lines;
}

function cited(because: readonly Because[], style: Style, indent = '  '): string[] {
  return because.map((b) => {
    const place = b.line === null ? b.source : `${b.source}:${b.line}`;
    return `${indent}${painted(style, 'dim', `${plain(place)}${b.guestControlled === true ? ' (the guest can forge it)' : ''}`)}  ${plain(b.text).trim()}`;
  });
}
