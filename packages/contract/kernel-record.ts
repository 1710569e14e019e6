import { z } from 'zod';
import { goldenManifestSchema } from './golden.ts';

/** Kernels that the image store keeps, with or without a golden image that is made with them. */

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const blob = z.strictObject({ blob: digest.meta({ description: 'sha256' }), bytes: z.int().min(1) });

/** An option of a fragment that is not in the configuration as it was asked for. */
export const unmetOptionSchema = z.strictObject({
  option: z.string().meta({ description: 'without CONFIG_' }),
  asked: z.string(),
  got: z.string().nullable().meta({ description: 'null: the configuration does not name it, so it is off' }),
  from: z.string().meta({ description: 'the fragment that asked for it' }),
  by: z.enum(['no-such-option', 'dependency', 'hidden', 'selected', 'choice', 'range', 'unknown']),
  why: z.string(),
});
export type UnmetOption = z.infer<typeof unmetOptionSchema>;

export const kernelBuildSchema = z.strictObject({
  is: z.literal('build'),
  source: z.strictObject({ package: z.string(), version: z.string() }),
  /** in the order in which they were laid over each other */
  fragments: z.array(z.strictObject({ name: z.string(), digest, text: z.string() })),
  /** of the source package, the fragments and how they are built; the folder of the build is named by it */
  recipe: digest,
  compiler: z.string(),
  linker: z.string(),
  unmet: z.array(unmetOptionSchema),
});
export type KernelBuild = z.infer<typeof kernelBuildSchema>;

export const kernelOriginSchema = z.discriminatedUnion('is', [
  z.strictObject({ is: z.literal('file'), file: z.string() }),
  z.strictObject({ is: z.literal('package'), file: z.string(), package: z.string(), version: z.string() }),
  kernelBuildSchema,
]);
export type KernelOrigin = z.infer<typeof kernelOriginSchema>;

/** An immutable version of a named kernel. */
export const kernelRecordSchema = z.strictObject({
  schema: z.literal(1),
  name: goldenManifestSchema.shape.name,
  version: z.int().min(1),
  createdAt: z.number(),
  /** the vmlinux, as VMMs are given it */
  kernel: blob.extend({ release: z.string(), banner: z.string(), pvh: z.boolean(), leastMemoryMiB: z.int() }),
  /** the file that it was taken out of */
  file: z.strictObject({ format: z.enum(['ELF vmlinux', 'bzImage']), compression: z.string(), bytes: z.int().min(1), sha256: digest }),
  config: blob.extend({ by: z.enum(['ikconfig', 'config-file']), file: z.string().nullable() }).nullable(),
  /** its modules as a tar archive, below the name of their release, with what depmod says of them */
  modules: blob.nullable(),
  from: kernelOriginSchema,
});
export type KernelRecord = z.infer<typeof kernelRecordSchema>;
