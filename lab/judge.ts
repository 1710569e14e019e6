/** Whether a diagnosis of recorded evidence is right: the first cause is the true one, and nothing false is called likely. */
import type { Diagnosis, EvidenceBundle } from '@linstock/contract';
import { diagnose } from '@linstock/core/diagnosis';
import type { Truth } from './scenario.ts';

export type Verdict =
  | { is: 'right' }
  /** a true cause, behind another one */
  | { is: 'not-first'; why: string }
  /** nothing was claimed; what to look at next was */
  | { is: 'unknown'; why: string }
  | { is: 'wrong'; why: string };

export function diagnosisOf(bundle: EvidenceBundle): Diagnosis {
  return diagnose(bundle.documents);
}

export function judge(diagnosis: Diagnosis, truth: Truth): Verdict {
  const said = diagnosis.causes.map((c) => `${c.code} (${c.confidence})`).join(', ') || 'no cause';
  const claimed = diagnosis.causes.filter((c) => c.confidence !== 'possible').map((c) => c.code);
  const allowed = new Set([...(truth.code === null ? [] : [truth.code]), ...(truth.alsoTrue ?? [])]);
  const lies = claimed.filter((code) => !allowed.has(code));
  if (lies.length > 0) return { is: 'wrong', why: `claims ${lies.join(', ')}; said: ${said}` };
  if (truth.code === null)
    return diagnosis.outcome === 'ok'
      ? { is: 'right' }
      : { is: 'unknown', why: `outcome ${diagnosis.outcome} of a healthy VM; said: ${said}` };
  const first = diagnosis.causes[0]?.code;
  if (first === truth.code && claimed.includes(first))
    return diagnosis.outcome === 'ok' || diagnosis.outcome === 'unknown'
      ? { is: 'wrong', why: `outcome ${diagnosis.outcome} with ${first}` }
      : { is: 'right' };
  if (diagnosis.causes.some((c) => c.code === truth.code)) return { is: 'not-first', why: `said: ${said}` };
  return diagnosis.outcome === 'ok' ? { is: 'wrong', why: 'says that nothing is wrong' } : { is: 'unknown', why: `said: ${said}` };
}
