import { z } from 'zod';
import { proofSchema } from './proof.ts';
import { faultSchema } from './vm.ts';

/** One line of a boot's timeline: what was reached, when, counted from the moment the boot was recorded. */
export const milestoneSchema = z.object({ what: z.string(), at: z.number(), ms: z.number() });
export type Milestone = z.infer<typeof milestoneSchema>;

/** One attempt to bring one VM up. Never overwritten by the next attempt. */
export const bootViewSchema = z.object({
  id: z.string(),
  vm: z.string(),
  vmName: z.string(),
  kind: z.enum(['cold', 'restored']),
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  end: z
    .object({
      reason: z.string().meta({ description: 'why it ended' }),
      actor: z.string().meta({ description: 'who ended it: a token, the controller, the guest, the host' }),
      exit: z.string().nullable().meta({ description: 'exit code or signal of the VMM where known' }),
    })
    .nullable(),
  golden: z.object({ name: z.string(), version: z.int(), digest: z.string() }),
  vmm: z.string(),
  vmmVersion: z.string().nullable().meta({ description: 'the exact version that ran it; null before it was launched' }),
  accelerator: z.string(),
  slot: z.int(),
  address: z.string(),
  mac: z.string(),
  requestedArgs: z.array(z.string()),
  addedArgs: z
    .array(z.string())
    .meta({ description: 'what Linstock adds for this VMM and accelerator, and what the VMM appends by itself' }),
  effectiveArgs: z.string().nullable().meta({ description: 'the command line the kernel printed' }),
  timeline: z.array(milestoneSchema),
  proof: proofSchema.nullable(),
  fault: faultSchema.nullable(),
  consoleBytes: z.int(),
});
export type BootView = z.infer<typeof bootViewSchema>;
