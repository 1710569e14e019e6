/** The findings of a static look at a root file system. Pure: facts in, findings out. */
import type { RootfsFinding } from '@linstock/contract';
import { cleanText } from '../clean.ts';
import type { LintContext } from './context.ts';
import type { ImageFacts } from './facts/facts.ts';
import { accessRules } from './rules/access.ts';
import { clonesRules } from './rules/clones.ts';
import { consoleRules } from './rules/console.ts';
import { imageRules } from './rules/image.ts';
import { initRules } from './rules/init.ts';
import { kernelRules } from './rules/kernel.ts';
import { mountsRules } from './rules/mounts.ts';
import { networkRules } from './rules/network.ts';
import { portsRules } from './rules/ports.ts';
import type { Rule, Severity } from './rules/rule.ts';
import { unitsRules } from './rules/units.ts';

/** In the order in which a boot meets them. */
export const rootfsRules: readonly Rule[] = [
  ...imageRules,
  ...kernelRules,
  ...initRules,
  ...mountsRules,
  ...networkRules,
  ...unitsRules,
  ...portsRules,
  ...consoleRules,
  ...accessRules,
  ...clonesRules,
];

/** More of one kind say nothing new. */
const mostPerRule = 12;
const order: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

export function findingsOf(facts: ImageFacts, context: LintContext): readonly RootfsFinding[] {
  return rootfsRules
    .flatMap((rule) =>
      rule
        .look(facts, context)
        .slice(0, mostPerRule)
        .map((spot): RootfsFinding => ({
          id: rule.id,
          severity: spot.severity ?? rule.severity,
          path: spot.path === null ? null : cleanText(spot.path),
          line: spot.line ?? null,
          what: cleanText(spot.what),
          why: rule.why,
          fix: cleanText(spot.fix ?? rule.fix),
          predicts: cleanText(spot.predicts ?? rule.predicts),
          refutes: rule.refutes,
        })),
    )
    .toSorted((a, b) => order[a.severity] - order[b.severity]);
}
