/**
 * The stored proof of a boot, a line per condition. Pure. What each rests on is not repeated: it was looked at when the proof was made, and would be
 * taken for what is so now.
 */
import type { EvidenceDocument, Instant, Proof } from '@linstock/contract';
import { Page } from './page.ts';

export function proofPage(proof: Proof | null, time: (at: Instant) => string): EvidenceDocument {
  const page = new Page().section('proof');
  if (proof === null) return page.line('the boot was not examined').document('proof', 'proof', 'the boot was not examined');
  page.line(`verified=${proof.verified} furthest=${proof.furthest ?? 'none'} at=${time(proof.at)}`);
  for (const { id, verdict, asked, expected, observed } of proof.conditions)
    page.line(`${id} ${verdict}${asked ? '' : ' (not asked)'} | expected ${expected} | observed ${observed}`);
  return page.document('proof', 'proof');
}
