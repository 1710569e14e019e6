import { z } from 'zod';
import { promisedPortSchema } from './golden.ts';
import { verdictSchema } from './proof.ts';
import { firecrackerSettingsSchema } from './firecracker.ts';
import { faults, type FaultCode } from './faults.ts';

const faultCode = z.enum(Object.keys(faults) as [FaultCode, ...FaultCode[]]);

export const faultSchema = z.object({
  code: faultCode,
  data: z.record(z.string(), z.union([z.string(), z.number()])),
});

export const vmStateSchema = z.enum(['creating', 'stopped', 'starting', 'running', 'paused', 'stopping', 'failed', 'deleting', 'deleted']);
export type VmState = z.infer<typeof vmStateSchema>;

export const vmActionSchema = z.enum(['start', 'stop', 'pause', 'resume', 'verify', 'exec', 'delete']);
export type VmAction = z.infer<typeof vmActionSchema>;

export const goalSchema = z.enum(['accepted', 'running', 'verified', 'paused', 'stopped', 'deleted']);
export type Goal = z.infer<typeof goalSchema>;

/** What a caller may ask for on create. Unknown fields are refused: a typo must not vanish. */
export const vmSpecSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name has 1 to 63 of a-z, 0-9 and -, and starts with a letter')
    .optional(),
  golden: z.string().max(100).default('tiny').meta({ description: '`name` for its newest version, `name@version`, or `name:tag`' }),
  memoryMiB: z.int().min(16).max(1_048_576).optional().meta({ description: 'guest memory; the golden image says what when absent' }),
  vcpus: z.int().min(1).max(32).optional(),
  network: z.string().max(64).default('default'),
  vmm: z
    .string()
    .regex(
      /^(?:qemu|firecracker(?:@\d{1,3}\.\d{1,3}\.\d{1,3})?)$/,
      'must be qemu, firecracker, or an exact version as in firecracker@1.9.1',
    )
    .optional()
    .meta({ description: 'what to run it on; the usual one of the host when absent, the newest version of it when none is named' }),
  firecracker: firecrackerSettingsSchema.optional().meta({ description: 'only for a VM on Firecracker' }),
  bootArgs: z
    .strictObject({
      add: z
        .array(z.string().max(512))
        .max(64)
        .default([])
        .meta({ description: 'tokens to append; a key that is already there is refused' }),
      replace: z.array(z.string().max(512)).max(64).default([]).meta({ description: 'tokens whose key must already be there' }),
      remove: z.array(z.string().max(128)).max(64).default([]).meta({ description: 'keys to drop' }),
    })
    .default({ add: [], replace: [], remove: [] }),
  ports: z.array(promisedPortSchema).max(16).optional().meta({ description: 'ports to prove; those of the golden image when absent' }),
  start: z.boolean().default(true).meta({ description: 'false leaves the VM stopped' }),
});
export type VmSpec = z.infer<typeof vmSpecSchema>;
export type VmSpecInput = z.input<typeof vmSpecSchema>;

/** The VM as clients see it. `allowed` is computed by the server, so no client repeats the rules. */
export const vmViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: vmStateSchema,
  verified: verdictSchema.meta({ description: 'whether the present boot was proved as asked' }),
  allowed: z.array(vmActionSchema),
  wish: z.enum(['running', 'paused', 'stopped', 'absent']),
  phase: z.string().meta({ description: 'how far the program is; for people' }),
  golden: z.object({ name: z.string(), version: z.int(), digest: z.string() }),
  vmm: z.enum(['qemu', 'firecracker', 'stub']),
  vmmVersion: z
    .string()
    .nullable()
    .meta({ description: 'the exact version that was asked for; null: the newest of the host at each boot' }),
  memoryMiB: z.int(),
  vcpus: z.int(),
  network: z.string(),
  address: z.string().nullable().meta({ description: 'leased address of the present boot' }),
  mac: z.string().nullable(),
  reach: z
    .array(z.object({ port: z.int(), host: z.string(), hostPort: z.int() }))
    .meta({ description: 'where the promised ports answer, seen from the host' }),
  boot: z.string().nullable().meta({ description: 'the newest boot' }),
  fault: faultSchema.nullable(),
  says: z.string().nullable().meta({ description: 'the sentence of the fault' }),
  stumble: faultSchema.nullable().meta({ description: 'why the last try of the present step failed; it is being retried' }),
  operation: z.string().nullable().meta({ description: 'the operation now moving it' }),
  createdAt: z.number(),
  version: z.int().meta({ description: 'resource version, the ETag' }),
});
export type VmView = z.infer<typeof vmViewSchema>;
