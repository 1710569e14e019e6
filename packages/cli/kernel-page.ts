/** How kernels look: one by itself, against what it is for, beside another. Pure but for the style. */
import type { JudgedRequirement, KernelCheck, KernelDiff, KernelReport, KnownOption, RequirementVerdict } from '@linstock/contract';
import { fitted, page, painted, plain, table, type Cell, type Paint, type Style } from './render.ts';

const MIB = 1024 * 1024;
const size = (bytes: number): string => `${bytes} bytes (${(bytes / MIB).toFixed(1)} MiB)`;

/** All that is told of a kernel besides its options. */
export function kernelPairs(kernel: KernelReport): (readonly [string, Cell | readonly string[]])[] {
  const { build, config } = kernel;
  const builder = [build.user, build.host].filter((word) => word !== null).join('@');
  return [
    ['file', kernel.file],
    [
      'format',
      `${kernel.wrapped === null ? '' : `${kernel.wrapped}-compressed `}${kernel.format}${kernel.compression === 'none' ? '' : `, compressed by ${kernel.compression}`}`,
    ],
    ['arch', kernel.arch],
    [
      'size',
      `${size(kernel.bytes)}${kernel.unpackedBytes === null || kernel.unpackedBytes === kernel.bytes ? '' : `, unpacked ${size(kernel.unpackedBytes)}`}`,
    ],
    ['release', kernel.release ?? 'unknown'],
    ['banner', kernel.banner ?? 'unknown'],
    ['built by', builder === '' ? 'unknown' : builder],
    ['compiler', build.compiler ?? 'unknown'],
    ['build', build.number === null ? 'unknown' : ['#' + build.number, ...build.flags, build.date ?? ''].join(' ').trim()],
    ['boots by', kernel.boot.map(({ protocol, works, detail }) => `${works ? '✓' : '✗'} ${protocol}: ${detail}`)],
    ['memory', kernel.leastMemoryMiB === null ? 'unknown' : `${kernel.leastMemoryMiB} MiB are taken up by the kernel alone`],
    [
      'initrd',
      `${kernel.initrd.embedded === 'yes' ? 'embedded' : kernel.initrd.embedded === 'no' ? 'none embedded' : 'unknown'}: ${kernel.initrd.why}`,
    ],
    ['config', configWords(kernel)],
    ...(config.refused.length === 0 ? [] : [['not believed', config.refused.map(({ file, why }) => `${file}: ${why}`)] as const]),
    ...(kernel.unreadable === null ? [] : [['unreadable', { text: kernel.unreadable, paint: 'red' }] as const]),
  ];
}

function configWords({ config }: KernelReport): Cell {
  if (config.by === 'ikconfig') return { text: 'inside of the kernel (IKCONFIG)', paint: 'green' };
  if (config.by === 'config-file') return { text: config.file ?? '', paint: 'green' };
  return { text: 'none: options are known only as far as the kernel shows them', paint: 'yellow' };
}

const values: Record<KnownOption['value'], Paint> = { yes: 'green', module: 'green', no: 'red', unknown: 'yellow' };

/** `not built in`: module and off cannot be told apart. */
export function valueCell(one: KnownOption): { text: string; paint: Paint } {
  if (one.value === 'unknown' && one.builtIn === false) return { text: 'not built in', paint: 'yellow' };
  return { text: one.setting === null ? one.value : `=${one.setting}`, paint: values[one.value] };
}

const isOpen = (one: KnownOption): boolean => one.value === 'unknown' && one.builtIn === null;

/** A row per option of which something is known; the rest by name. */
export function optionLines(options: readonly KnownOption[], style: Style): string[] {
  const known = options.filter((one) => !isOpen(one));
  const open = options.filter(isOpen).map(({ option }) => option);
  return [
    ...(known.length === 0
      ? []
      : table(
          ['option', 'value', 'known by', 'how'],
          known.map((one) => [
            one.option,
            valueCell(one),
            one.by,
            one.offset === null ? one.how : `0x${one.offset.toString(16)} ${one.how}`,
          ]),
          style,
        )),
    ...(open.length === 0 ? [] : ['', painted(style, 'yellow', `unknown (${open.length})`), ...wrapped(open, style.width ?? 100)]),
  ];
}

