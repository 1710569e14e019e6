import { catalogue, layerOf } from '../catalogue.ts';

/** The table of docs/causes.md; `node packages/core/diagnosis/testing/document.ts` prints it. */
export function causeTable(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = Object.entries(catalogue).map(([code, { title, fix, command, disproof }]) => {
    const what = command === undefined ? cell(fix) : `${cell(fix)} \`${command.join(' ')}\``;
    return `| \`${code}\` | ${cell(title)} | ${what} | ${cell(disproof)} |`;
  });
  const layers = new Set(Object.keys(catalogue).map(layerOf));
  return [
    `${rows.length} causes in ${layers.size} layers. \`N\` stands for a port.`,
    '',
    '| code | cause | what to do | it would be wrong if |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

if (import.meta.main) console.log(causeTable());
