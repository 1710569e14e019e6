/** Two kernels side by side. Only what is known of both can differ; what is known of one alone is told apart. Pure. */
import type { KernelDiff, KernelReport, KnownOption } from '@linstock/contract';

export function diffKernels(a: KernelReport, b: KernelReport): KernelDiff {
  const others = new Map(b.options.map((one) => [one.option, one]));
  const pairs = a.options.flatMap((one) => {
    const other = others.get(one.option);
    return other === undefined ? [] : [{ option: one.option, a: one, b: other }];
  });
  return {
    a,
    b,
    facts: factsOf(a).flatMap(([fact, left], index) => {
      const right = factsOf(b)[index]?.[1] ?? '';
      return left === right ? [] : [{ fact, a: left, b: right }];
    }),
    options: pairs.filter((pair) => differ(pair.a, pair.b)),
    oneSided: pairs.filter((pair) => isKnown(pair.a) !== isKnown(pair.b) && !differ(pair.a, pair.b)),
  };
}

const isKnown = (one: KnownOption): boolean => one.value !== 'unknown';

function differ(a: KnownOption, b: KnownOption): boolean {
  if (isKnown(a) && isKnown(b)) return a.value !== b.value || a.setting !== b.setting;
  // Built in on one side and surely not on the other is a difference, even where module and off cannot be told apart.
  return a.builtIn !== null && b.builtIn !== null && a.builtIn !== b.builtIn;
}

function factsOf(report: KernelReport): readonly (readonly [fact: string, value: string])[] {
  const or = (value: string | number | null): string => (value === null ? 'unknown' : String(value));
  return [
    ['format', report.format],
    ['wrapped', report.wrapped ?? 'no'],
    ['compression', report.compression],
    ['arch', report.arch],
    ['release', or(report.release)],
    ['banner', or(report.banner)],
    ['bytes', or(report.bytes)],
    ['unpacked bytes', or(report.unpackedBytes)],
    ['least memory, MiB', or(report.leastMemoryMiB)],
    ['embedded initrd', report.initrd.embedded],
    ...report.boot.map(({ protocol, works, detail }) => [`boot by ${protocol}`, `${works ? 'yes' : 'no'}, ${detail}`] as const),
  ];
}
