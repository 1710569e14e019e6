/** The stored proof of a boot, a line per condition. Pure. */
import type { EvidenceDocument, Instant, Proof } from '@linstock/contract';
import { Page } from './page.ts';

export function proofPage(proof: Proof | null, time: (at: Instant) => string): EvidenceDocument {
  const page = new Page().section('proof');
  if (proof === null) return page.line('the boot was not examined').document('proof', 'proof', 'the boot was not examined');
  page.line(`verified=${proof.verified} furthest=${proof.furthest ?? 'none'} at=${time(proof.at)}`);
  for (const { id, verdict, asked, expected, observed, evidence } of proof.conditions) {
    page.line(`${id} ${verdict}${asked ? '' : ' (not asked)'} | expected ${expected} | observed ${observed}`);
    for (const one of evidence)
      page.line(
        `  ${one.source}${one.line === undefined ? '' : `:${one.line}`}${one.guestControlled === true ? ' (said by the guest)' : ''}: ${one.text}`,
      );
  }
  return page.document('proof', 'proof');
}
