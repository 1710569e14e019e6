import { z } from 'zod';
import { portLevelSchema } from './proof.ts';

export const promisedPortSchema = z.strictObject({
  port: z.int().min(1).max(65_535),
  level: portLevelSchema,
  path: z.string().max(200).optional().meta({ description: 'HTTP path to ask for; `/` when absent' }),
});
export type PromisedPort = z.infer<typeof promisedPortSchema>;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const blob = z.object({ blob: digest.meta({ description: 'sha256' }), bytes: z.int().min(1) });

/** An immutable golden image version: everything a boot of it will use, by digest. */
export const goldenManifestSchema = z.object({
  schema: z.literal(1),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  version: z.int().min(1),
  digest: digest.meta({ description: 'sha256 of the manifest without digest and createdAt, keys sorted' }),
  createdAt: z.number(),
  kernel: blob.extend({
    format: z.enum(['elf', 'bzimage']),
    release: z.string(),
    banner: z.string().meta({ description: 'the `Linux version …` string inside the kernel' }),
    package: z.string().nullable(),
    config: z.record(z.string(), z.enum(['y', 'm', 'n'])).meta({ description: 'options as the kernel was built, those that are known' }),
    configKnownBy: z.enum(['config-file', 'ikconfig', 'none']),
  }),
  initrd: blob.extend({ modules: z.array(z.string()) }).nullable(),
  rootfs: blob.extend({ fstype: z.string(), virtualBytes: z.int() }),
  machine: z.object({ vcpus: z.int(), memoryMiB: z.int(), leastMemoryMiB: z.int() }),
  requires: z.array(z.string()).meta({ description: 'kernel options that this image needs, without CONFIG_' }),
  bootArgs: z.array(z.string()).meta({ description: 'boot argument template, a token each' }),
  userspaceArgs: z.array(z.string()).meta({ description: 'keys that the kernel does not know and this image reads itself' }),
  ports: z.array(promisedPortSchema).max(16),
  agent: z.boolean(),
  init: z.enum(['systemd', 'other']).optional().meta({
    description:
      'PID 1, as the image shows it: `systemd` tells on the console when it has finished, another one may never; absent: not looked at',
  }),
  madeWith: z.record(z.string(), z.string()),
});
export type GoldenManifest = z.infer<typeof goldenManifestSchema>;