/** Words in lines, indented. */
function wrapped(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words.map(plain)) {
    if (line !== '' && line.length + word.length + 3 > width) {
      lines.push(`  ${line}`);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return line === '' ? lines : [...lines, `  ${line}`];
}

const verdicts: Record<RequirementVerdict, { mark: string; word: string; paint: Paint }> = {
  met: { mark: '✓', word: 'met', paint: 'green' },
  missing: { mark: '✗', word: 'MISSING', paint: 'red' },
  unknown: { mark: '?', word: 'unknown', paint: 'yellow' },
  'not-applicable': { mark: '-', word: 'not applicable', paint: 'dim' },
};

/** A line per requirement; what is not met says why it is wanted, how it shows, and what to do. */
export function checkLines(check: KernelCheck, style: Style): string[] {
  const idWidth = Math.max(...check.requirements.map(({ id }) => id.length), 11);
  return [
    ...check.requirements.flatMap((one) => requirementLines(one, idWidth, style)),
    ...(check.noPart.length === 0 ? [] : ['', painted(style, 'bold', 'Plays no part')]),
    ...check.noPart.flatMap(({ option, found, why }) => [
      `- ${option}  ${painted(style, 'dim', plain(found))}`,
      ...wrapped(why.split(' '), (style.width ?? 100) - 2).map((line) => `  ${line}`),
    ]),
    '',
    ...(check.requirements.some(({ verdict }) => verdict === 'unknown')
      ? ['What is unknown is settled by the configuration (--config), or by the console of a boot.']
      : []),
    summaryLine(check, style),
  ];
}

function requirementLines(one: JudgedRequirement, idWidth: number, style: Style): string[] {
  const { mark, word, paint } = verdicts[one.verdict];
  // what is advised is no failure
  const shown: Paint = one.verdict === 'missing' && one.level === 'advised' ? 'yellow' : paint;
  const room = style.width === null ? null : Math.max(20, style.width - idWidth - 20);
  const head = `${painted(style, shown, mark)} ${one.id.padEnd(idWidth)}  ${painted(style, shown, word.padEnd(14))}  ${fitted(plain(one.needs), room)}`;
  const more: (readonly [string, string | null])[] =
    one.verdict === 'met'
      ? []
      : [
          ['needs', room !== null && one.needs.length > room ? one.needs : null],
          ['found', one.found],
          [one.level === 'advised' ? 'advised' : 'why', one.why],
          ['shows as', one.symptom],
          // what settles the unknown is the same for all, and said once
          ['do', one.verdict === 'missing' ? one.next : null],
          ['source', one.verdict === 'missing' ? one.source : null],
        ];
  return [
    head,
    ...more.flatMap(([name, text]) => {
      if (text === null) return [];
      const lines = wrapped(text.split(' '), (style.width ?? 100) - 14);
      return lines.map((line, index) => `    ${painted(style, 'dim', (index === 0 ? name : '').padEnd(8))}${line}`);
    }),
  ];
}

function summaryLine({ requirements, verdict, target }: KernelCheck, style: Style): string {
  const count = (wanted: RequirementVerdict, level?: JudgedRequirement['level']): number =>
    requirements.filter((one) => one.verdict === wanted && (level === undefined || one.level === level)).length;
  const what = `${target.vmm}${target.version === null ? '' : ` ${target.version}`}, ${target.transport}${target.needs.length === 0 ? '' : `, with ${target.needs.join(', ')}`}${target.golden === null ? '' : `, for ${target.golden}`}`;
  const counts = `${count('met')} met, ${count('missing', 'required')} missing, ${count('missing', 'advised')} advised and missing, ${count('unknown')} unknown`;
  const words = {
    fits: painted(style, 'green', '✓ fits'),
    missing: painted(style, 'red', '✗ something is missing'),
    unknown: painted(style, 'yellow', '? nothing is known to be missing'),
  }[verdict];
  return `${words}  ${what}: ${counts}`;
}

export function diffLines(diff: KernelDiff, style: Style): string[] {
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', painted(style, 'bold', title), ...lines];
  const side = (one: KnownOption): Cell => {
    const { text, paint } = valueCell(one);
    return { text: `${text} (${one.by})`, paint };
  };
  const rows = (pairs: KernelDiff['options']): string[] =>
    table(
      ['option', 'a', 'b'],
      pairs.map(({ option, a, b }) => [option, side(a), side(b)]),
      style,
    );
  const facts = diff.facts.flatMap(({ fact, a, b }) => [
    painted(style, 'dim', fact),
    ...page(
      [
        ['  a', a],
        ['  b', b],
      ],
      style,
    ),
  ]);
  return [
    ...page(
      [
        ['a', diff.a.file],
        ['b', diff.b.file],
      ],
      style,
    ),
    ...section('Differs', facts),
    ...section(`Options that differ (${diff.options.length})`, diff.options.length === 0 ? [] : rows(diff.options)),
    ...section(`Known on one side only (${diff.oneSided.length}), so not compared`, diff.oneSided.length === 0 ? [] : rows(diff.oneSided)),
    ...(facts.length + diff.options.length === 0 ? ['', 'Nothing is known to differ.'] : []),
  ];
}
