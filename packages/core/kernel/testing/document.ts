/** The tables of docs/kernels.md, from the code: `node packages/core/kernel/testing/document.ts` prints them. For tests and writers. */
import { optionsOf } from '../check.ts';
import { noParts } from '../no-parts.ts';
import { optionFacts } from '../option-facts.ts';
import { quoted } from '../options.ts';
import { proofs } from '../proofs.ts';
import type { Needle } from '../proofs.ts';
import type { Need, Requirement } from '../requirement.ts';
import { askable, requirements } from '../requirements.ts';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');

const short = (version: string): string => version.replace(/\.0$/, '');
const absence = ({ always, kind }: Needle): string => (always === undefined ? 'nothing' : `off, from ${short(always.from)} (${kind})`);

export function proofTable(): string {
  return table(
    ['option', 'shown by', 'not there means'],
    Object.entries(proofs).flatMap(([option, needles]) => needles.map((needle) => [option, `\`${quoted(needle.text)}\``, absence(needle)])),
  );
}

export function versionTable(): string {
  return table(
    ['option', 'Linux'],
    Object.entries(optionFacts)
      .filter(([, { exists }]) => exists !== undefined)
      .map(([option, { exists, unsure }]) => {
        const from = exists?.from === '2.6.0' ? '' : `${short(exists?.from ?? '')} and newer`;
        const until = exists?.until === undefined ? '' : `before ${short(exists.until)}`;
        const open = unsure === undefined ? '' : ` (not said for ${short(unsure.from)} to ${short(unsure.until ?? '')})`;
        return [option, `${[from, until].filter((words) => words !== '').join(', ')}${open}`];
      }),
  );
}

const when = ({ when: { vmm, transport, asked, unless, versions } }: Requirement): string =>
  [
    vmm === undefined ? '' : `${vmm}${versions === undefined ? '' : ` ${versions.from} and newer`}`,
    transport ?? '',
    asked === undefined ? '' : `--needs ${asked}`,
    unless === undefined ? '' : `without --needs ${unless.join(', ')}`,
  ]
    .filter((words) => words !== '')
    .join('; ') || 'always';

const words = (need: Need): string => {
  if (typeof need === 'string') return need;
  if ('off' in need) return `no ${need.off}`;
  if ('banner' in need) return need.means;
  const [parts, word] = 'all' in need ? [need.all, ' and '] : [need.any, ' or '];
  return parts.map((part) => (typeof part === 'object' && optionsOf(part).length > 1 ? `(${words(part)})` : words(part))).join(word);
};

export function requirementTable(): string {
  return table(
    ['what', 'when', 'options', 'enough', ''],
    requirements.map((one) => [one.id, when(one), words(one.need), one.enough, one.level]),
  );
}

export function askableTable(): string {
  return table(
    ['--needs', 'what for'],
    Object.entries(askable).map(([name, what]) => [name, what]),
  );
}

export function noPartTable(): string {
  return table(
    ['option', 'why'],
    noParts.map(({ option, why }) => [option, why]),
  );
}

if (import.meta.main) console.log([proofTable(), versionTable(), requirementTable(), askableTable(), noPartTable()].join('\n\n'));
