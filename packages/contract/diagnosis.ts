import { z } from 'zod';

/** What a diagnosis answers, and the evidence it is made of. */

export const layerSchema = z.enum([
  'boot',
  'kernel',
  'image',
  'guest.net',
  'host',
  'host.net',
  'host.kvm',
  'host.disk',
  'vmm',
  'service',
  'snapshot',
  'control',
  'security',
  'unknown',
]);
export type Layer = z.infer<typeof layerSchema>;

export const becauseSchema = z.strictObject({
  source: z.string().meta({ description: 'which of the evidence: `console`, `host`, `vmm-log`, …, or the name of a file' }),
  line: z.int().nullable().meta({ description: 'line number in that source, from 1; null when it is not a text of lines' }),
  text: z.string().meta({ description: 'what stands there, cleaned of control characters and secrets' }),
  guestControlled: z
    .literal(true)
    .optional()
    .meta({ description: 'any process of the guest can write this line: a hostile guest can forge it' }),
});
export type Because = z.infer<typeof becauseSchema>;

export const confidenceSchema = z.enum(['proved', 'likely', 'possible']).meta({
  description: 'proved: an intervention flipped the outcome, or the evidence admits nothing else',
});
export type Confidence = z.infer<typeof confidenceSchema>;

export const causeSchema = z.strictObject({
  code: z.string().meta({ description: 'stable; starts with its layer' }),
  title: z.string(),
  layer: layerSchema,
  confidence: confidenceSchema,
  because: z.array(becauseSchema),
  fix: z.strictObject({ text: z.string(), command: z.array(z.string()) }),
  disproof: z.string().meta({ description: 'what observation would show this to be wrong' }),
});
export type Cause = z.infer<typeof causeSchema>;

export const outcomeSchema = z.enum(['ok', 'degraded', 'failed', 'unknown']);
export type Outcome = z.infer<typeof outcomeSchema>;

export const diagnosisSchema = z.strictObject({
  outcome: outcomeSchema,
  phaseReached: z.string().nullable().meta({ description: 'the furthest condition of the boot proof that the evidence shows as reached' }),
  causes: z.array(causeSchema).meta({ description: 'ranked, the likeliest first' }),
  benign: z
    .array(z.strictObject({ code: z.string(), because: z.array(becauseSchema), why: z.string() }))
    .meta({ description: 'noise, and the condition under which it is that' }),
  ruledOut: z
    .array(z.strictObject({ code: z.string(), because: z.array(becauseSchema) }))
    .meta({ description: 'what people commonly suspect, and this evidence excludes' }),
  missing: z
    .array(z.strictObject({ what: z.string(), how: z.string() }))
    .meta({ description: 'what was not seen or not understood and would tell more, the cheapest first' }),
});
export type Diagnosis = z.infer<typeof diagnosisSchema>;

/** Which part of the world a document tells of. `host` is whatever was pasted: any mixture of the others is recognised in it too. */
export const documentKindSchema = z.enum(['requested', 'console', 'vmm-log', 'config', 'kernel', 'host', 'guest', 'controller', 'proof']);
export type DocumentKind = z.infer<typeof documentKindSchema>;

export const evidenceDocumentSchema = z.strictObject({
  kind: documentKindSchema,
  /** shown as the source of what was read in it */
  name: z.string(),
  text: z.string(),
  /** why a part of it is not there; null = whole */
  cut: z.string().nullable(),
  /** lines that were left out: so many before the line with this index (from 0) of the text */
  gaps: z.array(z.strictObject({ before: z.int(), lines: z.int() })).optional(),
});
export type EvidenceDocument = z.infer<typeof evidenceDocumentSchema>;

/** One immutable snapshot: what `vm bundle` writes and `diagnose --bundle` reads. */
export const evidenceBundleSchema = z.strictObject({
  format: z.literal('linstock-evidence-1'),
  at: z.number().meta({ description: 'when it was taken, `ms` since the epoch' }),
  madeBy: z.string().meta({ description: 'version of Linstock' }),
  subject: z.string().meta({ description: 'what it is about, e.g. `vm web-1 (vm_…), boot boot_…`' }),
  documents: z.array(evidenceDocumentSchema),
});
export type EvidenceBundle = z.infer<typeof evidenceBundleSchema>;
