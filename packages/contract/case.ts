import { z } from 'zod';
import { confidenceSchema, diagnosisSchema, layerSchema } from './diagnosis.ts';

/** One thing that is wrong with one VM, for as long as it is: opened and closed by the controller itself. */
export const caseViewSchema = z.object({
  id: z.string(),
  code: z.string().meta({ description: 'of the cause; with the VM it is what makes two cases the same one' }),
  title: z.string(),
  layer: layerSchema,
  confidence: confidenceSchema,
  guestWord: z.boolean().meta({ description: 'any process of the guest could have written every line that shows it' }),
  vm: z.string(),
  vmName: z.string(),
  state: z.enum(['open', 'closed']),
  boots: z.int().meta({ description: 'how many boots have shown it' }),
  openedAt: z.number(),
  seenAt: z.number().meta({ description: 'when it was last seen' }),
  firstBoot: z.string(),
  boot: z.string().meta({ description: 'the newest boot that shows it; its evidence is kept' }),
  closedAt: z.number().nullable(),
  closed: z
    .object({
      why: z.enum(['verified', 'deleted']).meta({ description: 'a later boot was proved as asked, or the VM was deleted' }),
      boot: z.string().nullable().meta({ description: 'the boot that was proved' }),
    })
    .nullable(),
});
export type CaseView = z.infer<typeof caseViewSchema>;

export const caseSchema = caseViewSchema.extend({
  diagnosis: diagnosisSchema.meta({ description: 'by the evidence of `boot`, as it was taken then' }),
});
export type Case = z.infer<typeof caseSchema>;
