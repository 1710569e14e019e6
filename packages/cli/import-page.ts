/** Pure: what an import did, or would do, as people read it. */
import type { ImportedGolden } from './daemon-face.ts';
import { page, painted, plain, type Style } from './render.ts';

const MiB = 1024 * 1024;

export function importPage(self: string, file: string, one: ImportedGolden, style: Style): readonly string[] {
  const { golden, made, warnings } = one;
  return [
    painted(style, 'bold', golden === null ? 'What Linstock would change' : 'What Linstock changes'),
    ...page(
      one.changes.map(({ at, says }) => [plain(at), says] as const),
      style,
    ).map((line) => `  ${line}`),
    '',
    ...page(
      [
        ['machine', `${one.vcpus} vCPU, ${one.memoryMiB} MiB`],
        ['kernel', one.kernel],
        ['disk', `${Math.ceil(one.rootfsBytes / MiB)} MiB`],
        ['boot args', one.bootArgs.join(' ')],
        ...(golden === null
          ? [['golden', 'none is made: this was a look'] as const]
          : [['golden', `${golden.name}@${golden.version}${made ? '' : ' (the same was there already)'}`] as const]),
        ...(warnings.length === 0
          ? []
          : [['warnings', [...warnings.map(({ at, what }) => `${plain(at)}: ${what}`), `More: ${self} lint ${plain(file)}`]] as const]),
      ],
      style,
    ),
  ];
}
