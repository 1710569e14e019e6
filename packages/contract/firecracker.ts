import { z } from 'zod';

/** Tokens of a limiter: `size` of them (bytes, or operations) fill up again in `refillMs`; `burst` comes on top, once. */
const bucketSchema = z.strictObject({
  size: z.int().min(1),
  refillMs: z.int().min(1),
  burst: z.int().min(0).optional(),
});
export type TokenBucket = z.infer<typeof bucketSchema>;

const limiterSchema = z.strictObject({
  bytes: bucketSchema.optional().meta({ description: 'bytes through the device' }),
  operations: bucketSchema.optional().meta({ description: 'requests of a disk, packets of an interface' }),
});
export type RateLimiter = z.infer<typeof limiterSchema>;

/** How many bytes the data of MMDS may have, Firecracker's own default. */
const mostMmdsBytes = 51_200;

/** What only Firecracker has. */
export const firecrackerSettingsSchema = z.strictObject({
  disk: limiterSchema.optional(),
  receive: limiterSchema.optional().meta({ description: 'from the host to the guest' }),
  transmit: limiterSchema.optional().meta({ description: 'from the guest to the host' }),
  cpuTemplate: z
    .enum(['C3', 'T2', 'T2S', 'T2CL', 'T2A'])
    .optional()
    .meta({ description: 'makes different processors look alike to the guest; each works on the models it was made for' }),
  hugePages: z
    .literal('2M')
    .optional()
    .meta({ description: 'guest memory from the host’s pool of 2 MiB pages, which must hold all of it' }),
  balloon: z
    .strictObject({
      amountMiB: z.int().min(0).max(1_048_576).meta({ description: 'how much the guest gives back' }),
      deflateOnOom: z.boolean().default(true),
      statsEveryS: z.int().min(0).max(65_535).default(0),
    })
    .optional(),
  mmds: z
    .strictObject({
      version: z.enum(['V1', 'V2']).default('V2'),
      data: z
        .record(z.string(), z.unknown())
        .refine((data) => JSON.stringify(data).length <= mostMmdsBytes, `has more than ${mostMmdsBytes} bytes as JSON`),
    })
    .optional()
    .meta({ description: 'what the guest reads at http://169.254.169.254; kept in the state folder, for its owner only' }),
});
export type FirecrackerSettings = z.infer<typeof firecrackerSettingsSchema>;
