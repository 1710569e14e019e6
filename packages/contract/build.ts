import { z } from 'zod';
import { goldenManifestSchema } from './golden.ts';
import { goldenOrderSchema } from './golden-build.ts';
import { kernelRecordSchema, unmetOptionSchema } from './kernel-record.ts';
import { operationSchema } from './operation.ts';
import { rootfsRecordSchema } from './rootfs.ts';

/** What can be built. Paths are those of the host that builds. */
export const buildOrderSchema = z.discriminatedUnion('what', [
  goldenOrderSchema.extend({ what: z.literal('golden') }),
  goldenOrderSchema.pick({ recipe: true, cwd: true, use: true }).extend({ what: z.literal('rootfs') }),
  z.strictObject({
    what: z.literal('kernel'),
    series: z.string().max(16).meta({ description: '`6.1`: of the package linux-source-6.1' }),
    fragments: z
      .array(z.strictObject({ name: z.string().max(255), text: z.string().max(500_000) }))
      .max(16)
      .default([])
      .meta({ description: 'laid over the built-in one' }),
    name: z.string().max(63).nullable().default(null),
    jobs: z.int().min(1).max(1024).nullable().default(null).meta({ description: 'compilers at once; null: one per core' }),
  }),
]);
export type BuildOrder = z.output<typeof buildOrderSchema>;

export const buildResultSchema = z.discriminatedUnion('what', [
  z.object({
    what: z.literal('golden'),
    golden: goldenManifestSchema,
    rootfs: rootfsRecordSchema.nullable().meta({ description: 'null: `tiny`, whose root file system has no record of its own' }),
    built: z.boolean().meta({ description: 'false: it was there already' }),
  }),
  z.object({ what: z.literal('rootfs'), rootfs: rootfsRecordSchema, built: z.boolean() }),
  z.object({
    what: z.literal('kernel'),
    record: kernelRecordSchema,
    built: z.boolean(),
    unmet: z.array(unmetOptionSchema),
    log: z.string(),
  }),
]);
export type BuildResult = z.infer<typeof buildResultSchema>;

/** A build as an operation of the controller. It goes on whoever waits for it, and when the controller comes back. */
export const buildViewSchema = operationSchema.extend({
  order: buildOrderSchema,
  steps: z.array(z.object({ name: z.string(), at: z.number() })).meta({ description: 'those that were begun, the last one is under way' }),
  far: z
    .object({ done: z.number(), total: z.number().nullable(), unit: z.string().nullable() })
    .nullable()
    .meta({ description: 'how far the last step is, where that is known' }),
  tries: z.int().meta({ description: 'how often it was begun: more than once after a controller that was killed' }),
  cancelBy: z.string().nullable().meta({ description: 'who asked for its end' }),
  result: buildResultSchema.nullable(),
});
export type BuildView = z.infer<typeof buildViewSchema>;
