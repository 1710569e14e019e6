/** Pure: the findings of `rootfs lint` as people read them, the worst first. */
import type { RootfsLintFace } from './daemon-face.ts';
import { painted, plain, type Paint, type Style } from './render.ts';

type Lint = Extract<Awaited<ReturnType<RootfsLintFace['lintRootfs']>>, { ok: true }>;
type Finding = Lint['findings'][number];

const words: Record<Finding['severity'], { one: string; many: string; paint: Paint }> = {
  error: { one: 'error', many: 'errors', paint: 'red' },
  warning: { one: 'warning', many: 'warnings', paint: 'yellow' },
  note: { one: 'note', many: 'notes', paint: 'dim' },
};
const severities = ['error', 'warning', 'note'] as const;

/** What was looked at, in one line. */
export function lookedAt(path: string, { image }: Lint): string {
  const kept = image.keptIn === 'image' ? (image.fileSystem?.kind ?? 'image') : image.keptIn;
  return `${path}: ${kept}, ${image.system ?? 'a system that does not name itself'}, init: ${image.init}`;
}

export function findingLines(head: string, findings: readonly Finding[], style: Style): string[] {
  const counts = severities.flatMap((severity) => {
    const count = findings.filter((one) => one.severity === severity).length;
    return count === 0 ? [] : [`${count} ${count === 1 ? words[severity].one : words[severity].many}`];
  });
  return [
    plain(head),
    ...findings.flatMap((one) => ['', ...finding(one, style)]),
    '',
    counts.length === 0 ? 'nothing found' : counts.join(', '),
  ];
}

function finding(one: Finding, style: Style): string[] {
  const place = one.path === null ? '' : `${one.path}${one.line === null ? '' : `:${one.line}`}  `;
  const more = (name: string, text: string): string => `    ${painted(style, 'dim', name.padEnd(5))} ${plain(text)}`;
  return [
    `${painted(style, words[one.severity].paint, one.severity)}  ${plain(place)}${painted(style, 'dim', `[${one.id}]`)}`,
    `    ${plain(one.what)}`,
    more('why', one.why),
    more('fix', one.fix),
    more('boot', one.refutes === null ? one.predicts : `${one.predicts} (${one.refutes} is not proved)`),
  ];
}
