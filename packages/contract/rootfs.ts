import { z } from 'zod';
import { goldenManifestSchema } from './golden.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** An immutable root file system that a recipe was built to, with what a golden image of it takes over. */
export const rootfsRecordSchema = z.strictObject({
  schema: z.literal(1),
  /** the recipe's */
  name: goldenManifestSchema.shape.name,
  /** of everything it was made with: `madeWith` */
  digest,
  createdAt: z.number(),
  rootfs: goldenManifestSchema.shape.rootfs,
  madeWith: z.record(z.string(), z.string()),
  /** what it stands on: `scratch`, `debian:trixie`, the digest of a container image */
  from: z.string(),
  /** of Debian, by name; null where there is no dpkg */
  packages: z.record(z.string(), z.string()).nullable(),
  /** the path of PID 1, and what that is */
  init: z.string(),
  initIs: goldenManifestSchema.shape.init.unwrap(),
  agent: z.boolean(),
  ports: goldenManifestSchema.shape.ports,
  bootArgs: z.strictObject({ add: z.array(z.string()), replace: z.array(z.string()), remove: z.array(z.string()) }),
  machine: z.strictObject({ vcpus: z.int(), memoryMiB: z.int() }),
});
export type RootfsRecord = z.infer<typeof rootfsRecordSchema>;
