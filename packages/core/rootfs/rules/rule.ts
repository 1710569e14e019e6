/** What a rule is: data about one thing that can be wrong, and a pure function that finds the places where it is. */
import type { RootfsFinding } from '@linstock/contract';
import type { LintContext } from '../context.ts';
import type { ImageFacts } from '../facts/facts.ts';

export type Severity = RootfsFinding['severity'];

/** One place where a rule found something. */
export type Spot = {
  path: string | null;
  line?: number | null;
  what: string;
  /** when not the rule's own */
  severity?: Severity;
  fix?: string;
  predicts?: string;
};

export type Rule = {
  /** stable: family and name */
  id: string;
  /** of most of its findings, as the document says it */
  severity: Severity;
  /** for the document: what it looks for */
  finds: string;
  why: string;
  fix: string;
  /** what will be seen at the boot: a line of the console, or what a probe says */
  predicts: string;
  /** the condition of the proof that will not be proved; null: none for certain */
  refutes: string | null;
  look(facts: ImageFacts, context: LintContext): readonly Spot[];
};
