/** A recording is for everybody: nothing in it names the machine on which it was made. */
import type { EvidenceBundle } from '@linstock/contract';

/** `places`: paths and names of this machine, each with what stands for it; the longest first. */
export function cleaned(bundle: EvidenceBundle, places: readonly (readonly [from: string, to: string])[]): EvidenceBundle {
  const clean = (text: string): string => places.reduce((so, [from, to]) => so.replaceAll(from, to), text);
  return {
    ...bundle,
    subject: clean(bundle.subject),
    documents: bundle.documents.map((d) => ({ ...d, text: clean(d.text), cut: d.cut === null ? null : clean(d.cut) })),
  };
}
