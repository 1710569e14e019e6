import { z } from 'zod';
import { goldenManifestSchema } from './golden.ts';

/** What a golden image version is built from. Paths are those of the host that builds. */
export const goldenOrderSchema = z.strictObject({
  recipe: z.string().min(1).max(4096).meta({ description: 'a recipe by name or file, or a container image' }),
  cwd: z.string().startsWith('/').max(4096).meta({ description: 'what relative paths are relative to' }),
  name: z.string().max(63).nullable().default(null).meta({ description: 'of the golden image; null: that of the recipe' }),
  kernel: z.string().max(80).nullable().default(null).meta({ description: 'a kernel of the store; null: that of the distribution' }),
  use: z.enum(['as-built', 'newest', 'fresh']).default('as-built'),
});
export type GoldenOrder = z.output<typeof goldenOrderSchema>;

/**
 * A version that has its number and no manifest yet. `building`: somebody is at it; `interrupted`: nobody is, and the same build goes on with it;
 * `failed`: it could not be built, and why.
 */
export const goldenBuildSchema = z.object({
  name: goldenManifestSchema.shape.name,
  version: z.int().min(1),
  state: z.enum(['building', 'interrupted', 'failed']),
  why: z.string().nullable(),
  by: z.string(),
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  order: goldenOrderSchema,
});
export type GoldenBuild = z.infer<typeof goldenBuildSchema>;
