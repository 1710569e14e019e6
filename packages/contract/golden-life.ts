import { z } from 'zod';
import { goldenManifestSchema } from './golden.ts';

/**
 * How far a golden image version is. What a version consists of never changes; this says what is known of it. Before it consists of anything it is
 * a build (`golden-build.ts`).
 * `draft`: nobody has proved it; `verifying`: a VM of it is being booted for that; `active`: its boot was proved; `failed`: it was not; `deleted`: somebody
 * asked for it to go, and its files go when nobody reads them.
 */
export const goldenStateSchema = z.enum(['draft', 'verifying', 'active', 'failed', 'deleted']);
export type GoldenState = z.infer<typeof goldenStateSchema>;

const tagName = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'must have 1 to 31 of a-z, 0-9 and -, and start with a letter');

export const goldenTagSchema = z.object({
  golden: z.string(),
  tag: tagName,
  version: z.int(),
  /** counts moves: what `ifRevision` names */
  revision: z.int(),
  movedAt: z.number(),
  movedBy: z.string(),
});
export type GoldenTag = z.infer<typeof goldenTagSchema>;

export const goldenViewSchema = goldenManifestSchema.extend({
  state: goldenStateSchema,
  why: z.string().nullable().meta({ description: 'why it failed, or on whose word it may be promoted without a proof' }),
  boot: z.string().nullable().meta({ description: 'the boot whose proof made it what it is' }),
  vm: z.string().nullable().meta({ description: 'the VM that is being booted to verify it' }),
  tags: z.array(z.string()),
});
export type GoldenView = z.infer<typeof goldenViewSchema>;

/** One thing that happened to a golden image: who, when, on which evidence. Never changed. */
export const goldenDeedSchema = z.object({
  at: z.number(),
  by: z.string(),
  what: z.enum(['verify', 'verified', 'failed', 'promote', 'rollback', 'delete']),
  version: z.int(),
  tag: z.string().nullable(),
  /** the version that the tag was at before */
  from: z.int().nullable(),
  boot: z.string().nullable(),
  reason: z.string().nullable(),
});
export type GoldenDeed = z.infer<typeof goldenDeedSchema>;

/** What a static look at the root file system found, before any boot. */
export const rootfsFindingSchema = z.object({
  id: z.string(),
  severity: z.enum(['error', 'warning', 'note']),
  path: z.string().nullable(),
  line: z.int().nullable(),
  what: z.string(),
  why: z.string(),
  fix: z.string(),
  predicts: z.string().meta({ description: 'what will be seen at a boot' }),
  refutes: z.string().nullable().meta({ description: 'the condition of the proof that will not hold' }),
});

export type RootfsFinding = z.infer<typeof rootfsFindingSchema>;

export const verifySchema = z.strictObject({
  waive: z.string().min(3).max(500).optional().meta({ description: 'boots it although a static look found errors; the reason is kept' }),
});
export const promoteSchema = z.strictObject({
  version: z.int().min(1),
  /** compare-and-set: refused when the tag was moved meanwhile; 0 for a tag that must not be there yet */
  ifRevision: z.int().min(0).optional(),
  /** promotes a version that is not proved; the reason is kept */
  waive: z.string().min(3).max(500).optional(),
});
export const rollbackSchema = z.strictObject({ ifRevision: z.int().min(0).optional(), reason: z.string().max(500).optional() });

/** What changed from one version to another; only parts that differ are listed. */
export const goldenDiffSchema = z.object({
  from: z.string(),
  to: z.string(),
  parts: z.array(z.object({ what: z.string(), from: z.string().nullable(), to: z.string().nullable() })),
});
export type GoldenDiff = z.infer<typeof goldenDiffSchema>;
