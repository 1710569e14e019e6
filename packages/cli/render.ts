/**
 * Pure: what people see, as lines. Every text that is put into a cell loses its control characters here, because a guest
 * may have written it. `width` null means "not a terminal": nothing is cut, so that a pipe gets everything.
 */
import type { Condition, Milestone, Proof, Verdict } from '@linstock/contract';

export type Style = { colour: boolean; width: number | null };

const paints = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
export type Paint = keyof typeof paints;

export function painted(style: Style, paint: Paint, text: string): string {
  return style.colour && text !== '' ? `\u001B[${paints[paint]}m${text}\u001B[0m` : text;
}

/** Escape sequences first, whole; then what is left of C0, C1 and of the marks that turn text around. */
const escapes = /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B\n]*(?:\u0007|\u001B\\)?|[ -/]*[0-~])/g;
const controls = /[\u0000-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g;

/** One line that may go to a terminal. */
export function plain(text: string): string {
  return text
    .replaceAll(escapes, '')
    .replaceAll(/[\t\r\n]+/g, ' ')
    .replaceAll(controls, '');
}

/** Cuts to a width and shows that it did. A width of zero is a terminal that does not know its size. */
export function fitted(text: string, width: number | null): string {
  if (width === null || width <= 0 || text.length <= width) return text;
  return width === 1 ? '…' : `${text.slice(0, width - 1)}…`;
}

function usable(width: number | null): number | null {
  return width === null ? null : width <= 0 ? 80 : Math.max(width, 20);
}

/** Whole, in lines of the terminal's width less `indent`; a word that is longer than that is broken. A pipe gets one line. */
export function wrapped(text: string, style: Style, indent: number): string[] {
  const width = usable(style.width);
  const words = plain(text);
  if (width === null) return [words];
  const room = Math.max(width - indent, 20);
  const lines: string[] = [];
  let line = '';
  for (const word of words.split(' ')) {
    let rest = word;
    if (line !== '' && line.length + 1 + rest.length > room) {
      lines.push(line);
      line = '';
    }
    for (; rest.length > room; rest = rest.slice(room)) lines.push(rest.slice(0, room));
    line = line === '' ? rest : `${line} ${rest}`;
  }
  return [...lines, line];
}

export type Cell = string | { text: string; paint: Paint };
const textOf = (cell: Cell): string => plain(typeof cell === 'string' ? cell : cell.text);

/** Columns as wide as their widest cell; when that is too wide for the terminal, the last column gives way. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], style: Style): string[] {
  const width = usable(style.width);
  const texts = rows.map((row) => row.map(textOf));
  const widths = head.map((title, column) => Math.max(title.length, ...texts.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[], paint: (cell: string, column: number) => string): string => {
    let used = 0;
    let text = '';
    cells.forEach((cell, column) => {
      const last = column === cells.length - 1;
      const room = width === null ? null : Math.max(width - used, 1);
      const shown = last ? fitted(cell, room) : fitted(cell.padEnd(widths[column] ?? 0), room);
      if (width !== null && used >= width) return;
      text += paint(shown, column) + (last ? '' : '  ');
      used += shown.length + 2;
    });
    return text.trimEnd();
  };
  return [
    line(
      head.map((title) => title.toUpperCase()),
      (cell) => painted(style, 'dim', cell),
    ),
    ...rows.map((row, index) =>
      line(texts[index] ?? [], (cell, column) => {
        const given = row[column];
        return typeof given === 'object' ? painted(style, given.paint, cell) : cell;
      }),
    ),
  ];
}

/** Name and value, a line each; a list gets a line per item. */
export function page(pairs: readonly (readonly [string, Cell | readonly string[]])[], style: Style): string[] {
  const most = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.flatMap(([name, value]) => {
    const cells: readonly Cell[] = Array.isArray(value) ? (value as readonly string[]) : [value as Cell];
    return (cells.length === 0 ? ['-'] : cells).map((cell, index) => {
      const text = textOf(cell);
      return `${painted(style, 'dim', (index === 0 ? name : '').padEnd(most))}  ${typeof cell === 'object' ? painted(style, cell.paint, text) : text}`.trimEnd();
    });
  });
}

const verdicts: Record<Verdict, { mark: string; word: string; paint: Paint }> = {
  proved: { mark: '✓', word: 'proved', paint: 'green' },
  refuted: { mark: '✗', word: 'REFUTED', paint: 'red' },
  unknown: { mark: '?', word: 'unknown', paint: 'yellow' },
};

/** The verdict as one painted word with its mark, for tables. */
export function verdictCell(verdict: Verdict): { text: string; paint: Paint } {
  const { mark, word, paint } = verdicts[verdict];
  return { text: `${mark} ${word}`, paint };
}

/** The proof, a line per condition; what is not proved shows its evidence and what to look at next. */
/** Of an expectation, in a pipe: a kernel banner has two hundred characters. */
const mostExpected = 72;

export function proofTable(proof: Proof, style: Style, more: { evidence: boolean } = { evidence: false }): string[] {
  const width = usable(style.width);
  const rows = proof.conditions.map((condition) => ({ condition, ...shown(condition) }));
  const idWidth = Math.max(9, ...rows.map((row) => row.id.length));
  const left = 2 + idWidth + 2 + 11; // mark, condition, verdict
  const widest = Math.max(8, ...rows.map((row) => row.expected.length));
  // a pipe has room for everything, but the reader of a log has not: the whole of it is in --json
  const expectedWidth = width === null ? Math.min(widest, mostExpected) : Math.min(widest, Math.max(8, Math.floor((width - left) / 2) - 1));
  const observedWidth = width === null ? null : Math.max(8, width - left - expectedWidth - 2);
  const line = (mark: string, id: string, word: string, expected: string, observed: string, paint: Paint): string =>
    `${painted(style, paint, mark)} ${id.padEnd(idWidth)}  ${painted(style, paint, word.padEnd(11))}${fitted(expected, expectedWidth).padEnd(expectedWidth)}  ${fitted(observed, observedWidth)}`.trimEnd();
  return [
    painted(style, 'dim', line(' ', 'CONDITION', 'VERDICT', 'EXPECTED', 'OBSERVED', 'dim')),
    ...rows.flatMap(({ condition, mark, word, paint, id, expected, observed }) => [
      line(mark, id, word, expected, observed, paint),
      ...(condition.next !== undefined && condition.asked && condition.verdict !== 'proved' ? [`    → ${plain(condition.next)}`] : []),
      ...(more.evidence || (condition.asked && condition.verdict === 'refuted')
        ? condition.evidence.map((one) =>
            painted(
              style,
              'dim',
              fitted(
                `    ${one.source}${one.line === undefined ? '' : `:${one.line}`}${one.guestControlled === true ? ' (said by the guest)' : ''}: ${plain(one.text)}`,
                width,
              ),
            ),
          )
        : []),
    ]),
  ];
}

function shown(condition: Condition): { mark: string; word: string; paint: Paint; id: string; expected: string; observed: string } {
  const texts = { id: plain(condition.id), expected: plain(condition.expected), observed: plain(condition.observed) };
  return condition.asked ? { ...verdicts[condition.verdict], ...texts } : { mark: '-', word: 'not asked', paint: 'dim', ...texts };
}

/** `16 of 17 proved, 1 refuted`, of the conditions that were asked for. */
export function proofSummary(proof: Proof): string {
  const asked = proof.conditions.filter((condition) => condition.asked);
  const count = (verdict: Verdict): number => asked.filter((condition) => condition.verdict === verdict).length;
  const rest = (['refuted', 'unknown'] as const).filter((verdict) => count(verdict) > 0).map((verdict) => `, ${count(verdict)} ${verdict}`);
  return `${count('proved')} of ${asked.length} conditions proved${rest.join('')}`;
}

/** Milliseconds as people read them. */
export function took(ms: number): string {
  return ms < 1000
    ? `${Math.round(ms)} ms`
    : ms < 60_000
      ? `${(ms / 1000).toFixed(2)} s`
      : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** A bar per milestone, from the one before it to its own time. */
export function timelineBars(milestones: readonly Milestone[], style: Style): string[] {
  const sorted = milestones.toSorted((a, b) => a.ms - b.ms);
  const end = sorted.at(-1)?.ms ?? 0;
  if (sorted.length === 0) return ['(nothing was reached)'];
  const nameWidth = Math.max(...sorted.map((one) => plain(one.what).length));
  const timeWidth = 11;
  const room = Math.min(60, Math.max(10, (usable(style.width) ?? 100) - nameWidth - 2 * timeWidth - 4));
  const column = (ms: number): number => (end <= 0 ? 0 : Math.round((ms / end) * room));
  let before = 0;
  return sorted.map((one) => {
    const from = Math.min(column(before), room - 1);
    const length = Math.max(1, column(one.ms) - from);
    const bar = ' '.repeat(from) + painted(style, 'green', '█'.repeat(length)) + ' '.repeat(Math.max(0, room - from - length));
    const text = `${plain(one.what).padEnd(nameWidth)}  ${bar} ${took(one.ms).padStart(timeWidth)} ${painted(style, 'dim', `+${took(one.ms - before)}`.padStart(timeWidth))}`;
    before = one.ms;
    return text.trimEnd();
  });
}

/** How long ago, in one word. */
export function age(at: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - at) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

export function moment(at: number): string {
  return new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}

/** JSON that means the same and cannot move a cursor: JSON.stringify lets C1 and direction marks through. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
