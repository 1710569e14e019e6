import type { Because } from '@linstock/contract';
import type { Evidence } from '../evidence.ts';
import type { Picture } from '../picture.ts';

export type Finding = {
  code: string;
  confidence: 'likely' | 'possible' | 'proved';
  because: readonly Because[];
  /** instead of the catalogue's, where the rule knows more */
  title?: string;
  fix?: string;
  command?: readonly string[];
  /** the VM works in spite of it */
  degrades?: true;
};

/** A family of rules: pure, deterministic; it answers with nothing when its evidence is not there. */
export type Rule = (e: Evidence, p: Picture) => readonly Finding[];
