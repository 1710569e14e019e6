/** What the diagnosis does not get right yet: a debt by name. A row that has become right must go, and a test says so. */
import type { Verdict } from './judge.ts';

export const notYet: Readonly<Record<string, Exclude<Verdict['is'], 'right'>>> = {
  'kernel-without-serial-console': 'unknown', // said: unknown.evidence-missing (possible)
};
