import { expect, test } from 'vitest';
import type { Cause, Diagnosis } from '@linstock/contract';
import { judge } from './judge.ts';

const cause = (code: string, confidence: Cause['confidence']): Cause => ({
  code,
  title: code,
  layer: 'boot',
  confidence,
  because: [],
  fix: { text: '', command: [] },
  disproof: '',
});
const said = (outcome: Diagnosis['outcome'], ...causes: Cause[]): Diagnosis => ({
  outcome,
  phaseReached: null,
  causes,
  benign: [],
  ruledOut: [],
  missing: [],
});
const sick = { outcome: 'failed', code: 'boot.a', alsoTrue: ['boot.b'] } as const;
const well = { outcome: 'ok', code: null } as const;

test.each([
  ['the true cause, first', said('failed', cause('boot.a', 'likely'), cause('boot.c', 'possible')), sick, 'right'],
  ['with what is true as well', said('degraded', cause('boot.a', 'proved'), cause('boot.b', 'likely')), sick, 'right'],
  ['the true cause behind another', said('failed', cause('boot.b', 'likely'), cause('boot.a', 'likely')), sick, 'not-first'],
  ['the true cause, only possible', said('failed', cause('boot.a', 'possible')), sick, 'not-first'],
  ['a false one beside it, called likely', said('failed', cause('boot.a', 'likely'), cause('boot.c', 'likely')), sick, 'wrong'],
  ['nothing, and that it does not know', said('unknown', cause('boot.c', 'possible')), sick, 'unknown'],
  ['that a sick VM is well', said('ok'), sick, 'wrong'],
  ['the true cause, and that all is well', said('ok', cause('boot.a', 'likely')), sick, 'wrong'],
  ['that a healthy VM is well', said('ok', cause('boot.c', 'possible')), well, 'right'],
  ['a cause for a healthy VM', said('failed', cause('boot.c', 'likely')), well, 'wrong'],
  ['that it does not know of a healthy VM', said('unknown'), well, 'unknown'],
])('a diagnosis that says %s', (_, diagnosis, truth, verdict) => {
  expect(judge(diagnosis, truth).is).toBe(verdict);
});
