import { z } from 'zod';

export const verdictSchema = z.enum(['proved', 'refuted', 'unknown']);
export type Verdict = z.infer<typeof verdictSchema>;

/** How far a port promises to answer; each level includes those before it. */
export const portLevelSchema = z.enum(['tcp', 'http', 'websocket', 'rfb']);
export type PortLevel = z.infer<typeof portLevelSchema>;

export const evidenceSchema = z.object({
  source: z.enum(['console', 'vmm', 'agent', 'host', 'probe', 'golden', 'request']).meta({ description: 'where it was read' }),
  line: z.int().optional().meta({ description: 'line number in that source, from 1' }),
  at: z.number().optional().meta({ description: 'host time of the observation, `ms` since the epoch' }),
  text: z.string().meta({ description: 'what was read, cleaned of control characters' }),
  /** true when the guest wrote it: a hostile guest can forge it */
  guestControlled: z.boolean().optional(),
});
export type EvidenceLine = z.infer<typeof evidenceSchema>;

export const conditionSchema = z.object({
  id: z.string().meta({ description: 'condition, e.g. `net.address` or `port.6080`' }),
  verdict: verdictSchema,
  asked: z.boolean().meta({ description: 'whether this host, network and image can show it at all: only these count for `verified`' }),
  expected: z.string(),
  observed: z.string(),
  evidence: z.array(evidenceSchema),
  next: z.string().optional().meta({ description: 'for unknown and refuted: what to look at next' }),
});
export type Condition = z.infer<typeof conditionSchema>;

export const proofSchema = z.object({
  verified: verdictSchema.meta({
    description: 'proved when each condition asked for is proved; refuted when one is refuted; else unknown',
  }),
  at: z.number().meta({ description: 'when it was examined, `ms` since the epoch' }),
  furthest: z.string().nullable().meta({ description: 'the last condition proved without a gap before it' }),
  conditions: z.array(conditionSchema),
});
export type Proof = z.infer<typeof proofSchema>;
